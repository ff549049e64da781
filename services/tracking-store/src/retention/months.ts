/** Whole months of the log that are older than they are to be kept. */
import type { Sql } from '@rastro/runtime';
import { lock, tryLock } from '../adapters/locks.ts';
import { lockSessionsOf, reproject } from '../adapters/reprojection.ts';
import { cutLog } from '../rebuild/catch-up.ts';

/** First days of the months that there are, the oldest first, e.g. `2026-11-01`. */
export async function monthsOf(sql: Sql): Promise<string[]> {
  const rows = await sql<{ month: string }[]>`
    select replace(right(relname, 7), '_', '-') || '-01' as month
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'event_log'::regclass and relname ~ '^event_log_[0-9]{4}_[0-9]{2}$'
    order by 1`;
  return rows.map(({ month }) => month);
}

/** Keeps the month of `now` and `eventMonths` before it. */
export function monthsToDrop(
  months: readonly string[],
  { eventMonths, now }: { eventMonths: number; now: Date },
): string[] {
  if (eventMonths === 0) return [];
  const oldest = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - eventMonths, 1));
  return months.filter((month) => month < oldest.toISOString().slice(0, 'YYYY-MM-DD'.length));
}

/**
 * Drops a month, and notes down whose journeys reached into it; `workOffBacklog` does the rest.
 * @returns false when a rebuild is running and it has to wait.
 */
export async function dropMonth(sql: Sql, month: string): Promise<boolean> {
  const partition = sql(`event_log_${month.slice(0, 7).replace('-', '_')}`);
  // The many first, while everybody may store; what came meanwhile when nobody can.
  const position = await cutLog(sql);
  await sql`
    insert into retention_backlog
    select distinct tracking_token from ${partition}
    where tracking_token is not null and position <= ${position}
    on conflict do nothing`;
  return sql.begin(async (tx) => {
    if (!(await tryLock(tx, 'rewriting', 'shared'))) return false;
    await lock(tx, 'storing', 'alone');
    await tx`
      insert into retention_backlog
      select distinct tracking_token from ${partition}
      where tracking_token is not null and position > ${position}
      on conflict do nothing`;
    await tx`select drop_event_log_partition(${month}::text::date)`;
    return true;
  });
}

const tokensAtOnce = 500;

/**
 * Sessions of the backlog are made again of what is left in the log, or deleted with their last
 * event.
 * @returns the tokens, or null when a rebuild is running: it makes them again too.
 */
export async function workOffBacklog(sql: Sql): Promise<string[] | null> {
  return sql.begin(async (tx) => {
    if (!(await tryLock(tx, 'rewriting', 'shared'))) return null;
    await lock(tx, 'storing', 'shared');
    const rows = await tx<{ trackingToken: string }[]>`
      select tracking_token from retention_backlog order by tracking_token limit ${tokensAtOnce}`;
    const tokens = rows.map(({ trackingToken }) => trackingToken);
    if (tokens.length === 0) return tokens;
    await reproject(tx, tokens, await lockSessionsOf(tx, tokens));
    await tx`delete from retention_backlog where tracking_token = any(${tokens})`;
    return tokens;
  });
}
