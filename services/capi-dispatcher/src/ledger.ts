/**
 * The send ledger for operators: read, and let go again. On Postgres alone, so that it serves while
 * the dispatcher is down; what becomes due, the dispatcher takes up within a second.
 */
import type { Sql } from '@rastro/runtime';
import { redactRequest } from './adapters/attempts.ts';
import { type Changed, sendAgain } from './adapters/ledger-changes.ts';
import { type PoolsOf, type Preview, preview, type Wish } from './adapters/ledger-judgement.ts';
import { plannedRequests } from './adapters/ledger-requests.ts';
import {
  countRows,
  exportRows,
  findRows,
  type LedgerRow,
  listRows,
  readAttempts,
} from './adapters/ledger-rows.ts';
import type { LedgerKey } from './core/ledger-filter.ts';

export interface LedgerOptions {
  /** With `capi` first in its search path. */
  readonly sql: Sql;
  /** Of the Graph API with its version, e.g. `https://graph.facebook.com/v26.0`. */
  readonly graphUrl: string;
  /** The delivery page without its token. */
  readonly deliveryUrl: string;
  readonly poolsOf: PoolsOf;
}

export type Ledger = ReturnType<typeof openLedger>;

export function openLedger({ sql, ...options }: LedgerOptions) {
  const { poolsOf } = options;
  return {
    list: (filter: Wish['filter'], limit: number) => listRows(sql, filter, limit),
    count: (filter: Wish['filter']) => countRows(sql, filter),
    export: (filter: Wish['filter'], how: { limit: number | null; hasBodies: boolean }) =>
      exportRows(sql, filter, how),
    find: async (key: LedgerKey) => {
      const rows = await findRows(sql, key);
      return Promise.all(rows.map((row) => explain(sql, row)));
    },
    preview: (wish: Wish): Promise<Preview> => preview(sql, wish, poolsOf),
    /** @param asOf of the preview that was agreed to. */
    sendAgain: (wish: Wish, asOf: string): Promise<Changed> => sendAgain(sql, wish, asOf, poolsOf),
    requests: (wish: Wish, asOf: string) => plannedRequests(sql, wish, asOf, options),
  };
}

/** Everything about one event, without what names a person. */
async function explain(sql: Sql, row: LedgerRow) {
  const attempts = await readAttempts(sql, row);
  const { body, version: _ofTheStream, ...rest } = row;
  const own = attempts.map(({ request, ...attempt }) => ({
    ...attempt,
    // Of a batch only this event; of a large one the first few were kept, and it may be none: what
    // went is its frozen body, which is told as `sent`.
    request: request.data?.find(({ event_id: eventId }) => eventId === row.eventId) ?? null,
  }));
  return { ...rest, sent: body === null ? null : redacted(row, body), calls: own };
}

function redacted(row: LedgerRow, body: string): unknown {
  const { data } = redactRequest([{ ...row, body }]) as { data: readonly unknown[] };
  return data[0] ?? null;
}
