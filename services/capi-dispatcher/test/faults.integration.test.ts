/**
 * Goal: whatever Meta, the network or the dispatcher itself does, an event is told to Meta once,
 * and again only after an unknown outcome, then byte for byte the same.
 * Method: real NATS and Postgres; the sandbox's Graph with faults switched on per pixel, and its
 * log as the witness; dispatchers in this process, and one in a process that is killed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RastroEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { eventually, sampleEvent } from '@rastro/testing';
import t from 'tap';
import { recordAttempt } from '../src/adapters/attempts.ts';
import { classify } from '../src/core/outcome.ts';
import { journeyOf, startWorld, type TestPool } from './world.ts';

t.setTimeout(240_000);
await using world = await startWorld();
const { graph, pools, publish, sql, untilState } = world;

/** What was said in public about one pixel's conversions, or about the pixel itself. */
async function said(pixelId: string): Promise<string[]> {
  const rows = await sql<{ type: string }[]>`
    select type from events where event->'data'->>'pixelId' = ${pixelId}
    order by global_position`;
  return rows.map(({ type }) => type).filter((type) => type !== 'ConversionScheduled');
}

async function copiesOf(eventId: string): Promise<unknown[]> {
  const group = await graph.group(eventId);
  return group?.server.map(({ raw }) => raw) ?? [];
}

// One dispatcher for all that Meta can do.
{
  await using _dispatcher = await world.start();

  async function pageView(pool: TestPool): Promise<string> {
    const { click, signals, pageViewId } = journeyOf(pool);
    await publish(click, signals);
    return pageViewId;
  }

  await t.test('an outage that will pass is waited out', async (t) => {
    const pool = await pools.add();
    await graph.fault(pool.pixelId, { times: 2, action: { status: 500, code: 2 } });
    const { attempts } = await untilState(await pageView(pool), 'accepted');
    t.equal(attempts, 3);
    t.same(await said(pool.pixelId), ['ConversionAccepted'], 'nothing was ever unknown');
  });

  await t.test('a throttled pixel pauses, and no attempt is burned', async (t) => {
    const pool = await pools.add();
    await graph.fault(pool.pixelId, { times: 2, action: { status: 400, code: 80_004 } });
    const { attempts } = await untilState(await pageView(pool), 'accepted');
    t.equal(attempts, 1);
    const times = (await graph.requests(pool.pixelId)).map(({ atMs }) => atMs);
    t.equal(times.length, 3);
    const [first = 0, second = 0, third = 0] = times;
    t.ok(second - first >= 140, `first pause: ${second - first} ms`);
    t.ok(third - second >= 290, `then longer: ${third - second} ms`);
  });

  await t.test('a refused token parks the pixel; a new one resumes it', async (t) => {
    const pool = await pools.add({ purchaseTrigger: 'paid' }, { isTokenKnown: false });
    const neighbour = await pools.add();
    const first = await pageView(pool);
    await untilState(first, 'parked');
    // It says how many wait: the next ones come after that.
    await world.alarmsOf(pool.pixelId, 1);
    const { paid, click, purchaseId, pageViewId } = journeyOf(pool);
    await publish(click, paid);
    await untilState(purchaseId, 'parked');
    await untilState(await pageView(neighbour), 'accepted');
    t.equal((await graph.requests(pool.pixelId)).length, 1, 'Meta was asked once');
    t.same(await said(pool.pixelId), ['PixelParked']);
    await pools.changeToken(pool, 'EAAanotherToken');
    for (const eventId of [first, purchaseId, pageViewId]) await untilState(eventId, 'accepted');
    const types = await said(pool.pixelId);
    t.same(types.toSorted(), [
      ...Array.from({ length: 3 }, () => 'ConversionAccepted'),
      'PixelParked',
      'PixelResumed',
    ]);
    t.ok((await untilState(purchaseId, 'accepted')).attempts <= 2);
    t.match(
      await world.alarmsOf(pool.pixelId, 2),
      [
        {
          level: 50,
          code: 'PIXEL_PARKED',
          workspaceId: 'demo',
          metaCode: 190,
          reason: /^code 190/,
          waiting: 1,
          mending: /rastro doctor/,
        },
        { level: 30, code: 'PIXEL_RESUMED' },
      ],
      'an alarm, once',
    );
  });

  const unknowns = [
    { name: 'accepted, then the answer is lost', action: { acceptThenDrop: true }, copies: 2 },
    { name: 'the connection is reset', action: { reset: true }, copies: 1 },
    { name: 'a machine on the way answers in HTML', action: { html: true }, copies: 1 },
    { name: 'no answer in time', action: { delayMs: 3_500 }, copies: 2 },
  ];
  for (const { name, action, copies } of unknowns) {
    await t.test(`unknown outcome: ${name}`, async (t) => {
      // The PageView stays out of the way, so that the fault strikes the Purchase.
      const pool = await pools.add({ purchaseTrigger: 'paid', pageViewHoldMs: 60_000 });
      const { click, paid, purchaseId } = journeyOf(pool);
      await graph.fault(pool.pixelId, { times: 1, action });
      await publish(click, paid);
      await untilState(purchaseId, 'accepted');
      t.same(await said(pool.pixelId), ['ConversionUnconfirmed', 'ConversionAccepted']);
      const sent = await eventually(async () => {
        const requests = await graph.requests(pool.pixelId);
        if (requests.length < 2) throw new Error('the first request is still under way');
        return requests.flatMap(({ events }) => events);
      });
      t.equal(sent.length, 2);
      t.same(sent[0], sent[1], 'the same id and time again');
      const bodies = await copiesOf(purchaseId);
      t.equal(bodies.length, copies);
      t.same(bodies[0], bodies.at(-1), 'the same body again');
    });
  }
}

await t.test('poison events are found and stand alone', async (t) => {
  const pool = await pools.add({ purchaseTrigger: 'paid' });
  const journeys = Array.from({ length: 13 }, () => journeyOf(pool));
  const poisoned = new Set([journeys[4]?.purchaseId, journeys[9]?.purchaseId]);
  const events: RastroEvent[] = journeys.map(({ paid, purchaseId }) =>
    poisoned.has(purchaseId) ? sampleEvent('PaymentPaid', { ...paid.data, currency: 'ZZZ' }) : paid,
  );
  // Known to the dispatcher before it sends: they make one lot.
  await graph.fault(pool.pixelId, { times: 1, action: { status: 500, code: 2 } });
  await publish(...journeys.map(({ click }) => click), ...events);
  await using _dispatcher = await world.start();
  for (const { purchaseId } of journeys) {
    const state = poisoned.has(purchaseId) ? 'rejected' : 'accepted';
    const { attempts } = await untilState(purchaseId, state);
    t.ok(attempts <= 2, 'the search for a culprit is one attempt, not a failure for each call');
    t.equal((await copiesOf(purchaseId)).length, poisoned.has(purchaseId) ? 0 : 1);
  }
  const types = await said(pool.pixelId);
  t.equal(types.filter((type) => type === 'ConversionRejected').length, 2);
  const rejected = await sql<{ reason: string; code: number; subcode: number }[]>`
    select reason, code, subcode from conversions
    where pixel_id = ${pool.pixelId} and state = 'rejected'`;
  for (const row of rejected) t.match(row, { code: 100, subcode: 2_804_019, reason: /ISO 4217/ });
});

await t.test('two dispatchers at once never send the same', async (t) => {
  const pool = await pools.add({ purchaseTrigger: 'paid' });
  await using _one = await world.start();
  await using _other = await world.start();
  const journeys = Array.from({ length: 150 }, () => journeyOf(pool));
  for (let index = 0; index < journeys.length; index += 10) {
    const some = journeys.slice(index, index + 10);
    await publish(...some.flatMap(({ click, signals, paid }) => [click, paid, signals]));
  }
  for (const { pageViewId, purchaseId } of journeys) {
    await untilState(pageViewId, 'accepted');
    await untilState(purchaseId, 'accepted');
  }
  const requests = await graph.requests(pool.pixelId);
  const counts = await sql<{ events: number }[]>`
    select sum(cardinality(conversion_ids))::int as events from attempts
    where pixel_id = ${pool.pixelId}`;
  t.equal(counts[0]?.events, 300, 'each event took part in one call');
  t.equal(
    requests.reduce((sum, { eventCount }) => sum + eventCount, 0),
    300,
  );
  t.equal((await said(pool.pixelId)).length, 300, 'and each was announced once');
  const senders = new Set(requests.map(({ atMs }) => atMs));
  t.ok(senders.size < 300, 'in batches');
});

await t.test('a dispatcher killed while sending sends the same again', async (t) => {
  const pool = await pools.add({ purchaseTrigger: 'paid', pageViewHoldMs: 60_000 });
  const [quiet, killed] = [journeyOf(pool), journeyOf(pool)];
  const main = join(import.meta.dirname, '../src/main.ts');
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'], ...world.environment, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  await publish(quiet.click, quiet.signals, quiet.started);
  await untilState(quiet.pageViewId, 'accepted');
  const untilStruck = await graph.fault(pool.pixelId, { times: 1, action: { delayMs: 3_000 } });
  await publish(killed.click, killed.paid);
  // Sooner, it could be killed between writing down that it sends and sending.
  await untilStruck();
  await untilState(killed.purchaseId, 'sending');
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  // The lease of 15 s passes.
  await sql`update conversions set locked_until = now() where event_id = ${killed.purchaseId}`;
  await using _next = await world.start();
  const { attempts, eventTime } = await untilState(killed.purchaseId, 'accepted');
  t.equal(attempts, 2);
  t.equal(eventTime, Math.floor(Date.parse(killed.paid.data.paidAt) / 1_000));
  const copies = await eventually(async () => {
    const found = await copiesOf(killed.purchaseId);
    if (found.length < 2) throw new Error(`${found.length} copies`);
    return found;
  });
  t.same(copies[0], copies[1], 'the same id, time and body');
  t.ok((await said(pool.pixelId)).includes('ConversionUnconfirmed'));
  const calls = await sql`
    select outcome, a.reason, duration_ms, a.http_status, request->'data'->0->>'event_id' as sent
    from attempts a join conversions c on a.conversion_ids @> array[c.id]
    where c.event_id = ${killed.purchaseId} order by started_at`;
  const reason = 'the dispatcher ended while the call was under way';
  t.same(
    calls.map((call) => ({ ...call })),
    [
      { outcome: 'unknown', reason, durationMs: 0, httpStatus: null, sent: killed.purchaseId },
      { ...calls[1], outcome: 'accepted', reason: null, httpStatus: 200 },
    ],
    'as many calls as attempts',
  );

  const line = output.split('\n').find((text) => text.includes('[META RAW RESPONSE]')) ?? '{}';
  t.match(JSON.parse(line), { outcome: 'accepted', httpStatus: 200, events: 1, pixelId: /^7/ });
  t.match(JSON.parse(line), { fbtraceId: /^A/, eventIds: [quiet.pageViewId] });
});

await t.test('Postgres killed under load: nothing lost, nothing said twice', async (t) => {
  const pool = await pools.add({ purchaseTrigger: 'paid', pageViewHoldMs: 300 });
  await using _dispatcher = await world.start();
  const journeys = Array.from({ length: 60 }, () => journeyOf(pool));
  await publish(...journeys.flatMap(({ click, paid }) => [click, paid]));
  await graph.fault(pool.pixelId, { times: 30, action: { delayMs: 150 } });
  await delay(100);
  await world.servers.postgres.kill();
  await world.servers.postgres.start();
  const eventIds = journeys.flatMap(({ pageViewId, purchaseId }) => [pageViewId, purchaseId]);
  for (const eventId of eventIds) await untilState(eventId, 'accepted', 40_000);
  const unknown = await sql<{ eventId: string }[]>`
    select event->'data'->>'eventId' as event_id from events
    where type = 'ConversionUnconfirmed' and event->'data'->>'pixelId' = ${pool.pixelId}`;
  const repeatable = new Set(unknown.map(({ eventId }) => eventId));
  for (const eventId of eventIds) {
    const copies = await copiesOf(eventId);
    t.ok(copies.length === 1 || (copies.length > 1 && repeatable.has(eventId)), eventId);
    t.same(copies[0], copies.at(-1), 'and never with another body');
  }
  const types = await said(pool.pixelId);
  t.equal(types.filter((type) => type === 'ConversionAccepted').length, 120);
});

await t.test('a call is written down again after a commit whose answer got lost', async (t) => {
  const { pixelId } = await pools.add();
  const id = newId();
  const attempt = {
    id,
    lane: { workspaceId: 'demo', pixelId, eventName: 'PageView' as const },
    conversionIds: [],
    startedAt: new Date(),
    durationMs: 1,
    outcome: classify({ kind: 'answered', status: 200, body: '{}', waitMs: null }, 1),
    request: {},
    answer: '{}',
  };
  await recordAttempt(sql, attempt);
  await recordAttempt(sql, attempt);
  const rows = await sql`select 1 from attempts where id = ${id}`;
  t.equal(rows.length, 1);
});

await t.test('no token and nobody in what is kept of the calls', async (t) => {
  const [kept] = await sql<{ text: string; count: number }[]>`
    select string_agg(row_to_json(attempts)::text, ' ') as text, count(*)::int as count from attempts`;
  const text = kept?.text ?? '';
  t.ok((kept?.count ?? 0) > 20, 'calls were kept');
  t.match(text, /"event_id": "purchase_/);
  for (const secret of [
    'EAAtoken',
    'EAAanother',
    '2804:14c',
    '177.10.',
    'Mozilla/5.0 (L',
    'fbclid=',
  ]) {
    t.notOk(text.includes(secret), `${secret} is not kept`);
  }
  t.notMatch(text, /[0-9a-f]{64}/, 'no hash in full');
});
