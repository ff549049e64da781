/** Leases on rows of the ledger: whoever holds one is alone in sending that row. */
import type { Sql, Transaction } from '@rastro/runtime';
import type { Pace } from '../core/pace.ts';
import { sift, type SiftOptions, skip } from './closures.ts';
import { composeAll, type ComposeOptions } from './compose.ts';
import { attemptedOf, type Claimed, columns, type Lane, type StoredConversion } from './lane.ts';

export interface ClaimOptions extends ComposeOptions, SiftOptions {
  readonly sql: Sql;
  /** Names this dispatcher in `locked_by`; another one after a restart. */
  readonly dispatcherId: string;
  readonly pace: Pick<Pace, 'leaseMs'>;
}

export interface Claims {
  /** Up to `limit` rows that are due, oldest first, none of a parked or paused pixel. */
  claim(lane: Lane, limit: number): Promise<Claimed[]>;
  /**
   * One row of a parked pixel, money first, to find out whether it works again. What turns out not
   * to be sent any more is closed on the way, some thousands of rows at most.
   */
  claimProbe(lane: Lane): Promise<Claimed[]>;
  /**
   * Begins the lease anew, also of those that wait for their turn. No attempt more: the search for
   * a culprit is one attempt of many calls, or its innocent neighbours would be taken for events
   * that failed ten times and wait a minute after the next hiccup.
   * @returns the rows whose lease still stood.
   */
  renew(rows: readonly Claimed[], waiting: readonly Claimed[]): Promise<Claimed[]>;
  /** Gives rows back that were not sent after all. */
  release(rows: readonly Claimed[]): Promise<void>;
}

export function createClaims(options: ClaimOptions): Claims {
  const { sql, dispatcherId, pace } = options;
  return {
    claim: (lane, limit) =>
      sql.begin(async (tx) => {
        const { workspaceId, pixelId, eventName } = lane;
        const open = await tx`
          select 1 from pixels where workspace_id = ${workspaceId} and pixel_id = ${pixelId}
            and state = 'open' and (paused_until is null or paused_until <= now())`;
        if (open.length === 0) return [];
        const rows = await tx<StoredConversion[]>`
          select ${columns(tx)} from conversions
          where workspace_id = ${workspaceId} and pixel_id = ${pixelId}
            and event_name = ${eventName} and due_at <= now()
            and state in ('waiting', 'due', 'unconfirmed')
          order by due_at limit ${limit} for update skip locked`;
        return lease(tx, await sift(tx, rows, options), options);
      }),
    claimProbe: ({ workspaceId, pixelId }) =>
      sql.begin(async (tx) => {
        for (let page = 0; page < probePages; page += 1) {
          const rows = await tx<StoredConversion[]>`
            select ${columns(tx)} from conversions
            where workspace_id = ${workspaceId} and pixel_id = ${pixelId} and state = 'parked'
            order by event_name desc, due_at desc limit ${probePageSize} for update skip locked`;
          for (const row of await sift(tx, rows, options)) {
            const claimed = await lease(tx, [row], options);
            if (claimed.length > 0) return claimed;
          }
          if (rows.length < probePageSize) return [];
        }
        return [];
      }),
    async renew(rows, waiting) {
      const all = [...rows, ...waiting].map(({ id }) => id);
      const renewed = await sql<{ id: string }[]>`
        update conversions set updated_at = now(),
          locked_until = now() + ${pace.leaseMs} * interval '1 millisecond'
        where id = any(${all}::uuid[])
          and state = 'sending' and locked_by = ${dispatcherId} and locked_until > now()
        returning id`;
      const held = new Set(renewed.map(({ id }) => id));
      return rows.filter(({ id }) => held.has(id));
    },
    async release(rows) {
      if (rows.length === 0) return;
      await sql`
        update conversions set state = case when unknown_since is null then 'due'
            else 'unconfirmed' end, attempts = greatest(attempts - 1, 0),
          locked_by = null, locked_until = null, updated_at = now()
        where id = any(${rows.map(({ id }) => id)}::uuid[])
          and state = 'sending' and locked_by = ${dispatcherId}`;
    },
  };
}

const probePages = 20;
const probePageSize = 100;

/** Before the call, and committed before it: what is about to be sent, and by whom. */
async function lease(
  tx: Transaction,
  sendable: readonly StoredConversion[],
  options: ClaimOptions,
): Promise<Claimed[]> {
  if (sendable.length === 0) return [];
  const frozen = await composeAll(tx, sendable, options);
  const unmatched = sendable.filter(({ id }) => !frozen.has(id));
  await skip(tx, unmatched, 'no_match_keys');
  const claimed = sendable.flatMap((row): Claimed[] => {
    const body = frozen.get(row.id);
    return body
      ? [{ ...attemptedOf(row), ...body, isForced: row.isForced, attempts: row.attempts + 1 }]
      : [];
  });
  if (claimed.length === 0) return [];
  await tx`
    update conversions set state = 'sending', locked_by = ${options.dispatcherId},
      locked_until = now() + ${options.pace.leaseMs} * interval '1 millisecond',
      attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, now()),
      body = given.body, test_event_code = given."testEventCode",
      match_keys = given."matchKeys", complaints = given.complaints, updated_at = now()
    from jsonb_to_recordset(${tx.json(claimed.map(frozenOf) as never)}) as given(id uuid,
      body text, "testEventCode" text, "matchKeys" text[], complaints jsonb)
    where conversions.id = given.id`;
  return claimed;
}

function frozenOf({ id, body, testEventCode, matchKeys, complaints }: Claimed) {
  return { id, body, testEventCode, matchKeys, complaints };
}
