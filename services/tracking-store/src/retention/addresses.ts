/** IP addresses in the log that are older than they are to be kept. */
import type { RastroEvent } from '@rastro/events';
import { type Sql, type Transaction, truncatedIp } from '@rastro/runtime';
import { lock, tryLock } from '../adapters/locks.ts';
import { lockSessionsOf, reproject } from '../adapters/reprojection.ts';
import { typesWithAddresses, withTruncatedAddresses } from '../core/addresses.ts';
import { monthsOf } from './months.ts';

/** A stretch of event times; the end does not belong to it. */
export interface Period {
  readonly from: Date;
  readonly to: Date;
}

const job = 'addresses';
const dayMs = 24 * 60 * 60 * 1_000;

/** What passed the limit since the last run; null when nothing did or addresses are kept. */
export async function periodToTruncate(
  sql: Sql,
  { ipDays, now }: { ipDays: number; now: Date },
): Promise<Period | null> {
  if (ipDays === 0) return null;
  const [progress] = await sql<{ doneUntil: Date }[]>`
    select done_until from retention_progress where job = ${job}`;
  const [oldest] = await monthsOf(sql);
  const from = progress?.doneUntil ?? (oldest === undefined ? undefined : new Date(oldest));
  const to = new Date(now.getTime() - ipDays * dayMs);
  return from && from < to ? { from, to } : null;
}

/** How many events of a period may hold addresses. */
export async function countAddresses(sql: Sql, { from, to }: Period): Promise<number> {
  const [row] = await sql<{ events: number }[]>`
    select count(*) as events from event_log
    where time >= ${from} and time < ${to} and type = any(${typesWithAddresses as string[]})`;
  return row?.events ?? 0;
}

/** A day at most, so that a run that is cut off is not begun again from the start. */
export function firstDayOf({ from, to }: Period): Period {
  return { from, to: new Date(Math.min(from.getTime() + dayMs, to.getTime())) };
}

export async function rememberTruncated(sql: Sql, { to }: Period): Promise<void> {
  await sql`
    insert into retention_progress values (${job}, ${to})
    on conflict (job) do update set done_until = excluded.done_until`;
}

/** While addresses are kept for ever, late events bring theirs: whoever limits it begins anew. */
export async function forgetProgress(sql: Sql): Promise<void> {
  await sql`delete from retention_progress where job = ${job}`;
}

interface LoggedEvent {
  readonly trackingToken: string | null;
  readonly event: RastroEvent;
}

const eventsAtOnce = 500;

/** Batches of events whose addresses are to be truncated, each already changed. */
export async function* truncatedBatches(
  sql: Sql,
  { from, to }: Period,
): AsyncGenerator<LoggedEvent[]> {
  const events = sql<LoggedEvent[]>`
    select tracking_token, event from event_log
    where time >= ${from} and time < ${to} and type = any(${typesWithAddresses as string[]})`;
  for await (const rows of events.cursor(eventsAtOnce)) {
    const changed = rows.flatMap(({ trackingToken, event }) => {
      const truncated = withTruncatedAddresses(event, truncatedIp);
      return truncated === event ? [] : [{ trackingToken, event: truncated }];
    });
    if (changed.length > 0) yield changed;
  }
}

/** @returns the tokens whose sessions changed, or null when a rebuild is running. */
export async function writeTruncated(
  sql: Sql,
  events: readonly LoggedEvent[],
): Promise<string[] | null> {
  const tokens = [...new Set(events.flatMap(({ trackingToken }) => trackingToken ?? []))].sort();
  return sql.begin(async (tx) => {
    if (!(await tryLock(tx, 'rewriting', 'shared'))) return null;
    await lock(tx, 'storing', 'shared');
    const sessions = await lockSessionsOf(tx, tokens);
    await replaceInLog(tx, events);
    await reproject(tx, tokens, sessions);
    return tokens;
  });
}

async function replaceInLog(tx: Transaction, events: readonly LoggedEvent[]): Promise<void> {
  const rows = events.map(({ event }) => ({
    event_id: event.id,
    time: event.time,
    // As text, like insertEvents: \u0000 passes only so.
    event: JSON.stringify(event),
  }));
  await tx`
    update event_log set event = changed.event::json
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as changed (
      event_id uuid, time timestamptz, event text)
    where event_log.event_id = changed.event_id and event_log.time = changed.time`;
}
