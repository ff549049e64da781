/**
 * Goal: whatever is stopped or killed under 200 clicks a second, every visitor gets the page and
 * every answered click is in `event_log` exactly once.
 * Method: gateway and tracking-store as real processes on private servers; an open loop of visitors
 * while Postgres, Redis and NATS are away for a minute, then while one part is killed with SIGKILL
 * in every five seconds. The moments' seed is printed: RASTRO_SEED=<n> runs them again.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { listDeadLetters } from '@rastro/messaging';
import { eventually } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import { request } from 'undici';
import {
  answeredTokens,
  type Click,
  clickSteadily,
  latencies,
} from '../support/click-generator.ts';
import { startClickPath } from '../support/click-path.ts';

const perSecond = 200;
const slotMs = 5_000;
const outageMs = 60_000;

const seed = Number(process.env['RASTRO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`RASTRO_SEED=${seed}`);
const path = await startClickPath();
t.teardown(() => path[Symbol.asyncDispose]());
const { servers, gateway, sql } = path;

/** One moment in each slot, counted from the slot's beginning. */
const momentsMs = (slots: number, salt: number): number[] =>
  fc.sample(fc.integer({ min: 0, max: slotMs - 1_000 }), { seed: seed + salt, numRuns: slots });

const visit = (durationMs: number, reloadForMs = 0): Promise<Click[]> =>
  clickSteadily({ origin: gateway.url, perSecond, durationMs, reloadForMs });

async function countClicks(): Promise<number> {
  const [row] = await sql<{ clicks: number }[]>`
    select count(*) as clicks from event_log where type = 'ClickTracked'`;
  return row?.clicks ?? Number.NaN;
}

/** @returns how long it took until every token was in the log and had its row. */
async function storedOnce(tokens: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  await eventually(
    async () => {
      const [found] = await sql`
        select (select count(*) from event_log
                where type = 'ClickTracked' and tracking_token = any(${tokens})) as clicks,
               (select count(distinct tracking_token) from event_log
                where type = 'ClickTracked' and tracking_token = any(${tokens})) as tokens,
               (select count(*) from meta_tracking_sessions
                where tracking_token = any(${tokens})) as sessions`;
      const { length } = tokens;
      assert.deepEqual({ ...found }, { clicks: length, tokens: length, sessions: length });
    },
    { timeoutMs: 60_000, intervalMs: 250 },
  );
  return performance.now() - startedMs;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** Everybody got the page, and what the log holds more than before is these clicks and no other. */
async function settle(t: Tap, what: string, clicks: readonly Click[], before: number) {
  const tokens = answeredTokens(clicks);
  const unanswered = clicks.filter(({ trackingToken }) => trackingToken === null);
  t.same(unanswered.slice(0, 3), [], `${what}: every visitor got the page`);
  t.equal(new Set(tokens).size, clicks.length, `${what}: a token each`);
  const tookMs = await storedOnce(tokens);
  t.same(await listDeadLetters(path.nats), [], `${what}: nothing was given up`);
  const { p50, p99, max } = latencies(clicks);
  const more = (await countClicks()) - before - tokens.length;
  const reloads = clicks.reduce((sum, click) => sum + click.reloads, 0);
  t.comment(
    `${what}: ${clicks.length} visitors, ${unanswered.length} without a page; p50 ${p50.toFixed(1)} ms, ` +
      `p99 ${p99.toFixed(1)} ms, max ${max.toFixed(0)} ms; ${reloads} reloads; ` +
      `all stored once ${seconds(tookMs)} after the last click, ${more} of nobody`,
  );
  return { more };
}

type Tap = Pick<typeof t, 'same' | 'equal' | 'comment'>;

/** Visitors for as many slots as wanted, and a kill in each. */
async function visitWhileKilling(options: {
  readonly slots: number;
  readonly salt: number;
  readonly reloadForMs?: number;
  readonly kill: () => Promise<void>;
}): Promise<Click[]> {
  const { slots, salt, reloadForMs, kill } = options;
  const startedMs = performance.now();
  const visiting = visit(slots * slotMs + 1_000, reloadForMs);
  for (const [slot, momentMs] of momentsMs(slots, salt).entries()) {
    await delay(Math.max(0, startedMs + slot * slotMs + momentMs - performance.now()));
    await kill();
  }
  return visiting;
}

await t.test('Postgres, Redis and NATS are away for 60 s', async (t) => {
  const before = await countClicks();
  const visiting = visit(outageMs + 15_000);
  await delay(5_000);
  const all = [servers.postgres, servers.redis, servers.nats];
  await Promise.all(all.map((server) => server.kill()));
  await delay(outageMs);
  await Promise.all(all.map((server) => server.start()));
  const clicks = await visiting;
  const { more } = await settle(t, 'all three away', clicks, before);
  t.equal(more, 0, 'no click of nobody');
  const [token] = answeredTokens(clicks).slice(perSecond * 30);
  const answer = await request(`${path.store.url}/api/tracking/${token}`, {
    headers: { authorization: `Bearer ${path.apiKey}` },
  });
  t.equal(answer.statusCode, 200, 'a click of the outage can be asked for');
  await answer.body.dump();
});

for (const name of ['nats', 'postgres'] as const) {
  await t.test(`SIGKILL of ${name} in every 5 s`, async (t) => {
    const before = await countClicks();
    const kill = async (): Promise<void> => {
      await servers[name].kill();
      await servers[name].start();
    };
    const clicks = await visitWhileKilling({ slots: 4, salt: name.length, kill });
    const { more } = await settle(t, `${name} killed`, clicks, before);
    t.equal(more, 0, 'no click of nobody');
  });
}

await t.test('SIGKILL of the gateway in every 5 s', async (t) => {
  const before = await countClicks();
  const kill = async (): Promise<void> => {
    await gateway.kill();
    await gateway.ready();
  };
  const clicks = await visitWhileKilling({ slots: 6, salt: 1, reloadForMs: 10_000, kill });
  const { more } = await settle(t, 'gateway killed', clicks, before);
  // Written down, and killed before the answer was out: the visitor came again under a new token.
  const reloads = clicks.reduce((sum, click) => sum + click.reloads, 0);
  t.ok(more >= 0 && more <= reloads, `${more} clicks more, ${reloads} reloads`);
});
