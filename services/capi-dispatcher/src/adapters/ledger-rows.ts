/** Rows of the ledger as an operator selects and reads them; the dispatcher needs none of this. */
import type { Queryable } from '@rastro/runtime';
import type { ConversionState } from '../core/conversion.ts';
import type { LedgerFilter, LedgerKey } from '../core/ledger-filter.ts';
import type { StoredConversion } from './lane.ts';

/** All of a row. */
export interface LedgerRow extends StoredConversion {
  readonly state: ConversionState;
  readonly reason: string | null;
  readonly httpStatus: number | null;
  readonly code: number | null;
  readonly subcode: number | null;
  readonly fbtraceId: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly dueAt: Date;
  readonly acceptedAt: Date | null;
}

/** The same without the event's own JSON, which says who somebody is. */
export type ListedRow = Omit<LedgerRow, 'body'>;

export function listedColumns(sql: Queryable) {
  return sql`id, workspace_id, pixel_id, pool_id, event_name, event_id, tracking_token, payment_id,
    state, reason, attempts, event_time, due_at, first_attempt_at, unknown_since, accepted_at,
    created_at, updated_at, http_status, code, subcode, fbtrace_id, match_keys, complaints,
    test_event_code, is_forced, version`;
}

/** A condition for `where`. */
export function matching(sql: Queryable, filter: LedgerFilter) {
  const { workspace, pixel, pool, event, state, code, subcode, reason, complaint } = filter;
  const { since, until, token, payment, eventId } = filter;
  const terms = [
    workspace !== undefined && sql`workspace_id = ${workspace}`,
    pixel !== undefined && sql`pixel_id = ${pixel}`,
    pool !== undefined && sql`pool_id = ${pool}`,
    event !== undefined && sql`event_name = ${event}`,
    state !== undefined && sql`state = any(${state as string[]}::text[])`,
    code !== undefined && sql`code = ${code}`,
    subcode !== undefined && sql`subcode = ${subcode}`,
    reason !== undefined && sql`strpos(lower(reason), lower(${reason})) > 0`,
    complaint !== undefined && sql`complaints @> ${sql.json([{ code: complaint }])}`,
    since !== undefined && sql`created_at >= ${since}`,
    until !== undefined && sql`created_at < ${until}`,
    // There is an index by the event's id alone, and one of orders by their token.
    token !== undefined &&
      sql`event_id in (
      select ${`evt_${token}`} union all
      select 'purchase_' || payment_id from orders where tracking_token = ${token})`,
    payment !== undefined && sql`event_id = ${`purchase_${payment}`}`,
    eventId !== undefined && sql`event_id = ${eventId}`,
  ];
  return terms.reduce((all, term) => (term ? sql`${all} and ${term}` : all), sql`true`);
}

/** Newest first, for ids tell when they were made. */
export function listRows(
  sql: Queryable,
  filter: LedgerFilter,
  limit: number,
): Promise<ListedRow[]> {
  return sql<ListedRow[]>`
    select ${listedColumns(sql)} from conversions
    where ${matching(sql, filter)} order by id desc limit ${limit}`;
}

export interface Count {
  readonly workspaceId: string;
  readonly pixelId: string;
  readonly eventName: string;
  readonly state: ConversionState;
  readonly events: number;
  /** When the ledger took them up. */
  readonly oldest: Date;
  readonly newest: Date;
}

export function countRows(sql: Queryable, filter: LedgerFilter): Promise<Count[]> {
  return sql<Count[]>`
    select workspace_id, pixel_id, event_name, state, count(*) as events,
      min(created_at) as oldest, max(created_at) as newest
    from conversions where ${matching(sql, filter)} group by 1, 2, 3, 4 order by 1, 2, 3, 4`;
}

/** An event by its own id; a click's and a payment's events by theirs. Oldest first. */
export function findRows(sql: Queryable, key: LedgerKey): Promise<LedgerRow[]> {
  const condition =
    key.kind === 'token'
      ? matching(sql, { token: key.token })
      : key.kind === 'event'
        ? matching(sql, { eventId: key.eventId })
        : sql`id = ${key.id} or event_id = ${`purchase_${key.id}`}`;
  return sql<LedgerRow[]>`
    select ${listedColumns(sql)}, body from conversions where ${condition} order by id`;
}

const exportedAtOnce = 500;

/** Oldest first, some hundreds at a time, however many there are. */
export async function* exportRows(
  sql: Queryable,
  filter: LedgerFilter,
  options: { readonly limit: number | null; readonly hasBodies: boolean },
): AsyncGenerator<readonly (ListedRow & { readonly body?: string | null })[]> {
  const body = options.hasBodies ? sql`, body` : sql``;
  const limit = options.limit === null ? sql`` : sql`limit ${options.limit}`;
  const rows = sql<ListedRow[]>`
    select ${listedColumns(sql)} ${body} from conversions
    where ${matching(sql, filter)} order by id ${limit}`;
  yield* rows.cursor(exportedAtOnce);
}

/** One call to Meta in which an event took part. */
export interface KeptAttempt {
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly outcome: string;
  readonly httpStatus: number | null;
  readonly code: number | null;
  readonly subcode: number | null;
  readonly fbtraceId: string | null;
  readonly messages: readonly unknown[] | null;
  readonly reason: string | null;
  /** How many events went with it, itself included. */
  readonly events: number;
  /** Redacted when it was kept; of a large request only the first events. */
  readonly request: { readonly data?: readonly { readonly event_id?: string }[] };
  /** Redacted as well. */
  readonly answer: string | null;
}

/**
 * Oldest first. A call lies between the moment that the event was taken up and its last change; a
 * minute more on both sides, for the clocks of dispatchers and of Postgres are not one.
 */
export function readAttempts(sql: Queryable, row: ListedRow): Promise<KeptAttempt[]> {
  const { id, pixelId, eventName, createdAt, updatedAt } = row;
  return sql<KeptAttempt[]>`
    select started_at, duration_ms, outcome, http_status, code, subcode, fbtrace_id, messages,
      reason, cardinality(conversion_ids) as events, request, answer
    from attempts
    where pixel_id = ${pixelId} and event_name = ${eventName}
      and started_at between ${createdAt}::timestamptz - interval '1 minute'
        and ${updatedAt}::timestamptz + interval '1 minute'
      and conversion_ids @> array[${id}::uuid]
    order by started_at`;
}
