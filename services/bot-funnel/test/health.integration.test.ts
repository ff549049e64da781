/**
 * Goal: a bot whose token dies is out of rotation within seconds and comes back by steps, also
 * across a restart; webhooks are what we want them to be, and only ours are ever taken away.
 * Method: the real service by webhook between real NATS, Postgres and the sandbox's Telegram, which
 * refuses, limits and fails as told; the slow parts with a watcher of their own and short times.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CatalogItem } from '@rastro/events';
import { createMetrics, type RunningService, sealSecret } from '@rastro/runtime';
import {
  eventually,
  putCatalog,
  sampleCatalog,
  sampleSecrets,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import { Api } from 'grammy';
import { freePort } from '@rastro/servers';
import t from 'tap';
import type { FleetBot } from '../src/adapters/bot-fleet.ts';
import { type BotHealth, createBotHealth } from '../src/adapters/bot-health.ts';
import { createFunnelMetrics } from '../src/adapters/metrics.ts';
import { breakerTimes } from '../src/core/bot-breaker.ts';
import { startService } from '../src/service.ts';
import { hears, startWorld } from './world.ts';

t.setTimeout(110_000);
const world = await startWorld();
const tokens = {
  'bot-a': sampleSecrets.botToken,
  'bot-b': '7002:BBtoken',
  'bot-c': '7003:CCtoken',
};
const usernames = { 'bot-a': 'demo_a_bot', 'bot-b': 'demo_b_bot', 'bot-c': 'demo_c_bot' };
type BotId = keyof typeof tokens;
const botIds = Object.keys(tokens) as BotId[];
const bots = botIds.map((id) => ({ token: tokens[id], username: usernames[id] }));
world.sandbox.setWorld({ bots, pixels: [], pixAccounts: [] });

const sample = sampleCatalog().find(({ kind }) => kind === 'bot')?.data as CatalogItem<'bot'>;
let version = 1;

/** Changes a bot in the catalog; null removes it. */
async function put(id: BotId, change: Partial<CatalogItem<'bot'>> | null): Promise<void> {
  const token = sealSecret(testMasterKey, `bot/${id}/token`, tokens[id]);
  const data = change && { ...sample, id, username: usernames[id], token, ...change };
  await putCatalog(world.nats, 'demo', [{ kind: 'bot', id, data, version: (version += 1) }]);
}

/** Rules of the sandbox by their ids; one that only waits counts the calls. */
const fault = (id: string, method: string, action: object, bot = '') =>
  world.control('faults', { id, api: 'telegram', match: { method, path: `/${bot}` }, action });

async function callsOf(id: string): Promise<number> {
  const { rules } = (await world.control('faults')) as { rules: { id: string; used: number }[] };
  return rules.find((rule) => rule.id === id)?.used ?? Number.NaN;
}

async function endFaults(): Promise<void> {
  await fetch(`${world.sandbox.url}/control/faults`, { method: 'DELETE' });
}

async function webhookOf(id: BotId): Promise<string | null> {
  const list = (await world.control('telegram/bots')) as { username: string; webhookUrl: string }[];
  return list.find(({ username }) => username === usernames[id])?.webhookUrl ?? null;
}

const waitForWebhook = (id: BotId, url: string | null): Promise<void> =>
  eventually(async () => assert.equal(await webhookOf(id), url), patience);

/** A bot that is out is asked again after 6 s. */
const patience = { timeoutMs: 30_000 };

/** What was said of a bot, oldest first, e.g. `healthy 10`. */
async function saidOf(id: string): Promise<string[]> {
  return (await world.recorded('BotHealthChanged'))
    .filter(({ data }) => data.botId === id)
    .map(({ data }) => [data.health, data.sharePercent].filter(Boolean).join(' '));
}

const waitForSaid = (id: string, said: readonly string[]): Promise<void> =>
  eventually(async () => assert.deepEqual(await saidOf(id), said), patience);

const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const start = (): Promise<RunningService> =>
  startService(world.config({ port, publicOrigin: origin, telegramUpdates: 'webhook' }), testLog());
let service: RunningService | undefined;
t.teardown(async () => {
  await service?.[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

const metrics = async (): Promise<string> => (await fetch(`${service?.url}/metrics`)).text();

const apiOf = (id: BotId): Api =>
  new Api(tokens[id], { apiRoot: `${world.sandbox.url}/telegram`, timeoutSeconds: 5 });

await t.test('webhooks are set once, after a 429, and nothing that waits is lost', async (t) => {
  await put('bot-b', {});
  // While nobody serves the bot: this waits at Telegram.
  await world.start(8001);
  const limited = { status: 429, retryAfterSeconds: 1 };
  await world.control('faults', {
    api: 'telegram',
    match: { method: 'setWebhook', path: '/demo_a_bot/' },
    times: 1,
    action: limited,
  });
  await fault('sets', 'setWebhook', { delayMs: 0 });
  await fault('drops', 'deleteWebhook', { delayMs: 0 });
  service = await start();
  for (const id of ['bot-a', 'bot-b'] as const) {
    await waitForWebhook(id, `${origin}/telegram/${id}`);
    await waitForSaid(id, ['healthy']);
  }
  await hears(world, 8001, 1);
  t.equal(await callsOf('sets'), 2, 'one for each');

  await service[Symbol.asyncDispose]();
  await fault('looks', 'getWebhookInfo', { delayMs: 0 });
  service = await start();
  await eventually(async () => assert.ok((await callsOf('looks')) >= 2), patience);
  await world.start(8002);
  await hears(world, 8002, 1);
  t.equal(await callsOf('sets'), 2, 'nothing differs after a restart');
  t.equal(await callsOf('drops'), 0);
  await endFaults();
});

await t.test('a token that is refused: told within 5 s, an alarm, back by steps', async (t) => {
  const subject = 'events.demo.bot.BotHealthChanged';
  await world.control('faults', {
    id: 'revoked',
    api: 'telegram',
    match: { path: '/demo_a_bot/' },
    action: { status: 401 },
  });
  const revokedMs = performance.now();
  // The answer to this is the first call that is refused.
  await world.start(8003);
  const tookMs = await eventually(
    async () => {
      const message = await world.nats.jsm.streams.getMessage('COMMERCE', {
        last_by_subj: subject,
      });
      const { data } = message?.json<{ data: { botId: string; health: string } }>() ?? {};
      assert.deepEqual([data?.botId, data?.health], ['bot-a', 'unhealthy']);
      return performance.now() - revokedMs;
    },
    { ...patience, intervalMs: 10 },
  );
  t.ok(tookMs < 5_000, `published ${tookMs.toFixed(0)} ms after it could be known`);
  await eventually(async () =>
    assert.match(await metrics(), /^rastro_bot_health{bot="bot-a",.*} 0$/m),
  );
  t.match(await metrics(), /^rastro_bot_health{bot="bot-b",.*} 1$/m);

  await endFaults();
  await waitForSaid('bot-a', ['healthy', 'unhealthy', 'healthy 10']);
  await hears(world, 8003, 1, 30_000);
  await service?.[Symbol.asyncDispose]();
  service = await start();
  await eventually(async () => assert.match(await metrics(), /bot="bot-a",.*} 0\.1$/m), patience);
  t.same(await saidOf('bot-a'), ['healthy', 'unhealthy', 'healthy 10'], 'it goes on from there');
});

await t.test('a bot that links elsewhere, and bots that leave', async (t) => {
  await put('bot-b', { username: 'somebody_bot' });
  await waitForSaid('bot-b', ['healthy', 'unhealthy']);
  const [, wrong] = (await world.recorded('BotHealthChanged')).filter(
    ({ data }) => data.botId === 'bot-b',
  );
  t.match(wrong?.data.reason, /@demo_b_bot.*@somebody_bot/);
  await put('bot-b', {});
  await waitForSaid('bot-b', ['healthy', 'unhealthy', 'healthy 10']);

  await put('bot-b', { enabled: false });
  await waitForWebhook('bot-b', null);
  await world.control('telegram/chats/demo_b_bot/8004/start', { payload: '' });
  await put('bot-b', {});
  await waitForWebhook('bot-b', `${origin}/telegram/bot-b`);
  await eventually(async () => {
    const messages = await world.control('telegram/chats/demo_b_bot/8004/messages');
    assert.equal((messages as unknown[]).length, 2, 'what waited meanwhile is answered');
  }, patience);
  await put('bot-b', null);
  await waitForWebhook('bot-b', null);

  await put('bot-c', {});
  await waitForWebhook('bot-c', `${origin}/telegram/bot-c`);
  const theirs = 'https://elsewhere.example/hook';
  await apiOf('bot-c').setWebhook(theirs);
  await put('bot-c', null);
  await eventually(async () => {
    const [row] = await world.sql<{ webhookFingerprint: string | null }[]>`
      select webhook_fingerprint from bot_health where bot_id = 'bot-c'`;
    assert.equal(row?.webhookFingerprint, null);
  }, patience);
  t.equal(await webhookOf('bot-c'), theirs, 'another program’s webhook is left alone');
});

const shortTimes = {
  ...breakerTimes,
  checkMs: 1_000,
  retryMs: 1_000,
  watchMs: 1_000,
  failingForMs: 2_000,
  webhookFailingForMs: 2_500,
  recovery: [
    { sharePercent: 10, forMs: 1_500 },
    { sharePercent: 50, forMs: 1_500 },
  ],
};

await t.test('watched with short times', async (t) => {
  await service?.[Symbol.asyncDispose]();
  service = undefined;
  const gauge = createFunnelMetrics(createMetrics('test')).botHealth;
  const parts = { sql: world.sql, log: testLog(), gauge, times: shortTimes };
  const [health, another] = [createBotHealth(parts), createBotHealth(parts)];
  const stopping = new AbortController();
  let answer = 502;
  const receiver = createServer((request, response) => {
    request.resume();
    response.writeHead(answer).end();
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  const watch = (by: BotHealth, botId: string, of: BotId, isPushed: boolean): Promise<void> => {
    const bot: FleetBot = {
      botId,
      workspaceId: 'demo',
      username: usernames[of],
      isEnabled: true,
    };
    const webhook = isPushed ? { url, secretToken: 'secret' } : null;
    return by.watch(bot, { api: apiOf(of), webhook }, stopping.signal);
  };
  // Twice, as two processes do: together they tell each thing once, and are not twice as fast.
  const watching = [health, another].flatMap((by) => [
    watch(by, 'pushed', 'bot-a', true),
    watch(by, 'silent', 'bot-b', false),
    watch(by, 'fine', 'bot-c', false),
  ]);
  t.teardown(async () => {
    stopping.abort();
    await Promise.all(watching);
    receiver.close();
    receiver.closeAllConnections();
  });
  await Promise.all(['pushed', 'silent', 'fine'].map((id) => waitForSaid(id, ['healthy'])));

  await t.test('updates that do not arrive, and arrive again', async () => {
    await world.start(8005);
    await waitForSaid('pushed', ['healthy', 'unhealthy']);
    const events = await world.recorded('BotHealthChanged');
    const said = events.findLast(({ data }) => data.botId === 'pushed');
    assert.match(said?.data.reason ?? '', /do not reach us: Wrong response from the webhook: 502/);
    answer = 200;
    const steps = ['healthy 10', 'healthy 50', 'healthy'];
    await waitForSaid('pushed', ['healthy', 'unhealthy', ...steps]);
  });
  await t.test('sends and probes that fail while others are served', async (t) => {
    await world.control('faults', {
      api: 'telegram',
      match: { path: '/demo_b_bot/' },
      action: { status: 500 },
    });
    for (let at = 0; at < 10; at += 1) health.noteSend('fine', 'sent');
    for (let at = 0; at < 10; at += 1) health.noteSend('silent', 'unknown');
    await waitForSaid('silent', ['healthy', 'unhealthy']);
    await endFaults();
    // The next step may follow before anybody looks.
    await eventually(async () => {
      const said = (await saidOf('silent')).slice(0, 3);
      assert.deepEqual(said, ['healthy', 'unhealthy', 'healthy 10']);
    }, patience);
    t.same(await saidOf('fine'), ['healthy']);
  });
});
