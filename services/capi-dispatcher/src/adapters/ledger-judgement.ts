/** What would become of the rows that an operator selected: nothing here changes any. */
import type { Queryable, Sql } from '@rastro/runtime';
import type { ConversionState } from '../core/conversion.ts';
import type { LedgerFilter } from '../core/ledger-filter.ts';
import { defaultPace } from '../core/pace.ts';
import { type Plan, planPageView, planPurchase, type Pool } from '../core/plan.ts';
import { type Command, isLiftable, judge, statesOf, type Verdict } from '../core/replay.ts';
import { loadJourneys, loadOrders } from './compose.ts';
import { countRows, type LedgerRow, listedColumns, matching } from './ledger-rows.ts';

/** What is to be sent again. */
export interface Wish {
  readonly command: Command;
  readonly filter: LedgerFilter;
  /** Of rows looked at, newest first; null for all. */
  readonly limit: number | null;
  /** The operator insists. */
  readonly isForced: boolean;
}

/** Of a workspace; asked for only where the catalog matters, for that takes NATS. */
export type PoolsOf = () => Promise<(workspaceId: string) => readonly Pool[]>;

export interface Judged {
  readonly row: LedgerRow;
  readonly verdict: Verdict;
  /** Only of a skipped row that may be taken up again. */
  readonly plan: Plan | null;
}

const pageSize = 500;

/**
 * Newest first, page by page.
 * @param asOf Postgres' own clock, as text for its microseconds: what changed since is left out.
 */
export async function* pagesOf(
  sql: Sql,
  wish: Wish,
  asOf: string,
): AsyncGenerator<readonly LedgerRow[]> {
  const filter = narrowed(wish);
  let last: string | null = null;
  let left = wish.limit ?? Infinity;
  while (left > 0) {
    const rows: LedgerRow[] = await sql<LedgerRow[]>`
      select ${listedColumns(sql)}, body from conversions
      where ${matching(sql, filter)} and updated_at <= ${asOf}::text::timestamptz
        and (${last}::uuid is null or id < ${last}::uuid)
      order by id desc limit ${Math.min(pageSize, left)}`;
    if (rows.length === 0) return;
    yield rows;
    last = rows.at(-1)?.id ?? null;
    left -= rows.length;
  }
}

/** To the states that the command is for. */
function narrowed({ command, filter }: Wish): LedgerFilter {
  const { state = statesOf[command] } = filter;
  return { ...filter, state: state.filter((name) => statesOf[command].includes(name)) };
}

/** By the clock, and by the catalog as it is now for those that were skipped. */
export async function judgeRows(
  sql: Queryable,
  rows: readonly LedgerRow[],
  wish: Pick<Wish, 'command' | 'isForced'>,
  poolsOf: PoolsOf,
): Promise<Judged[]> {
  const nowMs = Date.now();
  const plans = await plansOf(sql, rows.filter(isLiftable), poolsOf, nowMs);
  return rows.map((row) => {
    const plan = plans.get(row.id) ?? null;
    const candidate = {
      ...row,
      plan,
      eventTimeSeconds: row.eventTime,
      dueAtMs: row.dueAt.getTime(),
      firstAttemptAtMs: row.firstAttemptAt?.getTime() ?? null,
      acceptedAtMs: row.acceptedAt?.getTime() ?? null,
      unknownSinceMs: row.unknownSince?.getTime() ?? null,
    };
    const { command, isForced } = wish;
    return { row, plan, verdict: judge(command, candidate, { nowMs, isForced }) };
  });
}

/** As if the click or the payment had just become known. */
async function plansOf(
  sql: Queryable,
  rows: readonly LedgerRow[],
  poolsOf: PoolsOf,
  nowMs: number,
): Promise<Map<string, Plan>> {
  if (rows.length === 0) return new Map();
  const pools = await poolsOf();
  const journeys = await loadJourneys(sql, rows);
  const orders = await loadOrders(sql, rows);
  const { missingClickHoldMs, browserFirstHoldMs } = defaultPace;
  const plans = rows.map((row): [string, Plan] | null => {
    const { id, workspaceId, trackingToken, paymentId } = row;
    const journey = journeys.get(trackingToken ?? '') ?? null;
    const own = pools(workspaceId);
    if (row.eventName === 'PageView') {
      const click = journey?.click;
      return journey && click ? [id, planPageView({ ...journey, click }, own, nowMs)] : null;
    }
    const order = orders.get(paymentId ?? '');
    if (!order?.paid) return null;
    const known = { order: { ...order, paid: order.paid }, journey, pools: own };
    return [id, planPurchase({ ...known, missingClickHoldMs, browserFirstHoldMs }, nowMs)];
  });
  return new Map(plans.filter((plan) => plan !== null));
}

export interface PreviewGroup {
  readonly pixelId: string;
  readonly eventName: string;
  readonly state: ConversionState;
  readonly verdict: Verdict['kind'];
  /** For programs: doubts, why it is left alone, or why it would be skipped. */
  readonly notes: readonly string[];
  readonly events: number;
}

export interface Preview {
  /** Postgres' clock. */
  readonly asOf: string;
  readonly groups: readonly PreviewGroup[];
}

/** Counts what would happen to each event that the filter names, those included that stay. */
export async function preview(sql: Sql, wish: Wish, poolsOf: PoolsOf): Promise<Preview> {
  const [{ asOf } = { asOf: '' }] = await sql<{ asOf: string }[]>`select now()::text as as_of`;
  const groups = new Map<string, PreviewGroup>();
  const count = (group: PreviewGroup): void => {
    const key = JSON.stringify({ ...group, events: 0 });
    groups.set(key, { ...group, events: group.events + (groups.get(key)?.events ?? 0) });
  };
  const { state } = wish.filter;
  const others = await countRows(sql, wish.filter);
  for (const { events, ...rest } of others) {
    if (statesOf[wish.command].includes(rest.state)) continue;
    count({ ...groupOf(rest, leftAlone(wish, rest.state)), events });
  }
  const mine = state === undefined || state.some((name) => statesOf[wish.command].includes(name));
  if (!mine) return { asOf, groups: [...groups.values()] };
  for await (const rows of pagesOf(sql, wish, asOf)) {
    for (const { row, verdict } of await judgeRows(sql, rows, wish, poolsOf)) {
      count({ ...groupOf(row, verdict), events: 1 });
    }
  }
  return { asOf, groups: [...groups.values()] };
}

/** The state alone decides about these. */
function leftAlone({ command, isForced }: Wish, state: ConversionState): Verdict {
  const times = {
    eventTimeSeconds: 0,
    dueAtMs: 0,
    firstAttemptAtMs: null,
    acceptedAtMs: null,
    unknownSinceMs: null,
  };
  const row = { state, reason: null, plan: null, ...times };
  return judge(command, row, { nowMs: 0, isForced });
}

function groupOf(
  { pixelId, eventName, state }: Pick<PreviewGroup, 'pixelId' | 'eventName' | 'state'>,
  verdict: Verdict,
): Omit<PreviewGroup, 'events'> {
  return { pixelId, eventName, state, verdict: verdict.kind, notes: notesOf(verdict) };
}

function notesOf(verdict: Verdict): string[] {
  if (verdict.kind === 'probe') return [];
  if (verdict.kind !== 'left') return [...verdict.doubts];
  return verdict.skippedReason === null ? [verdict.why] : [verdict.why, verdict.skippedReason];
}
