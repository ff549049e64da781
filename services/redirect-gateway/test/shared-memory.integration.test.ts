/**
 * Goal: a client that asks too often is stopped, by all gateways together; nobody waits for Redis,
 * whether it is slow, gone or hangs; and a token that tracking-store has cached is known.
 * Method: the real limiter and routes on a real Redis that is filled, killed and stopped with
 * SIGSTOP; the log is read back.
 */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { connectRedis, createLogger } from '@rastro/runtime';
import { eventually, startTestServers, testLog } from '@rastro/testing';
import type { FastifyRequest } from 'fastify';
import t from 'tap';
import { readConfig } from '../src/config.ts';
import { startService } from '../src/service.ts';
import { connectSharedMemory } from '../src/shared-memory.ts';
import { phone, servedPages } from './served-pages.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ redis: true }));
const redis = connectRedis({ url: servers.redis.url, service: 'test', log: testLog() });
stack.defer(() => redis.disconnect());

function gateway(rateLimitPerHour: number) {
  const lines: { level: number; msg: string }[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as (typeof lines)[number]);
      done();
    },
  });
  const log = createLogger({ level: 'info', stream });
  const config = { redisUrl: servers.redis.url, rateLimitPerHour };
  const shared = stack.use(connectSharedMemory(config, 'redirect-gateway', log));
  const from = (ip: string): number =>
    shared.clickWaitOf({ headers: {}, socket: {} } as FastifyRequest, ip);
  const warnings = () => lines.filter(({ level }) => level >= 40);
  return { shared, from, lines, warnings };
}

/** Redis is connected once it has counted somebody; a count that it is too slow for is given up. */
const untilCounting = (from: (ip: string) => number, ip: string): Promise<void> =>
  eventually(async () => {
    from(ip);
    assert.ok(Number(await redis.get(`rate:click:${ip}`)) > 0);
  });

async function waitUntilStopped(from: (ip: string) => number, ip: string): Promise<number> {
  let hits = 0;
  // It may be away until now: the next try to reach it is up to five seconds off.
  await eventually(
    () => {
      hits += 1;
      assert.ok(from(ip) > 0);
    },
    { timeoutMs: 30_000 },
  );
  return hits;
}

await t.test('the allowance is one for all gateways, of IPv6 one for a /64', async (t) => {
  const one = gateway(5);
  const two = gateway(5);
  await untilCounting(one.from, '177.10.20.8');
  await untilCounting(two.from, '177.10.20.9');
  one.from('177.10.20.1');
  two.from('177.10.20.1');
  t.equal(one.from('177.10.20.1'), 0, 'not yet');
  await waitUntilStopped(one.from, '177.10.20.1');
  t.ok(one.from('177.10.20.1') > 3_500, 'until the hour is over');
  await waitUntilStopped(two.from, '177.10.20.1');
  t.equal(one.from('177.10.20.2'), 0, 'nobody else');

  await waitUntilStopped(one.from, '2804:14c:1:2::a');
  t.ok(one.from('2804:14c:1:2:ffff::b') > 0, 'the same /64');
  t.equal(one.from('2804:14c:1:3::a'), 0, 'another one');
});

await t.test('Redis hears only of who has used a hundredth of the allowance', async (t) => {
  const { from } = gateway(1_000);
  let last = 10;
  // A busy machine needs another try.
  await eventually(
    async () => {
      last += 2;
      const [quiet, busy] = [`177.10.21.${last}`, `177.10.21.${last + 1}`];
      for (let hit = 0; hit < 9; hit += 1) from(quiet);
      for (let hit = 0; hit < 10; hit += 1) from(busy);
      const counted = async () => assert.equal(await redis.get(`rate:click:${busy}`), '10');
      await eventually(counted, { timeoutMs: 2_000 });
      assert.equal(await redis.get(`rate:click:${quiet}`), null);
      assert.ok((await redis.ttl(`rate:click:${busy}`)) > 3_500);
    },
    { timeoutMs: 20_000 },
  );
  t.pass();
});

await t.test('a new address of one’s /64 for each request wins nothing', async (t) => {
  const { from } = gateway(1_000);
  let network = 0;
  // A count that Redis is too slow for is given up, so that a busy machine needs another try.
  await eventually(
    async () => {
      network += 1;
      const prefix = `2804:14c:9:${network}::`;
      for (let hit = 0; hit < 30; hit += 1) from(`${prefix}${hit.toString(16)}`);
      const key = `rate:click:${prefix}/64`;
      await eventually(async () => assert.equal(await redis.get(key), '30'), { timeoutMs: 2_000 });
    },
    { timeoutMs: 20_000 },
  );
  t.pass();
});

await t.test('a private address is nobody in particular, and 0 is no limit', async (t) => {
  const { from } = gateway(1);
  const unlimited = gateway(0);
  for (let hit = 0; hit < 50; hit += 1) {
    for (const ip of ['127.0.0.1', '10.0.0.7', '::ffff:192.168.0.1', '100.64.0.1', 'junk'])
      t.equal(from(ip), 0);
    t.equal(unlimited.from('177.10.20.20'), 0);
  }
  await waitUntilStopped(from, '177.10.20.21');
  const keys = await redis.keys('rate:*');
  t.notOk(keys.some((key) => /127\.|10\.0|192\.168|100\.64|junk|20\.20/.test(key)));
});

await t.test('a limited visitor gets the page, by the address behind the proxy', async (t) => {
  const { shared } = gateway(3);
  const { app, events } = await servedPages({ parts: { waitOf: shared.clickWaitOf } });
  const get = (ip: string) =>
    app.inject({ url: '/go/promo', headers: { 'x-forwarded-for': ip, 'user-agent': phone } });
  for (let hit = 0; hit < 3; hit += 1) t.equal((await get('177.10.20.30')).statusCode, 200);
  await eventually(async () => assert.equal((await get('177.10.20.30')).statusCode, 429));
  const clicks = events.length;
  const refused = await get('177.10.20.30');
  t.ok(Number(refused.headers['retry-after']) > 3_500);
  t.equal(events.length, clicks);
  t.equal((await get('177.10.20.31')).statusCode, 200);
});

await t.test('a proxy that nobody trusts is told of, once', async (t) => {
  // Redis hears of nobody: whether it is there already would be told too.
  const { shared, warnings } = gateway(1_000_000);
  const { app } = await servedPages({ parts: { waitOf: shared.clickWaitOf } });
  const get = (remoteAddress: string, forwarded?: string) =>
    app.inject({
      url: '/go/promo',
      remoteAddress,
      headers: { ...(forwarded ? { 'x-forwarded-for': forwarded } : {}), 'user-agent': phone },
    });
  await get('127.0.0.1', '177.10.20.40');
  await get('127.0.0.1', '127.0.0.1');
  await get('172.18.0.2');
  t.same(warnings(), [], 'believed, or without the header');
  await get('172.18.0.2', '177.10.20.40');
  await get('172.18.0.2', '177.10.20.41');
  t.equal(warnings().length, 1);
  t.match(warnings()[0]?.msg, 'TRUSTED_PROXIES');
  t.notMatch(JSON.stringify(warnings()), /172\.18|177\.10/);
});

await t.test('a token that tracking-store has cached is known, junk is not', async (t) => {
  const { shared } = gateway(0);
  const [known, junk, missing] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [
    string,
    string,
    string,
  ];
  const answer = JSON.stringify({ workspaceId: 'demo', version: 3, answer: {} });
  await redis.set(`tracking:${known}`, answer);
  await redis.set(`tracking:${junk}`, '{"workspaceId":7}');
  const found = await eventually(() => shared.lookUp([known, junk, missing]));
  t.same([...found], [[known, 'demo']]);
});

await t.test('the service as it is started: limits, lets beacons wait, and says so', async (t) => {
  const config = readConfig({
    PORT: '0',
    NATS_URL: 'nats://127.0.0.1:9',
    REDIS_URL: servers.redis.url,
    RASTRO_DATA_DIR: servers.folder,
    RATE_LIMIT_PER_HOUR: '3',
  });
  await using service = await startService(config, testLog());
  const headers = { 'x-forwarded-for': '177.10.20.70', 'user-agent': phone };
  const statusOf = async (): Promise<number> =>
    (await fetch(`${service.url}/go/promo`, { headers })).status;
  await eventually(async () => assert.equal(await statusOf(), 429));
  const post = (body: string) =>
    fetch(`${service.url}/api/tracking/cookies`, { method: 'POST', body, headers });
  t.equal((await post(JSON.stringify({ tracking_token: 'd'.repeat(32) }))).status, 204);
  t.equal((await post('junk')).status, 400, 'and the beacon has an allowance of its own');
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  t.match(metrics, /rastro_gateway_pages_total{[^}]*result="limited"[^}]*} 1/);
  t.match(metrics, /rastro_beacons_waiting(\{[^}]*\})? 1/);
  t.match(metrics, 'rastro_beacons_unknown_total');
});

/** Asks often enough to be told of each time, and says how long the slowest one took. */
async function slowestOf(from: (ip: string) => number, seconds: number): Promise<number> {
  const untilMs = performance.now() + seconds * 1_000;
  let slowestMs = 0;
  for (let ip = 0; performance.now() < untilMs; ip += 1) {
    const startedMs = performance.now();
    for (let hit = 0; hit < 100; hit += 1) from(`177.10.99.${ip % 256}`);
    slowestMs = Math.max(slowestMs, (performance.now() - startedMs) / 100);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return slowestMs;
}

for (const [how, leave, comeBack] of [
  ['gone', () => servers.redis.kill(), () => servers.redis.start()],
  [
    'hanging',
    async () => void process.kill(servers.redis.pid, 'SIGSTOP'),
    async () => void process.kill(servers.redis.pid, 'SIGCONT'),
  ],
] as const)
  await t.test(
    `Redis ${how}: everybody is let in, one warning, and counted again later`,
    async (t) => {
      const { shared, from, warnings, lines } = gateway(5);
      const before = how === 'gone' ? '177.10.20.50' : '177.10.20.51';
      await waitUntilStopped(from, before);
      lines.length = 0;
      await leave();
      const slowestMs = await slowestOf(from, 2.5);
      t.comment(`slowest request: ${(slowestMs * 1_000).toFixed(1)} µs`);
      t.ok(slowestMs < 20, 'nobody waits');
      t.ok(from(before) > 0, 'who was over stays over');
      await eventually(() => assert.ok(warnings().length > 0));
      t.equal(warnings().length, 1, JSON.stringify(warnings()));
      t.match(warnings()[0]?.msg, 'Redis is away');
      t.notMatch(JSON.stringify(lines), /177\.10\./, 'no address in the log');
      await t.rejects(shared.lookUp(['a'.repeat(32)]), 'at once or within its patience');
      t.equal(warnings().length, 1);
      await comeBack();
      const after = how === 'gone' ? '177.10.20.60' : '177.10.20.61';
      await waitUntilStopped(from, after);
      // It is back once a whole round was counted, which takes somebody who is not over.
      let last = 0;
      await eventually(() => {
        last += 1;
        from(`177.10.98.${last % 250}`);
        assert.equal(lines.at(-1)?.msg, 'Redis is back');
      });
    },
  );
