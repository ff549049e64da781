/** What bot-funnel weighs with hundreds of bots in one process, by webhook and by polling. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Sql } from '@rastro/runtime';
import { startSandbox } from '@rastro/sandbox';
import { eventually } from '@rastro/testing';
import { residentMb } from '../support/processes.ts';
import type { Figures } from './figures.ts';
import { fleetOf, startFleet } from './funnel-fleet.ts';

const botCount = 200;
const restMs = 10_000;
const readyWithinMs = 60_000;

/** Starts everything, greets one customer of each bot, and weighs the process at rest. */
export async function measureBots(mode: 'webhook' | 'polling'): Promise<Figures> {
  await using stack = new AsyncDisposableStack();
  const bots = fleetOf(botCount);
  const sandbox = stack.use(
    await startSandbox({
      port: 0,
      publicOrigin: 'http://127.0.0.1',
      world: { bots, pixels: [], pixAccounts: [] },
    }),
  );
  const startedMs = performance.now();
  const fleet = stack.use(
    await startFleet({
      bots,
      environment: { TELEGRAM_API_URL: `${sandbox.url}/telegram`, TELEGRAM_UPDATES: mode },
    }),
  );
  const { funnel, sql } = fleet;
  await countReaches(sql, `select count(*) as count from bot_health where health = 'healthy'`);
  const healthyMs = performance.now() - startedMs;
  for (const { username } of bots) await greet(sandbox.url, username);
  await countReaches(sql, `select count(*) as count from messages where status = 'sent'`);
  const servedMb = residentMb(funnel.pid).rss;
  await delay(restMs);
  const { rss } = residentMb(funnel.pid);
  return {
    bots: botCount,
    'all healthy after s': healthyMs / 1_000,
    'MB served': servedMb,
    'MB at rest': rss,
  };
}

async function countReaches(sql: Sql, query: string): Promise<void> {
  await eventually(
    async () => {
      const [row] = await sql.unsafe<{ count: number }[]>(query);
      if (row?.count !== botCount) throw new Error(`${row?.count} of ${botCount}: ${query}`);
    },
    { timeoutMs: readyWithinMs, intervalMs: 200 },
  );
}

async function greet(sandboxUrl: string, username: string): Promise<void> {
  const response = await fetch(`${sandboxUrl}/control/telegram/chats/${username}/9001/start`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"payload":""}',
  });
  if (!response.ok) throw new Error(`${username}: ${response.status}`);
}
