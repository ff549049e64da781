/**
 * What bot-funnel weighs with hundreds of bots in one process, by webhook and by polling:
 * `node test/bench/funnel-bots.ts [BOTS]`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { startServiceProcess } from '@rastro/infra/service-process';
import { services } from '@rastro/infra/services';
import { connectNats } from '@rastro/messaging';
import { sealSecret, type Sql } from '@rastro/runtime';
import { startSandbox } from '@rastro/sandbox';
import { freePort } from '@rastro/servers';
import {
  eventually,
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import { residentMb } from '../support/processes.ts';
import { type Figures, say, written } from './figures.ts';

export type UpdateMode = 'webhook' | 'polling';

interface BenchBot {
  readonly id: string;
  readonly username: string;
  readonly token: string;
}

const limitMb = 300;
const restMs = 10_000;
const readyWithinMs = 60_000;

function fleetOf(count: number): BenchBot[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `bot-${index}`,
    username: `bench_${index}_bot`,
    token: `${7_100_000_000 + index}:AAbenchTokenOfBot${index}`,
  }));
}

/** The sample's catalog with so many bots of one funnel. */
function catalogOf(bots: readonly BenchBot[]) {
  return sampleCatalog().flatMap((entry) => {
    if (entry.kind === 'pool') return [];
    if (entry.kind !== 'bot') return [entry];
    return bots.map(({ id, username, token }) => {
      const sealed = sealSecret(testMasterKey, `bot/${id}/token`, token);
      const data = { ...entry.data, id, username, token: sealed } as typeof entry.data;
      return { ...entry, id, data };
    });
  });
}

/** Starts everything, greets one customer of each bot, and weighs the process at rest. */
export async function measureBots(mode: UpdateMode, count: number): Promise<Figures> {
  await using stack = new AsyncDisposableStack();
  const log = testLog();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const folders = services.find(({ name }) => name === 'bot-funnel')?.database?.folders ?? [];
  const database = stack.use(await migratedDatabase(servers, { schema: 'funnel', folders }));
  const bots = fleetOf(count);
  const port = await freePort();
  const publicOrigin = `http://127.0.0.1:${port}`;
  const world = { bots, pixels: [], pixAccounts: [] };
  const sandbox = stack.use(await startSandbox({ port: 0, publicOrigin, world }));
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'bench', log }));
  await putCatalog(nats, 'demo', catalogOf(bots));
  const environment = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    LOG_LEVEL: 'error',
    PORT: String(port),
    NATS_URL: servers.nats.url,
    POSTGRES_URL: database.url,
    PUBLIC_ORIGIN: publicOrigin,
    RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
    TELEGRAM_API_URL: `${sandbox.url}/telegram`,
    TELEGRAM_UPDATES: mode,
  };
  const startedMs = performance.now();
  const funnel = stack.use(startServiceProcess({ name: 'bot-funnel', port, environment, log }));
  await funnel.ready();
  await countReaches(database.sql, "health = 'healthy'", 'bot_health', count);
  const healthyMs = performance.now() - startedMs;
  for (const { username } of bots) await greet(sandbox.url, username);
  await countReaches(database.sql, "status = 'sent'", 'messages', count);
  const servedMb = residentMb(funnel.pid).rss;
  await delay(restMs);
  const { rss } = residentMb(funnel.pid);
  return {
    bots: count,
    'all healthy after s': healthyMs / 1_000,
    'MB served': servedMb,
    'MB at rest': rss,
  };
}

async function countReaches(sql: Sql, where: string, table: string, wanted: number): Promise<void> {
  const query = `select count(*) as count from ${table} where ${where}`;
  await eventually(
    async () => {
      const [row] = await sql.unsafe<{ count: number }[]>(query);
      if (row?.count !== wanted) throw new Error(`${table}: ${row?.count} of ${wanted}`);
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

/** @returns whether every mode stayed below the limit */
export async function benchBots(count: number): Promise<boolean> {
  let isBelow = true;
  for (const mode of ['webhook', 'polling'] as const) {
    const figures = await measureBots(mode, count);
    say(`  ${mode}: ${written(figures)}`);
    isBelow &&= (figures['MB at rest'] ?? Number.NaN) < limitMb;
  }
  return isBelow;
}

if (import.meta.main) {
  const count = Number(process.argv[2] ?? 200);
  say(`${count} bots in one process; less than ${limitMb} MB is wanted`);
  if (!(await benchBots(count))) process.exitCode = 1;
}
