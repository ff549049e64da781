/**
 * Goal: what is older than it is to be kept is gone from the log, from what is derived of it and
 * from the cache, once and for all; a rebuild afterwards changes nothing.
 * Method: real Postgres and Redis, journeys of long ago, the clock as an argument.
 */
import { join } from 'node:path';
import type { RastroEvent } from '@rastro/events';
import { connectPostgres, connectRedis } from '@rastro/runtime';
import { eventually, migratedDatabase, startTestServers, testLog } from '@rastro/testing';
import t from 'tap';
import { createAnswerCache } from '../src/adapters/answer-cache.ts';
import { truncatingLateEvents } from '../src/adapters/late-events.ts';
import { lock } from '../src/adapters/locks.ts';
import { createPartitions } from '../src/adapters/partitions.ts';
import { createStoreBatch } from '../src/adapters/tracking-store.ts';
import { createTrackingReader } from '../src/adapters/tracking-reader.ts';
import { projections } from '../src/rebuild/projections.ts';
import { rebuild } from '../src/rebuild/rebuild.ts';
import { planRetention, runRetention } from '../src/retention/retention.ts';
import { journey, tokenOf } from './journeys.ts';

const schema = 'tracking';
const folders = [{ name: 'service', path: join(import.meta.dirname, '../migrations') }];
const servers = await startTestServers({ postgres: true, redis: true });
t.teardown(() => servers[Symbol.asyncDispose]());
const database = await migratedDatabase(servers, { schema, folders });
t.teardown(() => database[Symbol.asyncDispose]());
const { sql, url } = database;
const log = testLog();
const redis = connectRedis({ url: servers.redis.url, service: 'test', log });
t.teardown(() => redis.disconnect());
// A write is given up where Redis is not reached yet.
await eventually(() => redis.ping());
const cache = createAnswerCache(redis, log);
const find = createTrackingReader(sql, cache);
const store = createStoreBatch(sql, createPartitions(sql));

const dayMs = 86_400_000;
const now = new Date();
const daysAgo = (days: number): Date => new Date(now.getTime() - days * dayMs);
const [sessions] = projections;
if (!sessions) throw new Error('no projection');

const run = (rules: { ipDays?: number; eventMonths?: number }, at = now) =>
  runRetention({
    url,
    schema,
    rules: { ipDays: 30, eventMonths: 0, ...rules },
    now: at,
    onChange: (tokens) => cache.drop(tokens),
  });

const isIdentical = async (): Promise<boolean> =>
  (await rebuild({ adminUrl: servers.postgres.url, schema, projection: sessions })).isIdentical;

async function addressesOf(token: string): Promise<unknown[]> {
  const rows = await sql<{ event: RastroEvent }[]>`
    select event from event_log where tracking_token = ${token} order by time`;
  return rows.flatMap(({ event: { data } }) => {
    const { clientIp, fbi } = data as { clientIp?: unknown; fbi?: unknown };
    return clientIp === undefined ? [] : [[clientIp, fbi ?? null]];
  });
}

async function everythingOf(token: string): Promise<string> {
  const rows = await sql`
    select s::text as session from sessions s where tracking_token = ${token}
    union all select event::text from event_log where tracking_token = ${token}`;
  return JSON.stringify([rows, await redis.get(`tracking:${token}`)]);
}

await t.test('addresses are truncated when their time is over, everywhere', async (t) => {
  const old = journey({ at: daysAgo(31) }).map((event) =>
    event.type === 'BrowserSignalsCaptured'
      ? { ...event, data: { ...event.data, clientIp: '2804:14c:1:2::3', fbi: '2804:14c:1:9::9' } }
      : event,
  );
  const young = journey({ at: daysAgo(29) });
  const [oldToken, youngToken] = [tokenOf(old), tokenOf(young)];
  const returning = journey({ token: oldToken, at: daysAgo(1), hasSale: true }).slice(4);
  await store([...old, ...returning, ...young]);
  await find({ trackingToken: oldToken });
  await eventually(async () => {
    if (!(await redis.exists(`tracking:${oldToken}`))) throw new Error('not cached yet');
  });

  const plan = await planRetention({ url, schema, rules: { ipDays: 30, eventMonths: 0 }, now });
  t.match(plan, { months: [], addresses: { events: 2, to: daysAgo(30).toISOString() } });
  t.match(await everythingOf(oldToken), /177\.10\.20\.30/, 'a plan changes nothing');

  t.match(await run({}), { outcome: 'done', truncatedEvents: 2 });
  t.strictSame(await addressesOf(oldToken), [
    ['177.10.20.0', null],
    ['2804:14c:1::', '2804:14c:1::'],
    ['177.10.20.30', null],
  ]);
  t.strictSame(await addressesOf(youngToken), [
    ['177.10.20.30', null],
    ['177.10.20.30', null],
  ]);
  const [row] = await sql`
    select client_ip, version from sessions where tracking_token = ${oldToken}`;
  t.match(row, { clientIp: '177.10.20.0', version: old.length + returning.length });
  await eventually(async () => {
    if (await redis.exists(`tracking:${oldToken}`)) throw new Error('the copy is still there');
  });
  t.ok(await isIdentical());

  t.match(await run({}), { truncatedEvents: 0 }, 'a day is looked at once');
  const later = await run({}, new Date(now.getTime() + 3 * dayMs));
  t.match(later, { truncatedEvents: 2 }, 'the young one two days later');
  t.ok(await isIdentical());
});

await t.test('a copy of before is not answered, even when its version is the same', async (t) => {
  const events = journey({ at: daysAgo(40) });
  const token = tokenOf(events);
  await store(events);
  await find({ trackingToken: token });
  const copy = await eventually(async () => {
    const text = await redis.get(`tracking:${token}`);
    if (text === null) throw new Error('not cached yet');
    return text;
  });
  await sql`delete from retention_progress`;
  await run({});
  await redis.set(`tracking:${token}`, copy);
  t.match((await find({ trackingToken: token }))?.session, { click: { clientIp: '177.10.20.0' } });
});

await t.test('an event that comes late is truncated on its way in', async (t) => {
  const late = truncatingLateEvents(store, { ipDays: 30, now: Date.now });
  const [old, young] = [journey({ at: daysAgo(45) }), journey({ at: daysAgo(2) })];
  await late([...old, ...young]);
  t.notMatch(await everythingOf(tokenOf(old)), /177\.10\.20\.30/);
  t.match(await everythingOf(tokenOf(young)), /177\.10\.20\.30/);
  t.match(await run({}), { truncatedEvents: 0 });
  t.ok(await isIdentical());
  const never = journey({ at: daysAgo(45) });
  await truncatingLateEvents(store, { ipDays: 0, now: Date.now })(never);
  t.match(await run({ ipDays: 0 }), { outcome: 'done', truncatedEvents: 0 });
  t.match(await everythingOf(tokenOf(never)), /177\.10\.20\.30/, '0 keeps them');
  t.match(await run({}), { truncatedEvents: 2 }, 'and a limit later on finds them');
});

await t.test('old months are dropped, with what only they told', async (t) => {
  const [gone, reaching] = [journey({ at: daysAgo(200) }), journey({ at: daysAgo(200) })];
  const kept = journey({ token: tokenOf(reaching), at: daysAgo(3), hasSale: true }).slice(4);
  await store([...gone, ...reaching, ...kept]);
  const [before] = await sql<{ rows: number }[]>`select count(*) as rows from event_log`;
  const plan = await planRetention({ url, schema, rules: { ipDays: 0, eventMonths: 3 }, now });
  const month = daysAgo(200).toISOString().slice(0, 7);
  t.strictSame(plan, { months: [{ month, events: 8 }], addresses: null });

  const report = await run({ eventMonths: 3 });
  t.strictSame(report.droppedMonths, [month]);
  const [after] = await sql<{ rows: number }[]>`select count(*) as rows from event_log`;
  t.equal(after?.rows, (before?.rows ?? 0) - 8);
  t.equal(await find({ trackingToken: tokenOf(gone) }), undefined);
  const left = await find({ trackingToken: tokenOf(reaching) });
  t.match(left, { session: { click: null, payment: { status: 'paid' } } });
  t.equal(left?.journey.length, kept.length);
  t.strictSame([...(await sql`select 1 from retention_backlog`)], []);
  t.ok(await isIdentical());

  // The service tries again when a month that it knew is gone.
  await t.rejects(store(gone), { code: '23514' });
  await store(gone);
  t.ok(await find({ trackingToken: tokenOf(gone) }), 'a late event makes its month again');
  t.strictSame((await run({ eventMonths: 3 })).droppedMonths, [month], 'until the next run');
  const young = `${now.toISOString().slice(0, 7)}-01`;
  await t.rejects(sql`select drop_event_log_partition(${young}::text::date)`.execute(), {
    message: /too young/,
  });
  await t.rejects(sql`drop table event_log`.execute(), { code: '42501' });
});

await t.test(
  'one run at a time, none during a rebuild, and a cut-off run is finished',
  async (t) => {
    const events = journey({ at: daysAgo(300) });
    await store(events);
    const admin = connectPostgres({ url: servers.postgres.url, schema, service: 'test' });
    t.teardown(() => admin.end({ timeout: 1 }));
    await admin.begin(async (tx) => {
      await lock(tx, 'retention', 'alone');
      t.match(await run({ eventMonths: 6 }), { outcome: 'busy' });
    });
    await admin.begin(async (tx) => {
      await lock(tx, 'rewriting', 'alone');
      t.match(await run({ eventMonths: 6 }), { outcome: 'postponed', droppedMonths: [] });
      t.match(await run({}), { outcome: 'postponed', truncatedEvents: 0 });
    });
    // As if it had died right after dropping the month.
    await sql`insert into retention_backlog values (${tokenOf(events)}) on conflict do nothing`;
    await sql`delete from event_log where tracking_token = ${tokenOf(events)}`;
    t.match(await run({}), { outcome: 'done' });
    t.equal(await find({ trackingToken: tokenOf(events) }), undefined);
    t.ok(await isIdentical());
  },
);

await t.test('storing and retention of the same journeys do not get into each other', async (t) => {
  const journeys = Array.from({ length: 20 }, () => journey({ at: daysAgo(60) }));
  for (const events of journeys) await store(events);
  await sql`delete from retention_progress`;
  const storing = (async () => {
    for (let round = 0; round < 3; round += 1) {
      for (const events of journeys) {
        await store(journey({ token: tokenOf(events), at: daysAgo(1), hasSale: true }).slice(3, 7));
      }
    }
  })();
  const report = await run({});
  await storing;
  t.match(report, { outcome: 'done' });
  t.ok(report.truncatedEvents >= 40);
  t.ok(await isIdentical());
});
