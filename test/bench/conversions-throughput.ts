/** From clicks on JetStream to PageViews that Meta has accepted and the ledger knows of. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { publishEvents } from '@rastro/messaging';
import { clickOf, pixelId } from './clicks-and-payments.ts';
import { type ConversionsDesk, startConversionsDesk } from './conversions-desk.ts';
import { cpuSecondsOf } from './cpu.ts';
import type { Figures } from './figures.ts';

const warmUp = 8_000;
const pageViews = 40_000;
const sdkPageViews = 5_000;
const batch = 1_000;
const within = 120_000;

/**
 * Our way between two halves of Meta's SDK against the same Graph, for a machine is not as quick at
 * all times; while one works, the other has nothing to do.
 */
export async function measureThroughput(): Promise<Figures> {
  await using desk = await startConversionsDesk();
  // As processes that have run for a while: what is measured is not the compiler.
  await sendAll(desk, warmUp);
  const sdkBefore = await sendWithSdk(desk, 1);
  const before = await cpuSecondsOf(desk.pids);
  const { seconds, calls } = await sendAll(desk, pageViews);
  const after = await cpuSecondsOf(desk.pids);
  const perEvent = Object.entries(after).map(([name, cpu]) => [
    `${name} µs`,
    ((cpu - (before[name] ?? 0)) / pageViews) * 1e6,
  ]);
  const sdkAfter = await sendWithSdk(desk, 1);
  // As many calls each: the time of both together.
  const sdk = 2 / (1 / sdkBefore + 1 / sdkAfter);
  const sdkInFlight = await sendWithSdk(desk, 8);
  return {
    'PageViews/s': pageViews / seconds,
    'with the SDK/s': sdk,
    'with 8 in flight/s': sdkInFlight,
    ratio: pageViews / seconds / sdk,
    calls,
    ...(Object.fromEntries(perEvent) as Figures),
  };
}

/**
 * From a queue on JetStream to the last accepted. The dispatcher stands still while the queue is
 * made, for who makes it is on this machine and no part of what is measured.
 */
async function sendAll(desk: ConversionsDesk, count: number) {
  const { pids, sql } = desk;
  const known = await countIn(desk);
  process.kill(pids.dispatcher, 'SIGSTOP');
  await queue(desk, count);
  const startedAtMs = Date.now();
  const startedMs = performance.now();
  process.kill(pids.dispatcher, 'SIGCONT');
  for (;;) {
    await delay(100);
    const [open] = await sql`
      select 1 from conversions where state in ('waiting', 'due', 'unconfirmed')
      union all select 1 from conversions where state = 'sending' limit 1`;
    if (!open && (await countIn(desk)) - known === count) break;
    if (performance.now() - startedMs > within) throw new Error('not all were accepted in time');
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  return { seconds, calls: await verify(desk, startedAtMs, count) };
}

async function queue({ nats }: ConversionsDesk, count: number): Promise<void> {
  const clickedAt = new Date(Date.now() - 60_000);
  for (let left = count; left > 0; left -= batch) {
    const clicks = Array.from({ length: Math.min(batch, left) }, () => clickOf(clickedAt));
    await publishEvents(nats, clicks);
  }
}

async function countIn({ sql }: ConversionsDesk): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from conversions where state = 'accepted'`;
  return row?.count ?? 0;
}

/** Meta's own log has each of them once, and the ledger too. */
async function verify({ meta, sql }: ConversionsDesk, sinceMs: number, count: number) {
  const logged = await meta.control<{ atMs: number; eventCount: number; accepted: boolean }[]>(
    'GET',
    `/graph/requests?pixelId=${pixelId}`,
  );
  const calls = logged.filter(({ atMs }) => atMs >= sinceMs);
  const received = calls.reduce((sum, call) => sum + (call.accepted ? call.eventCount : 0), 0);
  if (received !== count) throw new Error(`Meta received ${received} of ${count}`);
  const [row] = await sql<{ rows: number; ids: number }[]>`
    select count(*)::int as rows, count(distinct event_id)::int as ids from conversions`;
  if (row?.rows !== row?.ids) throw new Error(`the ledger has ${row?.rows} rows of ${row?.ids}`);
  return calls.length;
}

/** @returns events a second. */
async function sendWithSdk({ meta }: ConversionsDesk, inFlight: number): Promise<number> {
  const script = join(import.meta.dirname, 'meta-sdk.ts');
  const given = [`${meta.url}/graph`, String(sdkPageViews), String(inFlight)];
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...given], {
    env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
  });
  return Number(stdout);
}
