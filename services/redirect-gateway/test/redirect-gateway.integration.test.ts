/**
 * Goal: every answered click is in JetStream exactly once, whatever is killed meanwhile, and a
 * visitor gets the page whether or not NATS is there.
 * Method: the real service on a real NATS server, in this process and in one that is killed with
 * SIGKILL right after its answers; TRAFFIC is read back and counted by token.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseEvent, type RastroEvent } from '@rastro/events';
import { connectNats, ensureStreams, type Nats, publishEvent } from '@rastro/messaging';
import {
  eventually,
  putCatalog,
  sampleCatalog,
  sampleEvent,
  startTestServers,
  testLog,
} from '@rastro/testing';
import t from 'tap';
import { readConfig } from '../src/config.ts';
import { startService } from '../src/service.ts';
import { startGatewayProcess } from './gateway-process.ts';
import { phoneHeaders, sampleBot, samplePool } from './served-pages.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true }));
const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log: testLog() }));
const pair = ['bot-a', 'bot-b'].map((bot) => ({ bot, weight: 1, priority: 0 }));
await putCatalog(nats, 'demo', [
  ...sampleCatalog().filter(({ kind }) => kind !== 'pool'),
  { kind: 'bot', id: 'bot-b', data: { ...sampleBot, id: 'bot-b', username: 'demo_b_bot' } },
  { kind: 'pool', id: 'promo', data: { ...samplePool, bots: pair } },
]);

const environmentIn = (folder: string, rest: Record<string, string> = {}) => ({
  PORT: '0',
  NATS_URL: servers.nats.url,
  REDIS_URL: 'redis://127.0.0.1:9', // nobody is there, and nobody misses it
  RASTRO_DATA_DIR: join(servers.folder, folder),
  LOG_LEVEL: 'info',
  ...rest,
});
const start = (folder: string, rest: Record<string, string> = {}) =>
  startService(readConfig(environmentIn(folder, rest)), testLog());

/** The token that a visitor was answered with, or undefined when there was no answer. */
async function click(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/go/promo?fbclid=abc`, {
      headers: phoneHeaders,
      signal: AbortSignal.timeout(20_000),
    });
    return /\?start=([0-9a-f]{32})/.exec(await response.text())?.[1];
  } catch {
    return undefined; // killed before it could answer
  }
}

/** Visitors are only answered with a bot once the catalog is known. */
const untilReady = (url: string): Promise<void> =>
  eventually(async () => assert.equal((await fetch(`${url}/readyz`)).status, 200), {
    timeoutMs: 30_000,
  });

const spoolOf = (folder: string): string => join(servers.folder, folder, 'redirect-gateway/spool');

/** A last segment is given up some seconds after its last event was stored. */
const untilDrained = (folder: string): Promise<void> =>
  eventually(async () => assert.deepEqual(await readdir(spoolOf(folder)), []), {
    timeoutMs: 30_000,
  });

/** All of TRAFFIC, from its first message. */
async function traffic(from: Nats): Promise<RastroEvent[]> {
  await ensureStreams(from);
  const { state } = await from.jsm.streams.info('TRAFFIC');
  const consumer = await from.js.consumers.get('TRAFFIC');
  if (state.messages === 0) return [];
  const found: RastroEvent[] = [];
  const messages = await consumer.fetch({ max_messages: state.messages, expires: 30_000 });
  for await (const message of messages) {
    const event = parseEvent(message.string());
    assert.ok(event.ok, message.subject);
    found.push(event.value);
    if (found.length === state.messages) break;
  }
  assert.equal(found.length, state.messages, 'read to its end');
  return found;
}

async function timesOf(tokens: readonly string[]): Promise<number[]> {
  const clicks = (await traffic(nats)).filter(({ type }) => type === 'ClickTracked');
  const byToken = Map.groupBy(clicks, ({ correlationid }) => correlationid);
  return tokens.map((token) => byToken.get(token)?.length ?? 0);
}

/** NATS, the gateway's link to it and its thread may all have to come back for that. */
const untilAllOnce = (tokens: readonly string[]): Promise<void> =>
  eventually(async () => assert.deepEqual(new Set(await timesOf(tokens)), new Set([1])), {
    timeoutMs: 60_000,
  });

await t.test('a click and its beacon arrive once; a bot out of order is left', async (t) => {
  await using service = await start('main');
  await untilReady(service.url);
  const token = (await click(service.url)) ?? '';
  const beacon = await fetch(`${service.url}/api/tracking/cookies`, {
    method: 'POST',
    body: JSON.stringify({ tracking_token: token, _fbp: 'fb.0.1762902353123.1' }),
  });
  t.equal(beacon.status, 204);
  const events = await eventually(
    async () => {
      const all = await traffic(nats);
      assert.equal(all.length, 2);
      return all;
    },
    { timeoutMs: 30_000 },
  );
  t.same(
    events.map(({ type, workspaceid, correlationid }) => [type, workspaceid, correlationid]),
    [
      ['ClickTracked', 'demo', token],
      ['BrowserSignalsCaptured', 'demo', token],
    ],
  );

  const botsOf = async (): Promise<Set<string>> => {
    const pages = Array.from({ length: 4 }, async () => {
      const response = await fetch(`${service.url}/go/promo`, { headers: phoneHeaders });
      return /demo_[ab]_bot/.exec(await response.text())?.[0] ?? 'none';
    });
    return new Set(await Promise.all(pages));
  };
  t.same([...(await botsOf())].toSorted(), ['demo_a_bot', 'demo_b_bot']);
  const sick = {
    botId: 'bot-a',
    health: 'unhealthy' as const,
    changedAt: new Date().toISOString(),
  };
  await publishEvent(nats, sampleEvent('BotHealthChanged', sick));
  await eventually(async () => assert.deepEqual([...(await botsOf())], ['demo_b_bot']));
  await publishEvent(
    nats,
    sampleEvent('BotHealthChanged', {
      ...sick,
      health: 'healthy',
      changedAt: new Date().toISOString(),
    }),
  );
  await eventually(async () => assert.equal((await botsOf()).size, 2));

  const ready = await fetch(`${service.url}/readyz`);
  t.equal(await ready.text(), 'catalog: ok\n');
  t.match(
    await (await fetch(`${service.url}/metrics`)).text(),
    'rastro_clicks_total{class="human"',
  );
});

await t.test(
  'NATS away: page all the same, also after a restart; drained afterwards',
  async (t) => {
    const tokens: string[] = [];
    const clickOn = async (url: string) => {
      const token = await click(url);
      t.ok(token, 'a page');
      if (token) tokens.push(token);
    };
    {
      await using service = await start('main');
      await clickOn(service.url);
      await servers.nats.kill();
      for (let at = 0; at < 5; at += 1) await clickOn(service.url);
      t.equal((await fetch(`${service.url}/readyz`)).status, 200);
    }
    {
      await using service = await start('main');
      for (let at = 0; at < 5; at += 1) await clickOn(service.url);
      await servers.nats.start();
      await untilAllOnce(tokens);
      await untilDrained('main');
    }
    t.same(new Set(await timesOf(tokens)), new Set([1]));
    t.same(await readdir(spoolOf('main')), [], 'all drained');
  },
);

await t.test('never heard of NATS: says so honestly, and ends when asked', async (t) => {
  await using service = await start('fresh', { NATS_URL: 'nats://127.0.0.1:9' });
  t.equal((await fetch(`${service.url}/go/promo`)).status, 503);
  t.equal((await fetch(`${service.url}/readyz`)).status, 503);
});

await t.test(
  'SIGKILL right after the answers, again and again: each click is there once',
  async (t) => {
    const tokens: string[] = [];
    const environment = environmentIn('killed');
    for (let round = 0; round < 3; round += 1) {
      const gateway = await startGatewayProcess(environment);
      await untilReady(gateway.url);
      const before = tokens.length;
      const visitors = Array.from({ length: 16 }, async () => {
        for (let token = await click(gateway.url); token; token = await click(gateway.url))
          tokens.push(token);
      });
      await eventually(() => assert.ok(tokens.length >= before + 150), { timeoutMs: 30_000 });
      await gateway.end('SIGKILL');
      await Promise.all(visitors);
    }
    // The last answers came while NATS was away and the process died: only the disk knows of them.
    const gateway = await startGatewayProcess(environment);
    await untilReady(gateway.url);
    await servers.nats.kill();
    for (let at = 0; at < 20; at += 1) tokens.push((await click(gateway.url)) ?? 'none');
    await gateway.end('SIGKILL');
    const left = (await readdir(spoolOf('killed'))).toSorted().at(-1) ?? '';
    t.match(await readFile(join(spoolOf('killed'), left), 'utf8'), tokens.at(-1));
    await servers.nats.start();
    const last = await startGatewayProcess(environment);
    await untilAllOnce(tokens);
    await untilDrained('killed');
    await last.end('SIGTERM');
    const events = await traffic(nats);
    t.equal(new Set(events.map(({ id }) => id)).size, events.length, 'no event is there twice');
    t.same(new Set(await timesOf(tokens)), new Set([1]), `${tokens.length} answered clicks`);
    t.same(await readdir(spoolOf('killed')), []);
  },
);

await t.test('a disk that is full again and again: a page, and each click once', async (t) => {
  // Room for some twenty clicks a file; the write that does not fit is torn, as on a full disk.
  const gateway = await startGatewayProcess(environmentIn('full'), { maxFileBlocks: 64 });
  await untilReady(gateway.url);
  const tokens: string[] = [];
  for (let round = 0; round < 10; round += 1) {
    const answered = await Promise.all(Array.from({ length: 25 }, () => click(gateway.url)));
    for (const token of answered) tokens.push(token ?? 'none');
  }
  t.notOk(tokens.includes('none'), 'every visitor got the page');
  await untilAllOnce(tokens);
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  t.match(metrics, /rastro_spool_failures_total\S* [1-9]/, 'and it is counted');
  await untilDrained('full');
  await gateway.end('SIGTERM');
  t.same(await readdir(spoolOf('full')), []);
});

await t.test('a damaged snapshot is told by NATS again', async (t) => {
  const file = join(servers.folder, 'main/redirect-gateway/catalog.json');
  t.match(JSON.parse(await readFile(file, 'utf8')), { entries: { length: 3 } });
  await rm(file);
  await using service = await start('main');
  await untilReady(service.url);
  t.ok(await click(service.url));
  await eventually(async () =>
    assert.equal(JSON.parse(await readFile(file, 'utf8')).entries.length, 3),
  );
});
