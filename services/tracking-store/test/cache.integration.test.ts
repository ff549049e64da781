/**
 * Goal: what was stored is in Redis soon after its commit, whole where it can be, and whoever asks
 * by token or by click id is answered the newest, with or without Redis.
 * Method: the whole service on real servers; keys are read and altered behind its back, servers
 * are killed. The start is also tried against a database that lacks something.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RastroEvent, ReplyOf, trackingGet } from '@rastro/events';
import { connectNats, ensureStreams, publishEvent } from '@rastro/messaging';
import { connectPostgres, connectRedis } from '@rastro/runtime';
import { eventually, migratedDatabase, startTestServers, testLog } from '@rastro/testing';
import t from 'tap';
import type { CachedAnswer } from '../src/adapters/answer-cache.ts';
import { readConfig } from '../src/config.ts';
import { startService } from '../src/service.ts';
import { journey, newToken, tokenOf } from './journeys.ts';

const schema = 'tracking';
const folders = [{ name: 'service', path: join(import.meta.dirname, '../migrations') }];
const apiKey = 'a-test-key-of-the-rest-api';
const servers = await startTestServers({ nats: true, postgres: true, redis: true });
t.teardown(() => servers[Symbol.asyncDispose]());
const database = await migratedDatabase(servers, { schema, folders });
t.teardown(() => database[Symbol.asyncDispose]());
const { sql } = database;
const nats = await connectNats({ url: servers.nats.url, name: 'test', log: testLog() });
t.teardown(() => nats[Symbol.asyncDispose]());
await ensureStreams(nats);
const redis = connectRedis({ url: servers.redis.url, service: 'test', log: testLog() });
t.teardown(() => redis.disconnect());
const config = readConfig({
  PORT: '0',
  NATS_URL: servers.nats.url,
  POSTGRES_URL: database.url,
  REDIS_URL: servers.redis.url,
  RASTRO_API_KEY: apiKey,
});
const service = await startService(config, testLog());
// What is stored before the service has reached Redis is not cached.
await eventually(async () => {
  const clients = String(await redis.client('LIST'));
  if (!/ name=tracking-store .*cmd=info /.test(clients)) throw new Error(clients);
});
t.teardown(() => service[Symbol.asyncDispose]());

type Answer = ReplyOf<typeof trackingGet>;
const dayS = 86_400;

const get = (path: string, authorization = `Bearer ${apiKey}`): Promise<Response> =>
  fetch(`${service.url}${path}`, { headers: { authorization } });

async function answer(path: string): Promise<Answer> {
  const response = await get(path);
  if (response.status !== 200) throw new Error(`HTTP ${response.status} for ${path}`);
  return (await response.json()) as Answer;
}

const publishAll = (events: readonly RastroEvent[]): Promise<void[]> =>
  Promise.all(events.map((event) => publishEvent(nats, event)));

async function copyOf(token: string): Promise<CachedAnswer> {
  return JSON.parse((await redis.get(`tracking:${token}`)) ?? 'null') as CachedAnswer;
}

const untilCached = (token: string, version: number): Promise<CachedAnswer> =>
  eventually(async () => {
    const copy = await copyOf(token);
    if (copy?.version !== version) throw new Error(`version ${copy?.version} is cached`);
    return copy;
  });

const idsOf = (entries: readonly { id: string }[]): string[] => entries.map(({ id }) => id);

await t.test('a new journey is cached whole, without anybody asking', async (t) => {
  const [click, ...others] = journey();
  if (!click) throw new Error('a journey without a click');
  const token = click.correlationid;
  await publishEvent(nats, click);
  const copy = await untilCached(token, 1);
  t.match(copy, { workspaceId: 'demo', session: { trackingToken: token } });
  t.match(copy.journey, [{ id: click.id, type: 'ClickTracked' }]);
  t.ok((await redis.ttl(`tracking:${token}`)) > 29 * dayS);
  const fbclid = `click-${token}`;
  t.equal(await redis.get(`tracking:fbclid:${fbclid}`), token);
  t.ok((await redis.ttl(`tracking:fbclid:${fbclid}`)) > 29 * dayS);

  // Altered, so that an answer tells where it is from.
  const marked = { ...copy, session: { ...copy.session, from: 'the cache' } };
  // The service has little patience with Redis; then it composes, and caches that.
  await eventually(async () => {
    await redis.set(`tracking:${token}`, JSON.stringify(marked));
    const { session } = await answer(`/api/tracking/${token}`);
    if (!('from' in session)) throw new Error('the copy is not answered');
  });

  const paid = journey({ token, hasSale: true }).slice(4);
  await publishAll([...others, ...paid]);
  const all = [click, ...others, ...paid];
  const later = await untilCached(token, all.length);
  t.match(later, { session: { payment: { status: 'paid' } } });
  const { session, journey: told } = await answer(`/api/tracking/${token}`);
  t.notMatch(session, { from: 'the cache' });
  t.strictSame(idsOf(told).sort(), idsOf(all).sort(), 'composed where it was not known');
  await eventually(async () => {
    if (!(await copyOf(token)).journey) throw new Error('what was composed is not cached yet');
  });
});

await t.test('a click id leads to the newest of its tokens', async (t) => {
  const fbclid = 'IwAR2F4-dbP0l7Mn1IawQQ_%2B.aem';
  const [older, newer] = [new Date(Date.now() - 60_000), new Date()].map((at) =>
    journey({ at }).map((event) =>
      event.type === 'ClickTracked' ? { ...event, data: { ...event.data, fbclid } } : event,
    ),
  );
  const path = `/api/tracking?fbclid=${encodeURIComponent(fbclid)}`;
  t.equal((await get(path)).status, 404);
  await publishAll(newer ?? []);
  await untilCached(tokenOf(newer ?? []), 4);
  await publishAll(older ?? []);
  await untilCached(tokenOf(older ?? []), 4);
  t.equal((await answer(path)).trackingToken, tokenOf(newer ?? []), 'whatever was stored last');
  for (const [bad, status] of [
    ['/api/tracking', 400],
    ['/api/tracking?fbclid=', 400],
    [`/api/tracking?fbclid=${'x'.repeat(501)}`, 400],
    ['/api/tracking?fbclid=a%00b', 400],
    ['/api/tracking?fbclid=unknown', 404],
  ] as const)
    t.equal((await get(bad)).status, status, bad);
  t.equal((await get(path, 'Bearer wrong')).status, 401);
  t.equal((await get('/api/tracking', '')).status, 401, 'before validation');
});

await t.test(
  'without Redis nothing is missing, without Postgres copies are answered',
  async (t) => {
    const events = journey();
    const token = tokenOf(events);
    await publishAll(events);
    await untilCached(token, events.length);
    const [byToken, byClick] = [`/api/tracking/${token}`, `/api/tracking?fbclid=click-${token}`];
    const expected = await answer(byToken);
    t.strictSame(await answer(byClick), expected);

    await servers.postgres.kill();
    // Again where Redis took longer than the service has patience with it.
    t.strictSame(await eventually(() => answer(byToken)), expected);
    t.strictSame(await eventually(() => answer(byClick)), expected);
    t.ok((await get(`/api/tracking/${newToken()}`)).status >= 500, 'nobody can say');
    await servers.postgres.start();
    await eventually(() => answer(byToken));

    await servers.redis.kill();
    const [first, second] = [journey(), journey()] as const;
    await publishAll([...first, ...second]);
    for (const own of [first, second]) {
      await eventually(async () => {
        const { journey: found } = await answer(`/api/tracking?fbclid=click-${tokenOf(own)}`);
        if (found.length !== own.length) throw new Error(`${found.length} events`);
      });
    }
    t.strictSame(await answer(byToken), expected);
    // What was held back for half a second is given up while Redis is away.
    await delay(1_000);
    await servers.redis.start();
    await eventually(() => redis.ping());
    t.equal(await redis.get(`tracking:${tokenOf(first)}`), null);
    // The service may find Redis again later than we do.
    await eventually(async () => {
      await answer(`/api/tracking/${tokenOf(first)}`);
      const copy = await copyOf(tokenOf(first));
      if (copy?.version !== first.length) throw new Error('not cached yet');
    });
  },
);

await t.test('the start says what the database lacks, and what mends it', async (t) => {
  const admin = connectPostgres({ url: servers.postgres.url, schema, service: 'test' });
  t.teardown(() => admin.end({ timeout: 1 }));
  const lacks = async (breakIt: string, message: RegExp, mendIt: string): Promise<void> => {
    await admin.unsafe(breakIt);
    await t.rejects(startService(config, testLog()), { code: 'SCHEMA_MISSING', message }, breakIt);
    await admin.unsafe(mendIt);
  };
  await lacks(
    'revoke usage on sequence event_log_position from rastro_tracking',
    /lacks usage on sequence event_log_position\. Run: pnpm rastro grant rastro_tracking/,
    'grant usage on sequence event_log_position to rastro_tracking',
  );
  await lacks(
    'revoke execute on function drop_event_log_partition(date) from public, rastro_tracking',
    /lacks execute on function drop_event_log_partition\(date\)\. Run: pnpm rastro grant/,
    'grant execute on function drop_event_log_partition(date) to public, rastro_tracking',
  );
  await lacks(
    'update service_migrations set version = 103 where version = 3',
    /lacks migration 003 retention\. Run: pnpm rastro migrate/,
    'update service_migrations set version = 3 where version = 103',
  );
  await lacks(
    'revoke usage on schema tracking from rastro_tracking',
    /lacks usage on schema tracking\. Run: pnpm rastro grant/,
    'grant usage on schema tracking to rastro_tracking',
  );
  const again = await startService(config, testLog());
  await again[Symbol.asyncDispose]();
  t.equal((await sql`select 1 from sessions limit 1`).length, 1);
});
