/** Leases on rows of the ledger: whoever holds one is alone in sending that row. */
import { newId, type Sql, type Transaction } from '@rastro/runtime';
import type { Pace } from '../core/pace.ts';
import { sift, type SiftOptions, skip } from './closures.ts';
import { composeAll, type ComposeOptions } from './compose.ts';
import { attemptedOf, type Claimed, columns, type Lane, type StoredConversion } from './lane.ts';

export interface ClaimOptions extends ComposeOptions, SiftOptions {
  readonly sql: Sql;
  /** Begins the name of each of its leases; another one after a restart. */
  readonly dispatcherId: string;
  readonly pace: Pick<Pace, 'leaseMs'>;
}

export interface Claims {
  /**
   * Up to `limit` rows that are due, oldest first, none of a parked or paused pixel. What somebody
   * insists on goes alone, so it waits until nothing else is due, and then a few at a time.
   */
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
  const { sql, pace } = options;
  return {
    claim: (lane, limit) =>
      sql.begin(async (tx) => {
        const { workspaceId, pixelId, eventName } = lane;
        const open = await tx`
          select 1 from pixels where workspace_id = ${workspaceId} and pixel_id = ${pixelId}
            and state = 'open' and (paused_until is null or paused_until <= now())`;
        if (open.length === 0) return [];
        const due = (isForced: boolean, count: number) => tx<StoredConversion[]>`
          select ${columns(tx)} from conversions
          where workspace_id = ${workspaceId} and pixel_id = ${pixelId}
            and event_name = ${eventName} and due_at <= now()
            and state in ('waiting', 'due', 'unconfirmed') and is_forced = ${isForced}
          order by due_at limit ${count} for update skip locked`;
        const usual = await due(false, limit);
        const rows = usual.length > 0 ? usual : await due(true, forcedAtOnce);
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
          and state = 'sending' and locked_by = ${leaseOf(rows)} and locked_until > now()
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
          and state = 'sending' and locked_by = ${leaseOf(rows)}`;
    },
  };
}

/** All of one claim. */
function leaseOf(rows: readonly Claimed[]): string {
  return rows[0]?.lease ?? '';
}

/** Each takes a call of its own, and what is usual may become due meanwhile. */
const forcedAtOnce = 5;
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
  const name = `${options.dispatcherId}/${newId()}`;
  const claimed = sendable.flatMap((row): Claimed[] => {
    const body = frozen.get(row.id);
    if (!body) return [];
    const { isForced, attempts } = row;
    return [{ ...attemptedOf(row), ...body, isForced, attempts: attempts + 1, lease: name }];
  });
  if (claimed.length === 0) return [];
  await tx`
    update conversions set state = 'sending', locked_by = ${name},
      locked_until = now() + ${options.pace.leaseMs} * interval '1 millisecond',
      attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, now()),
      body = coalesce(conversions.body, given.body), test_event_code = given."testEventCode",
      match_keys = coalesce(conversions.match_keys, given."matchKeys"),
      complaints = coalesce(conversions.complaints, given.complaints), updated_at = now()
    from jsonb_to_recordset(${tx.json(claimed.map(frozenOf) as never)}) as given(id uuid,
      body text, "testEventCode" text, "matchKeys" text[], complaints jsonb)
    where conversions.id = given.id`;
  return claimed;
}

function frozenOf({ id, body, testEventCode, matchKeys, complaints }: Claimed) {
  return { id, body, testEventCode, matchKeys, complaints };
}
