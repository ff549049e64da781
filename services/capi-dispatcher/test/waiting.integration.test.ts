/**
 * Goal: what waits, for its time or for its pixel, is still subject to the rules: it outlasts its
 * dispatcher, is withdrawn when somebody switches it off, and grows old.
 * Method: real NATS and Postgres, a dispatcher, the sandbox's Graph log as the witness, a pool and a
 * pixel for each case; time passes by moving the ledger's own times.
 */
import { eventually, sampleEvent } from '@rastro/testing';
import t from 'tap';
import { defaultPace } from '../src/core/pace.ts';
import { journeyOf, startWorld } from './world.ts';

await using world = await startWorld();
const { graph, pools, publish, sql, untilState } = world;

await t.test('a hold and a grace outlast the dispatcher that began them', async (t) => {
  const holdMs = 5_000;
  const pool = await pools.add({
    pageViewHoldMs: holdMs,
    purchaseGraceMinutes: holdMs / 60_000,
  });
  let waited: { eventId: string; sinceMs: number }[] = [];
  {
    await using _first = await world.start();
    const { click, paid, pageViewId, purchaseId } = journeyOf(pool);
    waited = [
      { eventId: pageViewId, sinceMs: Date.parse(click.data.clickedAt) },
      { eventId: purchaseId, sinceMs: Date.parse(paid.data.paidAt) },
    ];
    await publish(click, paid);
    for (const { eventId } of waited) await untilState(eventId, 'waiting');
  }
  t.same(await graph.requests(pool.pixelId), [], 'nothing goes because the dispatcher ends');
  await using _second = await world.start();
  for (const { eventId } of waited) await untilState(eventId, 'accepted');
  const requests = await graph.requests(pool.pixelId);
  for (const { eventId, sinceMs } of waited) {
    const [request, ...more] = requests.filter(({ events }) =>
      events.some((event) => event.eventId === eventId),
    );
    const heldMs = (request?.atMs ?? 0) - sinceMs;
    t.ok(heldMs >= holdMs && heldMs < 20_000, `${eventId} was held for ${heldMs} ms`);
    t.same(more, [], 'and went once');
  }
});

await using dispatcher = await world.start();

await t.test('what is switched off while an event waits keeps it from going', async (t) => {
  const waiting = async () => {
    const pool = await pools.add({ pageViewHoldMs: 60_000 });
    return { pool, ...journeyOf(pool) };
  };
  const [view, sale, trigger, gone, retried, repeated] = await Promise.all([
    waiting(),
    waiting(),
    waiting(),
    waiting(),
    waiting(),
    waiting(),
  ]);
  // A second pool of that pixel, for without a token it would be parked.
  await pools.add({ pixelId: gone.pool.pixelId });
  const all = [view, sale, trigger, gone, retried, repeated];
  await publish(...all.map(({ click }) => click), sale.paid, trigger.paid);
  for (const { pageViewId } of all) await untilState(pageViewId, 'waiting');
  for (const { purchaseId } of [sale, trigger]) await untilState(purchaseId, 'waiting');
  await sql`
    update conversions set attempts = 1, first_attempt_at = now(), state = 'unconfirmed',
      unknown_since = now()
    where event_id = ${repeated.pageViewId}`;
  await sql`
    update conversions set attempts = 1, first_attempt_at = now(), state = 'due'
    where event_id = ${retried.pageViewId}`;
  await pools.change(view.pool, { events: { pageView: false, purchase: true } });
  await pools.change(sale.pool, { events: { pageView: true, purchase: false } });
  await pools.change(trigger.pool, { purchaseTrigger: 'off' });
  await pools.remove(gone.pool);
  await pools.change(retried.pool, { enabled: false });
  await pools.change(repeated.pool, { enabled: false });
  await world.untilCatalogKnown();
  // The hold and the grace end.
  const pixels = all.map(({ pool }) => pool.pixelId);
  await sql`
    update conversions set due_at = now()
    where pixel_id = any(${pixels}::text[]) and state <> 'skipped'`;
  const expected: [eventId: string, reason: string][] = [
    [view.pageViewId, 'event_off'],
    [sale.purchaseId, 'event_off'],
    [trigger.purchaseId, 'trigger_off'],
    [gone.pageViewId, 'unknown_pool'],
    [retried.pageViewId, 'meta_disabled'],
  ];
  for (const [eventId, reason] of expected) {
    t.equal((await untilState(eventId, 'skipped')).reason, reason);
    t.same(await graph.group(eventId), undefined, 'nobody was told');
    const said = await sql<{ type: string; reason: string | null }[]>`
      select type, event->'data'->>'skippedReason' as reason from events
      where event->'data'->>'eventId' = ${eventId} order by global_position`;
    t.same(
      said.map(({ type, reason: told }) => [type, told]),
      [
        ['ConversionScheduled', null],
        ['ConversionScheduled', reason],
      ],
    );
  }
  for (const eventId of [sale.pageViewId, trigger.pageViewId])
    await untilState(eventId, 'accepted');
  await untilState(repeated.pageViewId, 'accepted');
  t.pass('what Meta may have is repeated all the same');
});

await t.test('what is parked grows old, and a probe asks with what has not', async (t) => {
  const pool = await pools.add({}, { isTokenKnown: false });
  const { pixelId } = pool;
  const switched = await pools.add({ pixelId, purchaseTrigger: 'paid', accessToken: null });
  const sales = Array.from({ length: 3 }, () => journeyOf(switched));
  const { click, signals, pageViewId: fresh } = journeyOf(pool);
  await publish(click, signals, ...sales.map(({ paid }) => paid));
  for (const { purchaseId } of sales) await untilState(purchaseId, 'parked');
  await untilState(fresh, 'parked');
  await pools.change(switched, { enabled: false });
  await world.untilCatalogKnown();
  const [old = '', ...others] = sales.map(({ purchaseId }) => purchaseId);
  const asked = (await graph.requests(pixelId)).length;
  await sql`
    update conversions set event_time = event_time - 8 * 86400 where event_id = ${old}`;
  await sql`update pixels set probe_at = now() where pixel_id = ${pixelId}`;
  await untilState(old, 'expired');
  for (const eventId of others) await untilState(eventId, 'skipped');
  const last = await eventually(async () => {
    const requests = await graph.requests(pixelId);
    if (requests.length <= asked) throw new Error('Meta was not asked');
    return requests.at(-1);
  });
  t.equal(last?.events[0]?.eventId, fresh, 'in the same hour');
  await untilState(fresh, 'parked');
  const alarms = await world.alarmsOf(pixelId, 2);
  t.match(alarms, [{ code: 'PIXEL_PARKED' }, { code: 'CONVERSIONS_EXPIRED' }]);
  const [told] = await sql`
    select type from events where event->'data'->>'eventId' = ${old}
    order by global_position desc limit 1`;
  t.equal(told?.['type'], 'ConversionRejected');
});

await t.test('what is too old is never sent', async (t) => {
  const pool = await pools.add();
  const old = journeyOf(pool);
  const clickedAt = new Date(Date.now() - 8 * 86_400_000).toISOString();
  await publish(sampleEvent('ClickTracked', { ...old.click.data, clickedAt }));
  await untilState(old.pageViewId, 'expired');

  // Another one, in no hurry to repeat: before that, time passes.
  await dispatcher[Symbol.asyncDispose]();
  await using _patient = await world.start({ pace: { ...defaultPace, retryBaseMs: 60_000 } });
  await graph.fault(pool.pixelId, { times: 1, action: { reset: true } });
  const { click, signals, pageViewId: unknown } = journeyOf(pool);
  await publish(click, signals);
  await untilState(unknown, 'unconfirmed');
  await sql`
    update conversions set unknown_since = now() - interval '49 hours', due_at = now()
    where event_id = ${unknown}`;
  await untilState(unknown, 'dead');
  const said = await sql<{ type: string; reason: string }[]>`
    select type, event->'data'->>'reason' as reason from events
    where event->'data'->>'pixelId' = ${pool.pixelId} and type <> 'ConversionScheduled'
    order by global_position`;
  const types = said.map(({ type }) => type);
  t.same(types, ['ConversionRejected', 'ConversionUnconfirmed', 'ConversionRejected']);
  t.match(said, [{ reason: /^older than 7 days/ }, {}, { reason: /unknown for 48 hours/ }]);
  t.match(await world.alarmsOf(pool.pixelId, 2), [
    { level: 50, code: 'CONVERSIONS_EXPIRED', events: 1, eventIds: [old.pageViewId] },
    { level: 50, code: 'CONVERSIONS_DEAD', events: 1, eventIds: [unknown] },
  ]);
  t.equal((await graph.requests(pool.pixelId)).length, 1, 'not repeated after 48 hours');
});
