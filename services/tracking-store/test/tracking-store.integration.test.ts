/**
 * Goal: every event is stored once, whatever dies in between, and a token's journey can be asked
 * for over HTTP and NATS with the right key and workspace.
 * Method: the whole service on real NATS, Postgres and Redis; servers are killed in mid-stream.
 */
import { join } from 'node:path';
import t from 'tap';
import {
  eventSubject,
  eventTypes,
  type RastroEvent,
  type ReplyOf,
  trackingGet,
} from '@rastro/events';
import {
  ask,
  connectNats,
  ensureStreams,
  listDeadLetters,
  type Nats,
  publishEvent,
} from '@rastro/messaging';
import { connectRedis, type RunningService } from '@rastro/runtime';
import {
  eventually,
  migratedDatabase,
  sampleEvent,
  startTestServers,
  testLog,
} from '@rastro/testing';
import { readConfig } from '../src/config.ts';
import { startService } from '../src/service.ts';
import { newToken } from './journeys.ts';

const folders = [{ name: 'tracking_store', path: join(import.meta.dirname, '../migrations') }];
const apiKey = 'a-test-key-of-the-rest-api';
const token = '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c';

const servers = await startTestServers({ nats: true, postgres: true, redis: true });
t.teardown(() => servers[Symbol.asyncDispose]());
const database = await migratedDatabase(servers, { schema: 'tracking', folders });
t.teardown(() => database[Symbol.asyncDispose]());
const { sql } = database;
const nats = await connectNats({ url: servers.nats.url, name: 'test', log: testLog() });
t.teardown(() => nats[Symbol.asyncDispose]());
await ensureStreams(nats);

const config = readConfig({
  PORT: '0',
  NATS_URL: servers.nats.url,
  POSTGRES_URL: database.url,
  REDIS_URL: servers.redis.url,
  RASTRO_API_KEY: apiKey,
  // The samples are of a certain day, which is long ago one day.
  IP_RETENTION_DAYS: '0',
});
let service: RunningService = await startService(config, testLog());
t.teardown(() => service[Symbol.asyncDispose]());

const now = (): string => new Date().toISOString();

async function get(path: string, authorization = `Bearer ${apiKey}`): Promise<Response> {
  return fetch(`${service.url}${path}`, { headers: { authorization } });
}

type Answer = ReplyOf<typeof trackingGet>;

async function tracking(of: string): Promise<Answer> {
  const response = await get(`/api/tracking/${of}`);
  if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
  return (await response.json()) as Answer;
}

async function storedIds(events: readonly RastroEvent[]): Promise<string[]> {
  const ids = events.map(({ id }) => id);
  const rows = await sql<{ eventId: string }[]>`
    select event_id from event_log where event_id = any(${ids}::uuid[])`;
  return rows.map(({ eventId }) => eventId);
}

async function untilStored(events: readonly RastroEvent[], timeoutMs = 40_000): Promise<void> {
  await eventually(
    async () => {
      const stored = await storedIds(events);
      if (stored.length !== events.length)
        throw new Error(`${stored.length} of ${events.length} events are stored`);
    },
    { timeoutMs },
  );
}

const publishAll = (events: readonly RastroEvent[]): Promise<void[]> =>
  Promise.all(events.map((event) => publishEvent(nats, event)));

/** Past the server's own dedupe, as a redelivery would come. */
async function publishUnderNewMessageId(to: Nats, event: RastroEvent): Promise<void> {
  await to.js.publish(eventSubject(event), JSON.stringify(event), { msgID: crypto.randomUUID() });
}

await t.test('each of the event types is stored once, repetitions change nothing', async (t) => {
  const events = eventTypes.map((type) => sampleEvent(type));
  await publishAll(events.toReversed());
  await untilStored(events);
  const [meta] = await sql`select * from meta_tracking_sessions`;
  t.strictSame(Object.keys(meta ?? {}), [
    'id',
    'trackingToken',
    'rootEventId',
    'pageviewSent',
    'pageviewSentAt',
    'fbclid',
    'fbc',
    'fbp',
    'userExternalId',
    'createdAt',
    'updatedAt',
  ]);
  t.match(meta, { trackingToken: token, rootEventId: `evt_${token}`, pageviewSent: true });
  const before = await sql`select * from sessions`;
  t.match(before, [{ poolId: 'promo', paymentStatus: 'charged_back', utmSource: 'FB' }]);

  for (const event of events) await publishUnderNewMessageId(nats, event);
  await eventually(async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    if (!metrics.includes(`duplicate_total{service="tracking-store"} ${events.length}`))
      throw new Error(metrics);
  });
  t.strictSame(await sql`select * from sessions`, before);
  const [count] = await sql<{ rows: number }[]>`select count(*) as rows from event_log`;
  t.equal(count?.rows, events.length);
  const [log] = await sql<{ event: RastroEvent }[]>`
    select event from event_log where type = 'ClickTracked'`;
  t.strictSame(
    log?.event,
    events.find(({ type }) => type === 'ClickTracked'),
  );
});

await t.test('the API answers the journey in order, with secrets hidden', async (t) => {
  const { session, journey, trackingToken } = await tracking(token);
  t.equal(trackingToken, token);
  t.match(session, { workspaceId: 'demo', payment: { status: 'charged_back' } });
  const keys = journey.map(({ time, id }) => `${time}/${id}`);
  t.strictSame(keys, keys.toSorted());
  const others = 'all but the bot, pixel, refusal and erasure events';
  t.equal(journey.length, eventTypes.length - 5, others);
  const issued = sampleEvent('DeliveryIssued');
  t.notMatch(JSON.stringify({ session, journey }), issued.data.deliveryToken);
});

await t.test('the API refuses strangers, bad tokens and unknown ones', async (t) => {
  const expectations = [
    [await get(`/api/tracking/${token}`, ''), 401],
    [await get(`/api/tracking/${token}`, 'Bearer wrong'), 401],
    [await get(`/api/tracking/${token}`, `Basic ${apiKey}`), 401],
    [await get('/api/tracking/nonsense', ''), 401],
    [await get('/api/tracking/nonsense'), 400],
    [await get(`/api/tracking/${token.toUpperCase()}`), 400],
    [await get(`/api/tracking/${'0'.repeat(32)}`), 404],
  ] as const;
  for (const [response, status] of expectations) {
    t.equal(response.status, status);
    t.match(response.headers.get('content-type'), /^application\/problem\+json/);
    t.match(await response.json(), { status, title: String, detail: String });
  }
  t.equal(expectations[0][0].headers.get('www-authenticate'), 'Bearer');
});

await t.test('tracking.get answers the asking workspace only', async (t) => {
  const question = (workspaceId: string, trackingToken: string) =>
    ask(nats.connection, trackingGet, { workspaceId, trackingToken });
  t.match(await question('demo', token), { ok: true, value: { trackingToken: token } });
  t.match(await question('other', token), { ok: false, error: { code: 'not_found' } });
  t.match(await question('demo', 'x'), { ok: false, error: { code: 'invalid_request' } });

  const foreign = sampleEvent('FunnelStarted', { telegramUserId: 666 }, { workspaceid: 'other' });
  await publishEvent(nats, foreign);
  await untilStored([foreign]);
  const theirs = await question('other', token);
  t.match(theirs, { ok: true, value: { session: { click: null } } });
  t.match(theirs.ok && theirs.value.journey.length, 1, 'what they said themselves');
  t.notMatch(await tracking(token), { session: { lead: { telegramUserId: 666 } } });
});

await t.test('a change is seen at once, and without Redis answers go on', async (t) => {
  const redis = connectRedis({ url: servers.redis.url, service: 'test', log: testLog() });
  t.teardown(() => redis.disconnect());
  const own = newToken();
  const click = sampleEvent('ClickTracked', { trackingToken: own, rootEventId: `evt_${own}` });
  await publishEvent(nats, click);
  await untilStored([click]);
  t.equal((await tracking(own)).journey.length, 1);
  await eventually(async () => {
    const ttl = await redis.ttl(`tracking:${own}`);
    if (ttl < 29 * 86_400) throw new Error(`the answer is not cached: ttl ${ttl}`);
  });
  t.equal((await tracking(own)).journey.length, 1, 'from the cache');

  const stale = await redis.get(`tracking:${own}`);
  const started = sampleEvent('FunnelStarted', { trackingToken: own });
  await publishEvent(nats, started);
  await untilStored([started]);
  // As if the invalidation had been lost, or a slow reader had written its old copy after it.
  await redis.set(`tracking:${own}`, stale ?? '');
  t.equal((await tracking(own)).journey.length, 2, 'an old copy is not used');

  await servers.redis.kill();
  const paid = sampleEvent('PaymentPaid', { trackingToken: own });
  await publishEvent(nats, paid);
  await untilStored([paid]);
  t.match(await tracking(own), { session: { payment: { status: 'paid' } } });
  t.equal((await fetch(`${service.url}/readyz`)).status, 200);
  await servers.redis.start();
});

await t.test('an event that Postgres refuses is put aside and takes nobody with it', async (t) => {
  const good = Array.from({ length: 20 }, () => sampleEvent('BotHealthChanged'));
  const bad = sampleEvent('BotHealthChanged', {}, { time: '2026-99-99T99:99:99.999Z' });
  const far = sampleEvent('BotHealthChanged', {}, { time: '2199-01-01T00:00:00.000Z' });
  const odd = sampleEvent('ClickTracked', {
    trackingToken: newToken(),
    userAgent: 'nul \0, half a pair \ud83d, a whole one \u{1f600} and \\u0000',
  });
  const old = sampleEvent('BotHealthChanged', {}, { time: '2021-02-28T23:59:59.999Z' });
  await publishAll([...good.slice(0, 10), bad, far, odd, old, ...good.slice(10)]);
  await untilStored([...good, odd, old]);
  const letters = await eventually(async () => {
    const found = await listDeadLetters(nats);
    if (found.length < 2) throw new Error('no dead letters yet');
    return found;
  });
  t.strictSame(
    letters.map(({ body }) => (JSON.parse(body) as RastroEvent).id).sort(),
    [bad.id, far.id].sort(),
  );
  t.match(letters[0]?.reason, /cannot be stored/);
  const [month] = await sql`select 1 from event_log_2021_02 where event_id = ${old.id}`;
  t.ok(month, 'the month was made on demand');
  await t.rejects(sql`create table mine (a integer)`.execute(), { code: '42501' });
  const journey = (await tracking(odd.correlationid)).journey;
  t.equal(journey[0]?.data['userAgent'], odd.data.userAgent, 'the log keeps it as it was said');
  const [row] =
    await sql`select user_agent from sessions where tracking_token = ${odd.correlationid}`;
  const kept = 'nul \ufffd, half a pair \ufffd, a whole one \u{1f600} and \\u0000';
  t.equal(row?.['userAgent'], kept, 'SQL gets what SQL can hold');
});

await t.test('SIGKILL of Postgres and a restart in mid-stream: all stored once', async (t) => {
  const tokens = Array.from({ length: 200 }, newToken);
  const events = tokens.flatMap((own) => [
    sampleEvent('PaymentPaid', { trackingToken: own }, { time: now() }),
    sampleEvent('FunnelStarted', { trackingToken: own }, { time: now() }),
    sampleEvent('ClickTracked', { trackingToken: own, rootEventId: `evt_${own}` }, { time: now() }),
    sampleEvent('BrowserSignalsCaptured', { trackingToken: own }, { time: now() }),
  ]);
  const [flowing, waiting] = [events.slice(0, 600), events.slice(600)];
  const publishing = (async () => {
    for (const event of flowing) await publishEvent(nats, event);
  })();
  await untilStored(flowing.slice(0, 100));
  await servers.postgres.kill();
  t.equal((await fetch(`${service.url}/readyz`)).status, 503);
  await servers.postgres.start();
  await publishing;
  await untilStored(flowing);

  await servers.postgres.kill();
  await publishAll(waiting);
  const stopping = performance.now();
  await service[Symbol.asyncDispose]();
  t.ok(performance.now() - stopping < 20_000, 'stopping does not wait for Postgres');
  await servers.postgres.start();
  service = await startService(config, testLog());
  await untilStored(waiting);
  const rows = await sql`
    select 1 from sessions where tracking_token = any(${tokens})
      and version = 4 and payment_status = 'paid' and clicked_at is not null
      and telegram_user_id is not null`;
  t.equal(rows.length, tokens.length);
  t.equal((await listDeadLetters(nats)).length, 2, 'an outage makes no dead letters');
});
