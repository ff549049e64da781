/** How long Telegram waits for the 200 at 500 updates a second, and how soon they are handled. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sql } from '@rastro/runtime';
import { Pool } from 'undici';
import type { Figures } from './figures.ts';
import { type FleetBot, fleetOf, startFleet, webhookSecretOf } from './funnel-fleet.ts';
import { loadSteadily, percentileOf, type SteadyAnswers } from './steady-load.ts';

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
    environment: { TELEGRAM_API_URL: telegram.url, TELEGRAM_UPDATES: 'webhook' },
  });
  const { url } = fleet.funnel;
  // As a process that has run for a while: what is measured is not the compiler.
  const warm = await pushSteadily({ url, bots, firstUser: 1, durationMs: warmUpMs });
  await countReaches(fleet.sql, warm.latencyMs.length);
  const pushes = await pushSteadily({ url, bots, firstUser: 1_000_000, durationMs });
  const endedMs = performance.now();
  const handledAtEnd = await countStarted(fleet.sql);
  await countReaches(fleet.sql, warm.latencyMs.length + pushes.latencyMs.length);
  const sorted = pushes.latencyMs.toSorted();
  const at = (share: number): number => percentileOf(sorted, share);
  const [p50, p99, max] = [at(0.5), at(0.99), at(1)];
  return {
    updates: sorted.length,
    'not 200': pushes.notOk,
    'p50 ms': p50,
    'p99 ms': p99,
    'max ms': max,
    'handled by the last one': handledAtEnd - warm.latencyMs.length,
    'drained after s': (performance.now() - endedMs) / 1_000,
  };
}

/** People who press START, each for the first time. */
async function pushSteadily(load: {
  url: string;
  bots: readonly FleetBot[];
  firstUser: number;
  durationMs: number;
}): Promise<SteadyAnswers> {
  const { url, bots, firstUser, durationMs: forMs } = load;
  const pool = new Pool(url, { connections: 100 });
  try {
    return await loadSteadily({
      total: Math.round((perSecond * forMs) / 1_000),
      perSecond,
      send: (index) => push(pool, (bots[index % bots.length] as FleetBot).id, firstUser + index),
    });
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
  const type = ['content-type', 'application/json'];
  const made = [...type, 'x-telegram-bot-api-secret-token', secret];
  knownHeaders.set(botId, made);
  return made;
}

/** @returns the status, or null where there was no answer */
async function push(pool: Pool, botId: string, user: number): Promise<number | null> {
  const from = { id: user, is_bot: false, first_name: 'Cliente', language_code: 'pt-br' };
  const chat = { id: user, type: 'private', first_name: 'Cliente' };
  const message = { message_id: 1, date: 1_790_000_000, chat, from, text: '/start' };
  const headers = headersOf(botId);
  const body = JSON.stringify({ update_id: user, message });
  try {
    const answer = await pool.request({
      method: 'POST',
      path: `/telegram/${botId}`,
      headers,
      body,
    });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return null;
  }
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
