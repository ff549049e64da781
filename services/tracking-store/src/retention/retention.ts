/** What is kept no longer: old months of the log, and addresses of visitors in younger ones. */
import { connectPostgres, type Sql } from '@rastro/runtime';
import { tryLock } from '../adapters/locks.ts';
import {
  countAddresses,
  firstDayOf,
  forgetProgress,
  periodToTruncate,
  rememberTruncated,
  truncatedBatches,
  writeTruncated,
} from './addresses.ts';
import { dropMonth, monthsOf, monthsToDrop, workOffBacklog } from './months.ts';

export interface RetentionRules {
  /** Days after which addresses in events are truncated; 0 for never. */
  readonly ipDays: number;
  /** Months that are kept besides the one that runs; 0 for all. */
  readonly eventMonths: number;
}

export interface RetentionOptions {
  /** The service's own role is enough. */
  readonly url: string;
  readonly schema: string;
  readonly rules: RetentionRules;
  readonly now: Date;
  /** Told of tokens whose session or journey changed, so that copies of them go too. */
  readonly onChange: (trackingTokens: readonly string[]) => void;
  /** Ends a run after the batch under way; the next one goes on from there. */
  readonly signal?: AbortSignal;
}

export interface RetentionReport {
  /** `busy`: another run is at it. `postponed`: a rebuild is, and the next run goes on. */
  readonly outcome: 'done' | 'busy' | 'postponed';
  /** Months that were dropped, e.g. `2026-01`. */
  readonly droppedMonths: readonly string[];
  /** Events in which an address was truncated. */
  readonly truncatedEvents: number;
}

/** What a run would do now. */
export interface RetentionPlan {
  readonly months: readonly { readonly month: string; readonly events: number }[];
  /** Null when there is none to look at. */
  readonly addresses: {
    /** ISO 8601; events from here */
    readonly from: string;
    /** until before here are looked at. */
    readonly to: string;
    readonly events: number;
  } | null;
}

const connect = ({ url, schema }: Pick<RetentionOptions, 'url' | 'schema'>): Sql =>
  connectPostgres({ url, schema, service: 'rastro retention', maxConnections: 3 });

/** Safe to run at any time and by several at once: one of them works, the others say `busy`. */
export async function runRetention(options: RetentionOptions): Promise<RetentionReport> {
  const sql = connect(options);
  try {
    return await sql.begin(async (guard) => {
      await guard`set local idle_in_transaction_session_timeout = 0`;
      if (!(await tryLock(guard, 'retention', 'alone'))) return { ...nothing, outcome: 'busy' };
      return runAlone(sql, options);
    });
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const nothing = { droppedMonths: [], truncatedEvents: 0 } as const;

async function runAlone(sql: Sql, options: RetentionOptions): Promise<RetentionReport> {
  const { rules, now } = options;
  const droppedMonths: string[] = [];
  const report = (outcome: 'done' | 'postponed', truncatedEvents = 0): RetentionReport => ({
    outcome,
    droppedMonths,
    truncatedEvents,
  });
  for (const month of monthsToDrop(await monthsOf(sql), { ...rules, now })) {
    if (!(await dropMonth(sql, month))) return report('postponed');
    droppedMonths.push(month.slice(0, 'YYYY-MM'.length));
  }
  if (!(await catchUpSessions(sql, options))) return report('postponed');
  if (rules.ipDays === 0) await forgetProgress(sql);
  const { isDone, events } = await truncateAddresses(sql, options);
  return report(isDone ? 'done' : 'postponed', events);
}

/** Also those of a run that died between dropping a month and this. */
async function catchUpSessions(sql: Sql, { onChange, signal }: RetentionOptions): Promise<boolean> {
  while (!signal?.aborted) {
    const tokens = await workOffBacklog(sql);
    if (tokens === null) return false;
    if (tokens.length === 0) return true;
    onChange(tokens);
  }
  return false;
}

async function truncateAddresses(
  sql: Sql,
  { rules, now, onChange, signal }: RetentionOptions,
): Promise<{ isDone: boolean; events: number }> {
  let events = 0;
  for (;;) {
    const period = await periodToTruncate(sql, { ...rules, now });
    if (period === null) return { isDone: true, events };
    const day = firstDayOf(period);
    for await (const batch of truncatedBatches(sql, day)) {
      const tokens = signal?.aborted ? null : await writeTruncated(sql, batch);
      if (tokens === null) return { isDone: false, events };
      events += batch.length;
      onChange(tokens);
    }
    await rememberTruncated(sql, day);
  }
}

/** For `--dry-run`: changes nothing. */
export async function planRetention(
  options: Pick<RetentionOptions, 'url' | 'schema' | 'rules' | 'now'>,
): Promise<RetentionPlan> {
  const sql = connect(options);
  try {
    const { rules, now } = options;
    const months = [];
    for (const month of monthsToDrop(await monthsOf(sql), { ...rules, now })) {
      const partition = sql(`event_log_${month.slice(0, 7).replace('-', '_')}`);
      const [row] = await sql<{ events: number }[]>`select count(*) as events from ${partition}`;
      months.push({ month: month.slice(0, 7), events: row?.events ?? 0 });
    }
    const period = await periodToTruncate(sql, { ...rules, now });
    const events = period ? await countAddresses(sql, period) : 0;
    const addresses =
      period && events > 0
        ? { from: period.from.toISOString(), to: period.to.toISOString(), events }
        : null;
    return { months, addresses };
  } finally {
    await sql.end({ timeout: 1 });
  }
}
