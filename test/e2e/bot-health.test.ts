/**
 * Goal: a bot that is marked unhealthy gets no click that arrives five seconds later or more, not
 * even from visitors who were with it, also where NATS has just been killed; healthy again, it is
 * back in the draw.
 * Method: the real gateway under a steady 100 clicks a second, a third of them with a cookie of
 * each bot; the page's link tells whom each visitor was handed to.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { publishEvent } from '@rastro/messaging';
import { eventually, sampleCatalog, type SampleEntry, sampleEvent } from '@rastro/testing';
import t from 'tap';
import { type Click, clickSteadily } from '../support/click-generator.ts';
import { startClickPath } from '../support/click-path.ts';

const boundMs = 5_000;
const perSecond = 100;
const usernames = { 'bot-a': 'demo_a_bot', 'bot-b': 'demo_b_bot' } as const;
type BotId = keyof typeof usernames;

/** The sample's pool with a second bot in it. */
function twoBots(): SampleEntry[] {
  return sampleCatalog().flatMap((entry) => {
    const { id, kind, data } = entry;
    if (kind === 'bot') {
      const second = { ...data, id: 'bot-b', username: usernames['bot-b'] };
      return [entry, { kind, id: 'bot-b', data: second } as SampleEntry];
    }
    const bots = Object.keys(usernames).map((bot) => ({ bot, weight: 1, priority: 0 }));
    return kind === 'pool' ? [{ kind, id, data: { ...data, bots } } as SampleEntry] : [entry];
  });
}

const path = await startClickPath({ catalog: twoBots() });
t.teardown(() => path[Symbol.asyncDispose]());
const { gateway, nats, servers } = path;

const cookies = ['rastro_bot_promo=bot-a', 'rastro_bot_promo=bot-b', undefined];
const visit = (durationMs: number): Promise<Click[]> =>
  clickSteadily({
    origin: gateway.url,
    perSecond,
    durationMs,
    cookieOf: (visitor) => cookies[visitor % cookies.length],
  });

/** @returns when the report was stored; before that nobody can know of it. */
async function report(botId: BotId, health: 'healthy' | 'unhealthy'): Promise<number> {
  const event = sampleEvent('BotHealthChanged', {
    botId,
    health,
    changedAt: new Date().toISOString(),
  });
  await eventually(() => publishEvent(nats, event), { timeoutMs: 20_000 });
  return performance.now();
}

/** Clicks of the bot after a moment, by the time that had passed since; sent, so at the latest. */
const afterMs = (clicks: readonly Click[], botId: BotId, sinceMs: number): number[] =>
  clicks
    .filter(({ username, sentMs }) => username === usernames[botId] && sentMs >= sinceMs)
    .map(({ sentMs }) => sentMs - sinceMs);

await t.test('healthy, unhealthy, healthy', async (t) => {
  const visiting = visit(boundMs + 4_000);
  await delay(2_000);
  const sickMs = await report('bot-a', 'unhealthy');
  await delay(boundMs + 2_000);
  const wellMs = await report('bot-a', 'healthy');
  // However late it is by now, there are clicks after the bound.
  const again = visit(boundMs + 2_000);
  const clicks = [...(await visiting), ...(await again)];
  t.ok(
    clicks.every(({ username }) => username !== null),
    'everybody was handed to a bot',
  );
  const until = (ms: number): Click[] => clicks.filter(({ sentMs }) => sentMs < ms);
  t.ok(afterMs(until(sickMs), 'bot-a', 0).length > perSecond / 2, 'it had visitors before');
  const late = afterMs(until(wellMs), 'bot-a', sickMs);
  t.same(
    late.filter((ms) => ms >= boundMs),
    [],
    'none after five seconds',
  );
  const [firstMs = Number.NaN] = afterMs(clicks, 'bot-a', wellMs);
  const back = afterMs(clicks, 'bot-a', wellMs + boundMs);
  t.ok(back.length > perSecond / 2, 'it has visitors again');
  t.comment(
    `left after ${Math.max(0, ...late).toFixed(0)} ms (${late.length} clicks), ` +
      `back after ${firstMs.toFixed(0)} ms`,
  );
});

for (const when of ['just before', 'right after']) {
  await t.test(`NATS is killed ${when}`, async (t) => {
    const restart = async (): Promise<void> => {
      await servers.nats.kill();
      await servers.nats.start();
    };
    const visiting = visit(boundMs + 2_000);
    await delay(2_000);
    if (when === 'just before') await restart();
    const sickMs = await report('bot-b', 'unhealthy');
    if (when === 'right after') await restart();
    // As long as the server is away it tells nobody.
    const knownMs = when === 'right after' ? performance.now() : sickMs;
    const again = visit(boundMs + 2_000);
    const clicks = [...(await visiting), ...(await again)];
    t.ok(clicks.every(({ username }) => username !== null));
    const before = clicks.filter(({ sentMs }) => sentMs < sickMs);
    t.ok(afterMs(before, 'bot-b', 0).length > perSecond / 2, 'it had visitors before');
    const late = afterMs(clicks, 'bot-b', knownMs);
    t.same(
      late.filter((ms) => ms >= boundMs),
      [],
      'none after five seconds',
    );
    t.comment(`left after ${Math.max(0, ...late).toFixed(0)} ms (${late.length} clicks)`);
    const wellMs = await report('bot-b', 'healthy');
    await eventually(
      async () => {
        const [click] = await clickSteadily({
          origin: gateway.url,
          perSecond: 1,
          durationMs: 1_000,
          cookieOf: () => cookies[1],
        });
        if (click?.username !== usernames['bot-b']) throw new Error('it is still left out');
      },
      { timeoutMs: 30_000 },
    );
    t.comment(`back after ${(performance.now() - wellMs).toFixed(0)} ms`);
  });
}
