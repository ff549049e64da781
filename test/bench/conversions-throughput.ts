/** From clicks on JetStream to PageViews that Meta has accepted and the ledger knows of. */
import { setTimeout as delay } from 'node:timers/promises';
import { publishEvents } from '@rastro/messaging';
import {
  clickOf,
  type ConversionsDesk,
  pixelId,
  startConversionsDesk,
} from './conversions-desk.ts';
import { cpuSecondsOf } from './cpu.ts';
import type { Figures } from './figures.ts';

const warmUp = 8_000;
const pageViews = 40_000;
const batch = 1_000;
const within = 120_000;

export async function measureThroughput(): Promise<Figures> {
  await using desk = await startConversionsDesk();
  // As a process that has run for a while: what is measured is not the compiler.
  await sendAll(desk, warmUp);
  const before = await cpuSecondsOf(desk.pids);
  const { seconds, calls } = await sendAll(desk, pageViews);
  const after = await cpuSecondsOf(desk.pids);
  const perEvent = Object.entries(after).map(([name, cpu]) => [
    `${name} µs`,
    ((cpu - (before[name] ?? 0)) / pageViews) * 1e6,
  ]);
  return {
    'PageViews/s': pageViews / seconds,
    calls,
    ...(Object.fromEntries(perEvent) as Figures),
  };
}

/** From the first publish to the last accepted; publishing, too, is on this machine. */
async function sendAll(desk: ConversionsDesk, count: number) {
  const { nats, sql } = desk;
  const clickedAt = new Date(Date.now() - 60_000);
  const known = await countIn(desk);
  const clicks = Array.from({ length: count }, () => clickOf(clickedAt));
  const startedMs = performance.now();
  const publishing = (async () => {
    for (let at = 0; at < count; at += batch) {
      await publishEvents(nats, clicks.slice(at, at + batch));
    }
  })();
  for (;;) {
    await delay(100);
    const [open] = await sql`
      select 1 from conversions where state in ('waiting', 'due', 'unconfirmed')
      union all select 1 from conversions where state = 'sending' limit 1`;
    if (!open && (await countIn(desk)) - known === count) break;
    if (performance.now() - startedMs > within) throw new Error('not all were accepted in time');
  }
  await publishing;
  const seconds = (performance.now() - startedMs) / 1_000;
  return { seconds, calls: await verify(desk, known + count) };
}

async function countIn({ sql }: ConversionsDesk): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from conversions where state = 'accepted'`;
  return row?.count ?? 0;
}

/** Meta's own log has each of them once, and nothing was refused. */
async function verify({ meta, sql }: ConversionsDesk, total: number): Promise<number> {
  const calls = await meta.control<{ eventCount: number; accepted: boolean }[]>(
    'GET',
    `/graph/requests?pixelId=${pixelId}`,
  );
  const received = calls.reduce((sum, call) => sum + (call.accepted ? call.eventCount : 0), 0);
  const [row] = await sql<{ count: number }[]>`
    select count(distinct event_id)::int as count from conversions`;
  if (received !== total || row?.count !== total) {
    throw new Error(`Meta received ${received} and the ledger has ${row?.count} of ${total}`);
  }
  return calls.length;
}
