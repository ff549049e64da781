/**
 * Goal: what an operator sends again goes exactly once more, under the same event_id, event_time
 * and body, announced to the others; what Meta would count twice or refuse goes only when forced,
 * and then alone.
 * Method: real NATS and Postgres, a running dispatcher, the sandbox's Graph log as the witness, a
 * pixel for each case; time passes by moving the ledger's own times.
 */
import { Catalog, followCatalog } from '@rastro/messaging';
import { eventually, sampleEvent } from '@rastro/testing';
import t from 'tap';
import type { Wish } from '../src/adapters/ledger-judgement.ts';
import { openLedger } from '../src/ledger.ts';
import { journeyOf, startWorld, type TestPool } from './world.ts';

await using world = await startWorld();
const { graph, pools, publish, sql, untilState } = world;
const catalog = new Catalog();
await using _catalog = await followCatalog(world.nats, { catalog });
await using _dispatcher = await world.start();
const ledger = openLedger({
  sql,
  graphUrl: 'https://graph.example/v26.0',
  deliveryUrl: 'https://go.example.com/delivery/',
  poolsOf: async () => () => catalog.list('pool').map(({ item }) => item),
});

type Again = Partial<Omit<Wish, 'filter'>> & { filter?: Wish['filter'] };

const wishOf = (command: Wish['command'], pool: TestPool, changes: Again = {}): Wish => ({
  command,
  limit: null,
  isForced: false,
  ...changes,
  filter: { pixel: pool.pixelId, ...changes.filter },
});

/** Verdicts with their notes and how many events each. */
async function previewed(wish: Wish): Promise<Record<string, number>> {
  const { groups } = await ledger.preview(wish);
  return Object.fromEntries(
    groups.map(({ verdict, notes, events }) => [[verdict, ...notes].join(' '), events]),
  );
}

async function sendAgain(wish: Wish) {
  const { asOf } = await ledger.preview(wish);
  return ledger.sendAgain(wish, asOf);
}

async function accepted(pool: TestPool, count: number): Promise<string[]> {
  const journeys = Array.from({ length: count }, () => journeyOf(pool));
  for (const { click, signals } of journeys) await publish(click, signals);
  for (const { pageViewId } of journeys) await untilState(pageViewId, 'accepted');
  return journeys.map(({ pageViewId }) => pageViewId);
}

async function plannedFor(wish: Wish) {
  const { asOf } = await ledger.preview(wish);
  const planned = [];
  for await (const request of ledger.requests(wish, asOf)) planned.push(request);
  return planned;
}

/** Resolves once Meta has so many copies. */
const copiesOf = (eventId: string, count: number): Promise<unknown[]> =>
  eventually(async () => {
    const copies = (await graph.group(eventId))?.server.map(({ raw }) => raw) ?? [];
    if (copies.length !== count) throw new Error(`${copies.length} copies of ${eventId}`);
    return copies;
  });

async function said(eventId: string): Promise<string[]> {
  const rows = await sql<{ type: string }[]>`
    select type from events where event->'data'->>'eventId' = ${eventId} order by global_position`;
  return rows.map(({ type }) => type);
}

await t.test('an accepted event goes once more, the same byte for byte', async (t) => {
  const pool = await pools.add({ pageViewHoldMs: 60_000, purchaseTrigger: 'paid' });
  const { click, paid, purchaseId } = journeyOf(pool);
  await publish(click, paid);
  await untilState(purchaseId, 'accepted');
  const wish = wishOf('replay', pool, { filter: { event: 'Purchase' } });
  t.same(await previewed(wish), { again: 1 });
  const planned = await plannedFor(wish);
  t.match(planned, [{ method: 'POST', url: `https://graph.example/v26.0/${pool.pixelId}/events` }]);
  t.notOk(JSON.stringify(planned).includes(pool.token), 'no token is shown');
  t.equal((await graph.requests(pool.pixelId)).length, 1, 'telling sends nothing');
  t.same(await sendAgain(wish), { again: 1, probed: 0, missed: 0 });
  const [first, second] = await copiesOf(purchaseId, 2);
  t.same(first, second, 'id, time and body');
  t.same(JSON.parse(planned[0]?.body ?? '').data, [second], 'as the dry run said');
  await untilState(purchaseId, 'accepted');
  t.same(await said(purchaseId), [
    'ConversionScheduled',
    'ConversionAccepted',
    'ConversionScheduled',
    'ConversionAccepted',
  ]);
  const [shown] = await ledger.find({ kind: 'event', eventId: purchaseId });
  t.match(shown?.calls, [{ outcome: 'accepted', events: 1 }, { outcome: 'accepted' }]);
  t.match(shown?.sent, { event_id: purchaseId, user_data: { client_ip_address: /^2804…/ } });
});

await t.test(
  'a test code that is taken out of the catalog goes with nothing any more',
  async (t) => {
    const pool = await pools.add({ testEventCode: 'TEST1' });
    const { click, signals, pageViewId } = journeyOf(pool);
    await graph.fault(pool.pixelId, { times: 1, action: { acceptThenDrop: true } });
    await publish(click, signals);
    await untilState(pageViewId, 'accepted');
    const codesOf = async () =>
      (await graph.requests(pool.pixelId)).map(({ testEventCode }) => testEventCode);
    t.same(await codesOf(), ['TEST1', 'TEST1'], 'a repeat has it while the catalog has');
    await pools.change(pool, { testEventCode: null });
    await eventually(async () => {
      const { item } = catalog.list('pool').find(({ item: { id } }) => id === pool.pool.id) ?? {};
      if (item?.meta.testEventCode !== null) throw new Error('the catalog is not known yet');
    });
    await world.untilCatalogKnown();
    const planned = await plannedFor(wishOf('replay', pool));
    t.notMatch(planned[0]?.body, 'TEST1', 'nor in a dry run');
    await sendAgain(wishOf('replay', pool));
    const copies = await copiesOf(pageViewId, 3);
    t.same(copies[0], copies[2], 'the event itself is the same');
    t.same(await codesOf(), ['TEST1', 'TEST1', null]);
    // As if Meta had refused it: surely not there, and switched off in the catalog.
    await untilState(pageViewId, 'accepted');
    await sql`
    update conversions set state = 'rejected', unknown_since = null where event_id = ${pageViewId}`;
    t.equal((await plannedFor(wishOf('retry', pool))).length, 1);
    await pools.change(pool, { enabled: false });
    await eventually(async () => {
      const planned = await plannedFor(wishOf('retry', pool));
      if (planned.length > 0) throw new Error('a dry run shows what would be skipped');
    });
  },
);

await t.test('a rejected event is made anew of what is known by now', async (t) => {
  const pool = await pools.add();
  const { click, signals, pageViewId } = journeyOf(pool);
  const refusal = { status: 400, code: 100, subcode: 2_804_019 };
  await graph.fault(pool.pixelId, { times: 1, action: refusal });
  await publish(click);
  const { eventTime, body } = await untilState(pageViewId, 'rejected');
  await publish(
    sampleEvent('BrowserSignalsCaptured', { ...signals.data, fbp: 'fb.1.1763640000999.777' }),
  );
  await eventually(async () => {
    const [known] = await sql`select 1 from journeys where journey::text like '%000999.777%'`;
    if (!known) throw new Error('not known yet');
  });
  t.same(await previewed(wishOf('replay', pool)), { 'left belongs_to_retry': 1 });
  t.same(await sendAgain(wishOf('retry', pool)), { again: 1, probed: 0, missed: 0 });
  const row = await untilState(pageViewId, 'accepted');
  const [copy] = await copiesOf(pageViewId, 1);
  t.match(copy, { event_time: eventTime, user_data: { fbp: 'fb.1.1763640000999.777' } });
  t.not(row.body, body);
  t.equal(row.attempts, 1, 'counted anew');
  t.equal((await graph.requests(pool.pixelId)).length, 2);
});

await t.test('older than 48 hours: only by force, alone, the young ones together', async (t) => {
  const pool = await pools.add();
  const eventIds = await accepted(pool, 3);
  await sql`
    update conversions set first_attempt_at = now() - interval '49 hours'
    where event_id = ${eventIds[0] ?? ''}`;
  const before = (await graph.requests(pool.pixelId)).length;
  t.same(await previewed(wishOf('replay', pool)), { again: 2, 'refused counts_twice': 1 });
  const insisted = wishOf('replay', pool, { isForced: true });
  t.same(await previewed(insisted), { again: 2, 'again counts_twice': 1 });
  t.same(await sendAgain(insisted), { again: 3, probed: 0, missed: 0 });
  for (const eventId of eventIds) {
    const [first, second] = await copiesOf(eventId, 2);
    t.same(first, second);
    await untilState(eventId, 'accepted');
  }
  const sizes = (await graph.requests(pool.pixelId))
    .slice(before)
    .map(({ eventCount }) => eventCount);
  t.same(
    sizes.toSorted((a, b) => a - b),
    [1, 2],
  );
  const [forced] = await sql`
    select event_id from conversions where is_forced and pixel_id = ${pool.pixelId}`;
  t.equal(forced?.['eventId'], eventIds[0]);
});

await t.test('older than 7 days: refused by us, and by Meta when forced, alone', async (t) => {
  const pool = await pools.add();
  const old = journeyOf(pool);
  const clickedAt = new Date(Date.now() - 8 * 86_400_000).toISOString();
  await publish(sampleEvent('ClickTracked', { ...old.click.data, clickedAt }));
  await untilState(old.pageViewId, 'expired');
  const [young = ''] = await accepted(pool, 1);
  t.same(await previewed(wishOf('replay', pool)), { again: 1, 'refused too_old': 1 });
  const retried = await sendAgain(wishOf('retry', pool, { isForced: true }));
  t.same(retried, { again: 0, probed: 0, missed: 0 }, 'what asks nobody is not for these');
  await sendAgain(wishOf('replay', pool, { isForced: true }));
  await untilState(old.pageViewId, 'rejected');
  await copiesOf(young, 2);
  await untilState(young, 'accepted');
});

await t.test('skipped: once the catalog is mended; without consent never', async (t) => {
  const pool = await pools.add({ accessToken: null });
  const asking = await pools.add(
    { events: { pageView: false, purchase: true } },
    { consent: 'required' },
  );
  const [first, second] = [journeyOf(pool), journeyOf(asking)];
  await publish(first.click, first.signals);
  await publish(sampleEvent('ClickTracked', { ...second.click.data, consent: 'denied' }));
  await untilState(first.pageViewId, 'skipped');
  await untilState(second.pageViewId, 'skipped');
  t.same(await previewed(wishOf('replay', pool)), { 'left still_skipped no_access_token': 1 });
  t.same(await previewed(wishOf('replay', asking)), { 'left still_skipped event_off': 1 });
  await pools.changeToken(pool, pool.token);
  const meta = { ...asking.pool.meta, events: { pageView: true, purchase: true } };
  await pools.changeToken({ ...asking, pool: { ...asking.pool, meta } }, asking.token);
  await eventually(async () => {
    const { again } = await previewed(wishOf('replay', pool));
    if (again !== 1) throw new Error('the catalog is not known yet');
  });
  await eventually(async () => {
    const told = await previewed(wishOf('replay', asking));
    if (told['left still_skipped no_consent'] !== 1) throw new Error(JSON.stringify(told));
  });
  await world.untilCatalogKnown();
  await sendAgain(wishOf('replay', asking, { isForced: true }));
  await sendAgain(wishOf('replay', pool));
  await untilState(first.pageViewId, 'accepted');
  await copiesOf(first.pageViewId, 1);
  await untilState(second.pageViewId, 'skipped');
});

await t.test('parked: the pixel is tried at once; what somebody holds is let be', async (t) => {
  const pool = await pools.add({}, { isTokenKnown: false });
  const { click, signals, pageViewId } = journeyOf(pool);
  await publish(click, signals);
  await untilState(pageViewId, 'parked');
  t.same(await sendAgain(wishOf('retry', pool)), { again: 0, probed: 1, missed: 0 });
  await eventually(async () => {
    const asked = (await graph.requests(pool.pixelId)).length;
    if (asked !== 2) throw new Error(`Meta was asked ${asked} times`);
  });
  await untilState(pageViewId, 'parked');
  await sql.begin(async (tx) => {
    await tx`select 1 from conversions where event_id = ${pageViewId} for update`;
    t.same(await sendAgain(wishOf('retry', pool)), { again: 0, probed: 0, missed: 1 });
  });
});
