/** How long Telegram waits for the 200 at 500 updates a second, and how soon they are handled. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sql } from '@rastro/runtime';
import { Pool } from 'undici';
import { latencies } from '../support/click-generator.ts';
import type { Figures } from './figures.ts';
import { type FleetBot, fleetOf, startFleet, webhookSecretOf } from './funnel-fleet.ts';

const perSecond = 500;
const durationMs = 20_000;
const warmUpMs = 5_000;
const botCount = 20;
const drainWithinMs = 120_000;

export async function measureWebhooks(): Promise<Figures> {
  await using telegram = await startBareTelegram();
  const bots = fleetOf(botCount);
  await using fleet = await startFleet({
    bots,
    environment: () => ({ TELEGRAM_API_URL: telegram.url, TELEGRAM_UPDATES: 'webhook' }),
  });
  const { url } = fleet.funnel;
  // As a process that has run for a while: what is measured is not the compiler.
  const warm = await pushSteadily({ url, bots, firstUser: 1, durationMs: warmUpMs });
  await countReaches(fleet.sql, warm.length);
  const pushes = await pushSteadily({ url, bots, firstUser: 1_000_000, durationMs });
  const endedMs = performance.now();
  const handledAtEnd = await countStarted(fleet.sql);
  await countReaches(fleet.sql, warm.length + pushes.length);
  const { p50, p99, max } = latencies(pushes);
  return {
    updates: pushes.length,
    'not 200': pushes.filter(({ status }) => status !== 200).length,
    'p50 ms': p50,
    'p99 ms': p99,
    'max ms': max,
    'handled by the last one': handledAtEnd - warm.length,
    'drained after s': (performance.now() - endedMs) / 1_000,
  };
}

interface Push {
  readonly latencyMs: number;
  readonly status: number | null;
}

/** An open loop of people who press START, each for the first time. */
async function pushSteadily(load: {
  url: string;
  bots: readonly FleetBot[];
  firstUser: number;
  durationMs: number;
}): Promise<Push[]> {
  const pool = new Pool(load.url, { connections: 100 });
  const total = Math.round((perSecond * load.durationMs) / 1_000);
  const pushes: Promise<Push>[] = [];
  const startedMs = performance.now();
  try {
    while (pushes.length < total) {
      const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1_000) + 1;
      while (pushes.length < Math.min(due, total)) {
        const dueMs = startedMs + (pushes.length * 1_000) / perSecond;
        const bot = load.bots[pushes.length % load.bots.length] as FleetBot;
        pushes.push(push(pool, bot.id, load.firstUser + pushes.length, dueMs));
      }
      await delay(1);
    }
    return await Promise.all(pushes);
  } finally {
    await pool.destroy();
  }
}

const knownHeaders = new Map<string, string[]>();

/** Made once for each bot, and flat, as undici takes them fastest. */
function headersOf(botId: string): string[] {
  const known = knownHeaders.get(botId);
  if (known !== undefined) return known;
  const secret = webhookSecretOf(botId);
  const made = [
    ...['content-type', 'application/json'],
    ...['x-telegram-bot-api-secret-token', secret],
  ];
  knownHeaders.set(botId, made);
  return made;
}

async function push(pool: Pool, botId: string, user: number, dueMs: number): Promise<Push> {
  const from = { id: user, is_bot: false, first_name: 'Cliente', language_code: 'pt-br' };
  const chat = { id: user, type: 'private', first_name: 'Cliente' };
  const message = { message_id: 1, date: 1_790_000_000, chat, from, text: '/start' };
  const headers = headersOf(botId);
  const body = JSON.stringify({ update_id: user, message });
  const path = `/telegram/${botId}`;
  let status: number | null = null;
  try {
    const answer = await pool.request({ method: 'POST', path, headers, body });
    status = answer.statusCode;
    await answer.body.dump();
  } catch {
    status = null;
  }
  return { latencyMs: performance.now() - dueMs, status };
}

async function countStarted(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*) as count from events where type = 'FunnelStarted'`;
  return row?.count ?? 0;
}

async function countReaches(sql: Sql, wanted: number): Promise<void> {
  const deadline = performance.now() + drainWithinMs;
  for (;;) {
    const count = await countStarted(sql);
    if (count === wanted) return;
    if (count > wanted || performance.now() > deadline) {
      throw new Error(`${count} of ${wanted} customers were started`);
    }
    await delay(100);
  }
}

async function startBareTelegram(): Promise<AsyncDisposable & { readonly url: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'bare-telegram.ts')], {
    env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { url, [Symbol.asyncDispose]: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill();
  await exited;
}
