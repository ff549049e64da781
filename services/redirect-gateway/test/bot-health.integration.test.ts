/**
 * Goal: a gateway that starts knows which bots are out of order before its first visitor comes,
 * however old its snapshot is; without NATS it still starts.
 * Method: the real service on a real NATS server with a history of reports, started with no
 * snapshot, with one from before the newest report, and with NATS away.
 */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { connectNats, publishEvent } from '@rastro/messaging';
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
import { phone, sampleBot, samplePool } from './served-pages.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true }));
const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log: testLog() }));
const bots = ['bot-a', 'bot-b'].map((bot) => ({ bot, weight: 1, priority: 0 }));
await putCatalog(nats, 'demo', [
  ...sampleCatalog().filter(({ kind }) => kind !== 'pool'),
  { kind: 'bot', id: 'bot-b', data: { ...sampleBot, id: 'bot-b', username: 'demo_b_bot' } },
  { kind: 'pool', id: 'promo', data: { ...samplePool, bots } },
]);

let reports = 0;

/** Each a second later than the one before. */
async function report(botId: string, health: 'healthy' | 'unhealthy'): Promise<void> {
  const changedAt = new Date(Date.UTC(2026, 0, 1) + (reports += 1) * 1_000).toISOString();
  await publishEvent(nats, sampleEvent('BotHealthChanged', { botId, health, changedAt }));
}

const start = (folder: string, rest: Record<string, string> = {}) =>
  startService(
    readConfig({
      PORT: '0',
      NATS_URL: servers.nats.url,
      REDIS_URL: 'redis://127.0.0.1:9',
      RASTRO_DATA_DIR: join(servers.folder, folder),
      ...rest,
    }),
    testLog(),
  );

/** Whom visitors are handed to, those among them who were with a bot before. */
async function botsOf(url: string): Promise<Set<string>> {
  const pages = ['bot-a', 'bot-b', 'none', 'none'].map(async (bot) => {
    const headers = { 'user-agent': phone, cookie: `rastro_bot_promo=${bot}` };
    const response = await fetch(`${url}/go/promo`, { headers });
    return /demo_[ab]_bot/.exec(await response.text())?.[0] ?? 'none';
  });
  return new Set(await Promise.all(pages));
}

await t.test('a first start reads all reports before it listens', async (t) => {
  for (let at = 0; at < 500; at += 1) await report(`bot-${at}`, 'unhealthy');
  await report('bot-a', 'unhealthy');
  for (let round = 0; round < 3; round += 1) {
    await using service = await start(`first-${round}`);
    // A slow machine may still be reading: then there is a page that says so, never the ill bot.
    t.notOk((await botsOf(service.url)).has('demo_a_bot'));
    await eventually(async () =>
      assert.deepEqual(await botsOf(service.url), new Set(['demo_b_bot'])),
    );
  }
});

await t.test(
  'a snapshot from before the newest report does not pass for the present',
  async (t) => {
    await report('bot-a', 'healthy');
    {
      await using service = await start('stale');
      const both = new Set(['demo_a_bot', 'demo_b_bot']);
      await eventually(async () => assert.deepEqual(await botsOf(service.url), both));
    }
    await report('bot-b', 'unhealthy');
    const onlyOne = new Set(['demo_a_bot']);
    let tookMs = Number.POSITIVE_INFINITY;
    // A start waits a second for news. A machine that needed longer gets another try.
    for (let round = 0; round < 10 && tookMs >= 1_000; round += 1) {
      const folder = `stale-${round}`;
      await cp(join(servers.folder, 'stale'), join(servers.folder, folder), { recursive: true });
      const startedMs = performance.now();
      await using service = await start(folder);
      tookMs = performance.now() - startedMs;
      t.comment(`started within ${tookMs.toFixed(0)} ms`);
      if (tookMs < 1_000) t.same(await botsOf(service.url), onlyOne, 'before its first visitor');
      await eventually(async () => assert.deepEqual(await botsOf(service.url), onlyOne));
    }
    t.ok(tookMs < 1_000, 'news came within the second');
  },
);

await t.test(
  'NATS away: the snapshot is what there is, and the start does not wait long',
  async (t) => {
    await servers.nats.kill();
    const startedMs = performance.now();
    await using service = await start('stale-0');
    t.ok(performance.now() - startedMs < 15_000, 'a second, with slack, and not for ever');
    t.same(await botsOf(service.url), new Set(['demo_a_bot']), 'with the report in it');
  },
);
