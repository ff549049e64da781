/**
 * Goal: of 1,000 charges exactly those that were truly paid are paid, once, whatever 10,000 webhooks
 * say and whoever dies meanwhile; and a JetStream that lost everything is filled again from
 * Postgres without anybody being told twice.
 * Method: the whole house in processes; valid, duplicated, reordered, forged, replayed, truncated
 * and lying webhooks while payment-confirmer, NATS and Postgres are killed five times each; then
 * the store is deleted. The seed is printed: RASTRO_SEED=<n> draws the same storm again.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RastroEvent } from '@rastro/events';
import { connectNats } from '@rastro/messaging';
import { eventually, testLog } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import { everything, settled } from '../support/house-state.ts';
import { type Journey, walk } from '../support/journey.ts';
import { runRastro } from '../support/rastro-process.ts';
import { openCharges, openShops, stormAccounts } from '../support/storm-shops.ts';
import { startTestHouse } from '../support/test-house.ts';
import { planStorm, playStorm, rightAnswers, type StormCharge } from '../support/webhook-storm.ts';

const seed = Number(process.env['RASTRO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`RASTRO_SEED=${seed}`);

const chargeCount = 1_000;
const postCount = 10_000;
const walkers = 20;
const stormMs = 30_000;
const killsEach = 5;

await using world = await startTestHouse({
  mode: 'processes',
  // What services say of outages and of lies is what is to be expected here.
  environment: { LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'fatal' },
});
const { house, sandbox, sql, dataDir, publicOrigin } = world;
const { nats: natsServer, postgres } = house.servers.own;
if (!natsServer || !postgres) throw new Error('the house has no servers of its own');

await openShops(world);
const nats = await connectNats({ url: house.servers.natsUrl, name: 'test', log: testLog() });
await using _nats = nats;
const watched = { nats, sql, sandbox, gatewayUrl: house.urls.get('redirect-gateway') ?? '' };

/** Whoever it is, five times, in a drawn order; the next one only when the last one is back. */
async function killThemAll(): Promise<string[]> {
  const killed: string[] = [];
  const confirmer = house.processes.get('payment-confirmer');
  const victims = {
    async nats() {
      await natsServer!.kill();
      await natsServer!.start();
    },
    async postgres() {
      await postgres!.kill();
      await postgres!.start();
    },
    async 'payment-confirmer'() {
      await confirmer?.kill();
      await confirmer?.ready();
    },
  };
  const names = Object.keys(victims) as (keyof typeof victims)[];
  const all = names.flatMap((name) => Array.from({ length: killsEach }, () => name));
  const [order = []] = fc.sample(fc.shuffledSubarray(all, { minLength: all.length }), {
    seed,
    numRuns: 1,
  });
  const pauseMs = stormMs / (order.length + 1);
  const startedMs = performance.now();
  for (const [index, name] of order.entries()) {
    await delay(Math.max(0, startedMs + (index + 1) * pauseMs - performance.now()));
    await victims[name]();
    killed.push(name);
  }
  return killed;
}

/** All of stream COMMERCE. */
async function commerce(): Promise<RastroEvent[]> {
  const { state } = await nats.jsm.streams.info('COMMERCE');
  const consumer = await nats.js.consumers.get('COMMERCE');
  const events: RastroEvent[] = [];
  if (state.messages === 0) return events;
  const messages = await consumer.consume();
  for await (const message of messages) {
    events.push(message.json<RastroEvent>());
    if (message.info.pending === 0) break;
  }
  messages.stop();
  return events;
}

function countOf(events: readonly RastroEvent[], type: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const event of events) {
    if (event.type !== type) continue;
    const { paymentId } = event.data as { paymentId: string };
    counts.set(paymentId, (counts.get(paymentId) ?? 0) + 1);
  }
  return counts;
}

const sorted = (values: Iterable<string>): string[] => [...values].toSorted();
const charges = await openCharges(world, { nats, count: chargeCount });
const storm = planStorm({
  charges,
  accounts: stormAccounts,
  posts: postCount,
  paidShare: 0.6,
  seed,
});
const truth = new Set(storm.paidAt.keys());
let journeys: Journey[] = [];

await t.test('10,000 webhooks', { timeout: 300_000 }, async (t) => {
  const walking = Promise.all(
    Array.from({ length: walkers }, async (_, index) => {
      await delay((index * stormMs) / walkers);
      return walk({ ...world, timeoutMs: 90_000 });
    }),
  );
  const killing = killThemAll();
  const pay = async (charge: StormCharge): Promise<void> => {
    await sandbox.pay(charge.chargeId);
  };
  const during = { origin: publicOrigin, durationMs: stormMs, pay, calm: killing };
  const answered = await playStorm(storm, during);
  journeys = await walking;
  t.equal((await killing).length, 3 * killsEach);
  t.equal(answered.length, postCount);
  for (const { paymentId } of journeys) truth.add(paymentId);
  t.equal(truth.size, storm.paidAt.size + walkers);

  const wrong = answered.filter(({ post, status }) => !rightAnswers[post.kind].includes(status));
  t.same(
    wrong.slice(0, 5).map(({ post, status }) => `${post.kind}: ${status}`),
    [],
    'each kind is answered as it should be',
  );
  await eventually(
    async () => {
      const [row] = await sql<{ waiting: number }[]>`
        select count(*)::int as waiting from payments.webhooks where processed_at is null`;
      if (row?.waiting !== 0) throw new Error(`${row?.waiting} webhooks wait`);
    },
    { timeoutMs: 90_000, intervalMs: 250 },
  );
  const stored = await sql<{ webhookId: string; outcome: string }[]>`
    select webhook_id, outcome from payments.webhooks`;
  const outcomes = new Map(stored.map(({ webhookId, outcome }) => [webhookId, outcome]));
  const accepted = answered.filter(({ status }) => status === 200);
  const lost = accepted.filter(({ post }) => !outcomes.has(post.webhookId));
  t.equal(lost.length, 0, 'nothing that was answered with 200 is lost');
  const taken = answered.filter(
    ({ post }) => post.kind === 'forged' && outcomes.has(post.webhookId),
  );
  t.equal(taken.length, 0, 'nothing forged was taken');
  t.notOk([...outcomes.values()].includes('abandoned'), 'none was given up');
  const kinds = Object.keys(rightAnswers).map((kind) => {
    const count = answered.filter(({ post }) => post.kind === kind).length;
    return `${count} ${kind}`;
  });
  t.comment(`${kinds.join(', ')}; ${truth.size} paid of ${charges.length + walkers}`);
});

await t.test('exactly the truly paid are paid', { timeout: 120_000 }, async (t) => {
  const wanted = sorted(truth);
  await eventually(
    async () => {
      const rows = await sql<{ paymentId: string }[]>`
        select payment_id from payments.charges where status = 'paid'`;
      const delivered = await sql`select 1 from delivery.deliveries`;
      if (rows.length !== wanted.length || delivered.length !== wanted.length) {
        throw new Error(
          `${rows.length} paid and ${delivered.length} delivered of ${wanted.length}`,
        );
      }
    },
    { timeoutMs: 60_000, intervalMs: 250 },
  );
  const paid = await sql<{ paymentId: string }[]>`
    select payment_id from payments.charges where status = 'paid'`;
  t.same(sorted(paid.map(({ paymentId }) => paymentId)), wanted, 'the truly paid, and no other');
  const said = await eventually(
    async () => {
      const events = await commerce();
      if (countOf(events, 'DeliveryIssued').size !== wanted.length) throw new Error('not all told');
      return events;
    },
    { timeoutMs: 30_000 },
  );
  for (const type of ['PaymentPaid', 'DeliveryIssued']) {
    const counts = countOf(said, type);
    t.same(sorted(counts.keys()), wanted, `${type} for each of them`);
    t.same(
      [...counts].filter(([, times]) => times !== 1),
      [],
      `${type} once`,
    );
  }
});

await t.test('JetStream lost everything', { timeout: 180_000 }, async (t) => {
  // A delivery's opening is recorded up to 15 s after the page; until then nobody owes Meta anything.
  await eventually(
    async () => {
      const { length } = await purchases();
      if (length < truth.size) throw new Error(`${length} of ${truth.size} at Meta`);
    },
    { timeoutMs: 30_000, intervalMs: 250 },
  );
  await settled(watched);
  const ids = await purchases();
  t.same(sorted(ids), sorted(truth), 'Meta has heard of each of them, and of no other');
  const before = await everything(sql);
  const told = await whoWasTold();
  await natsServer!.kill();
  await rm(join(dataDir, 'nats', 'jetstream'), { recursive: true, force: true });
  await natsServer!.start();
  const republishing = runRastro(['infra/cli/main.ts', 'republish'], {
    NATS_URL: house.servers.natsUrl,
    POSTGRES_URL: house.servers.postgresUrl,
    RASTRO_DATA_DIR: dataDir,
  });
  t.equal(await republishing.exit(), 0, republishing.output());
  await settled(watched);
  const after = await everything(sql);
  const changed = [...before.keys()].filter((table) => after.get(table) !== before.get(table));
  t.same(changed, [], 'every table is as before');
  t.same(await whoWasTold(), told, 'nobody was told again');
  t.comment(
    `${before.size} tables the same; ${told.meta} events at Meta, ${told.telegram} messages`,
  );
});

/** Meta has heard of. */
async function purchases(): Promise<string[]> {
  const groups = await sandbox.events();
  return groups.flatMap(({ eventName, eventId }) =>
    eventName === 'Purchase' ? [eventId.replace('purchase_', '')] : [],
  );
}

async function whoWasTold(): Promise<{ meta: number; telegram: number }> {
  const groups = await sandbox.events();
  const chats = await Promise.all(
    journeys.map(({ username, telegramUserId }) => sandbox.messages(username, telegramUserId)),
  );
  const meta = groups.reduce((sum, { server }) => sum + server.length, 0);
  return { meta, telegram: chats.flat().length };
}
