/**
 * Goal: whichever of the seven processes is killed while customers walk, every paid order has
 * exactly one Purchase at Meta and every click is in the log once.
 * Method: seven real processes; twenty concurrent journeys per victim, SIGKILL at a random moment,
 * the supervisor starts it again. The moment's seed is printed: RASTRO_SEED=<n> runs it again.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { services } from '@rastro/infra/services';
import { eventually } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import { type Journey, walk } from '../support/journey.ts';
import { startTestHouse } from '../support/test-house.ts';

const seed = Number(process.env['RASTRO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`RASTRO_SEED=${seed}`);
const world = await startTestHouse({ mode: 'processes' });
t.teardown(() => world[Symbol.asyncDispose]());
const { house, sandbox, sql } = world;
const momentsMs = fc.sample(fc.integer({ min: 50, max: 1_500 }), {
  seed,
  numRuns: services.length,
});

/** Customers come one after the other within a second and a half, not all in one instant. */
async function walkTwenty(): Promise<Journey[]> {
  return Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      await delay(index * 75);
      return walk({ ...world, timeoutMs: 60_000 });
    }),
  );
}

for (const [index, { name }] of services.entries()) {
  const momentMs = momentsMs[index] ?? 500;
  await t.test(`SIGKILL of ${name} after ${momentMs} ms`, async (t) => {
    const walking = walkTwenty();
    await delay(momentMs);
    const victim = house.processes.get(name);
    await victim?.kill();
    await victim?.ready();
    const journeys = await walking;

    await eventually(
      async () => {
        for (const { paymentId } of journeys) {
          const [group] = await sandbox.events(`purchase_${paymentId}`);
          const sent = group?.server ?? [];
          // Killed between Meta's receipt and our note of it, the outcome is unknown: then the very
          // same event goes again, and Meta's deduplication makes it one.
          assert.ok(sent.length >= 1, `purchase_${paymentId} is at Meta`);
          assert.equal(new Set(sent.map(({ eventTime }) => eventTime)).size, 1);
        }
      },
      { timeoutMs: 60_000, intervalMs: 250 },
    );
    const paymentIds = journeys.map(({ paymentId }) => paymentId);
    const ledger = await eventually(
      async () => {
        const rows = await sql<{ eventId: string; times: number }[]>`
        select event->'data'->>'eventId' as event_id, count(*) as times from capi.events
        where type = 'ConversionAccepted' and event->'data'->>'paymentId' = any(${paymentIds})
        group by 1`;
        assert.equal(rows.length, 20);
        return rows;
      },
      { timeoutMs: 60_000, intervalMs: 250 },
    );
    t.ok(
      ledger.every(({ times }) => times === 1),
      'each order has exactly one accepted Purchase',
    );
    const resent = await sandbox.events();
    const twice = resent.filter(
      ({ eventId, server }) => paymentIds.some((id) => eventId.endsWith(id)) && server.length > 1,
    );
    if (name !== 'capi-dispatcher') t.same(twice, [], 'no Purchase was sent again');

    const tokens = journeys.flatMap(({ answeredTokens }) => answeredTokens);
    const clicks = await eventually(
      async () => {
        const rows = await sql<{ times: number }[]>`
        select count(*) as times from tracking.event_log
        where type = 'ClickTracked' and tracking_token = any(${tokens}) group by tracking_token`;
        assert.equal(rows.length, tokens.length, 'every answered click is in the log');
        return rows;
      },
      { timeoutMs: 30_000, intervalMs: 250 },
    );
    t.ok(
      clicks.every(({ times }) => times === 1),
      'every click is in the log once',
    );
    t.comment(`${name}: 20 paid, ${twice.length} sent again after an unknown outcome`);
  });
}
