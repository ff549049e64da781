/** The requests that would be made, without making any. */
import type { Sql } from '@rastro/runtime';
import type { EventName } from '../core/conversion.ts';
import { batchLimits } from '../core/pace.ts';
import { requestsOf } from '../core/requests.ts';
import { requestBody } from '../core/server-event.ts';
import { withdrawalOf } from './closures.ts';
import { composeAll, poolFinder } from './compose.ts';
import { judgeRows, pagesOf, type PoolsOf, type Wish } from './ledger-judgement.ts';
import type { LedgerRow } from './ledger-rows.ts';

export interface PlannedRequest {
  readonly method: 'POST';
  readonly url: string;
  readonly headers: { readonly authorization: string; readonly 'content-type': string };
  /** Byte for byte. */
  readonly body: string;
  /** For people and counts; not part of the request. */
  readonly eventIds: readonly string[];
}

export interface RequestOptions {
  /** Of the Graph API with its version, e.g. `https://graph.facebook.com/v26.0`. */
  readonly graphUrl: string;
  readonly deliveryUrl: string;
  readonly poolsOf: PoolsOf;
}

/** Frozen as it would be now. */
interface Composed {
  readonly id: string;
  readonly eventId: string;
  readonly workspaceId: string;
  readonly pixelId: string;
  readonly eventName: EventName;
  readonly body: string;
  readonly testEventCode: string | null;
  readonly unknownSinceMs: number | null;
  readonly isForced: boolean;
}

/**
 * Cut as the sender cuts them: lane by lane, as many as it claims at once. Events that are due at
 * the same moment may go in another company, and others that are due go with them.
 */
export async function* plannedRequests(
  sql: Sql,
  wish: Wish,
  asOf: string,
  options: RequestOptions,
): AsyncGenerator<PlannedRequest> {
  const lanes = new Map<string, Composed[]>();
  for await (const rows of pagesOf(sql, wish, asOf)) {
    for (const row of await composedOf(sql, rows, wish, options)) {
      const key = `${row.workspaceId} ${row.pixelId} ${row.eventName}`;
      const lane = [...(lanes.get(key) ?? []), row];
      const isFull = lane.length >= batchLimits[row.eventName];
      if (isFull) yield* requestsOf(lane).map((batch) => requestOf(batch, options));
      lanes.set(key, isFull ? [] : lane);
    }
  }
  for (const lane of lanes.values()) {
    yield* requestsOf(lane).map((batch) => requestOf(batch, options));
  }
}

async function composedOf(
  sql: Sql,
  rows: readonly LedgerRow[],
  wish: Wish,
  { poolsOf, deliveryUrl }: RequestOptions,
): Promise<Composed[]> {
  const judged = await judgeRows(sql, rows, wish, poolsOf);
  const sent = judged.flatMap(({ row, plan, verdict }) => {
    if (verdict.kind === 'probe') return [row];
    if (verdict.kind !== 'again') return [];
    const { isComposedAnew, isForced, isRepeat } = verdict.change;
    const { poolId, pixelId } = plan ?? row;
    const body = isComposedAnew ? null : row.body;
    // As it will be written: from then on it is a repeat.
    const unknownSince = isRepeat ? (row.unknownSince ?? new Date()) : row.unknownSince;
    return [{ ...row, poolId, pixelId: pixelId ?? row.pixelId, body, isForced, unknownSince }];
  });
  if (sent.length === 0) return [];
  // Also of what keeps its body: the test code is the catalog's of now.
  const pools = await poolsOf();
  const poolOf = poolFinder(pools);
  const wanted = sent.filter((row) => withdrawalOf(row, poolOf(row)) === null);
  const frozen = await composeAll(sql, wanted, { pools, deliveryUrl });
  return wanted.flatMap((row) => {
    const composed = frozen.get(row.id);
    if (!composed) return [];
    const { body, testEventCode } = composed;
    return [{ ...row, body, testEventCode, unknownSinceMs: row.unknownSince?.getTime() ?? null }];
  });
}

function requestOf(batch: readonly Composed[], { graphUrl }: RequestOptions): PlannedRequest {
  const [{ pixelId, testEventCode } = { pixelId: '', testEventCode: null }] = batch;
  const bodies = batch.map(({ body }) => body);
  return {
    method: 'POST',
    url: `${graphUrl}/${pixelId}/events`,
    headers: { authorization: 'Bearer [redacted]', 'content-type': 'application/json' },
    body: requestBody(bodies, testEventCode),
    eventIds: batch.map(({ eventId }) => eventId),
  };
}
