/** Rows that are not going to be sent: closed, and the others told, in one transaction. */
import type { Logger, Sql, Transaction } from '@rastro/runtime';
import { type Ending, givenUp, reasonOf, scheduled } from '../core/conversion.ts';
import { maxAgeMs, triage } from '../core/pace.ts';
import { type Pool, reasonToWithdraw, type SkippedReason } from '../core/plan.ts';
import { announce } from './announce.ts';
import { type ComposeOptions, poolFinder } from './compose.ts';
import { columns, type StoredConversion } from './lane.ts';

export interface SiftOptions extends Pick<ComposeOptions, 'pools'> {
  readonly log: Logger;
}

/**
 * Closes what is too late, and what somebody has switched off since it was planned.
 * @param rows locked.
 * @returns those that are to be sent.
 */
export async function sift(
  tx: Transaction,
  rows: readonly StoredConversion[],
  { log, pools }: SiftOptions,
): Promise<StoredConversion[]> {
  const inTime = await endHopeless(tx, rows, log);
  const poolOf = poolFinder(pools);
  const verdicts = Map.groupBy(inTime, (row) => withdrawalOf(row, poolOf(row)));
  for (const [reason, withdrawn] of verdicts) {
    if (reason !== null) await skip(tx, withdrawn, reason);
  }
  return verdicts.get(null) ?? [];
}

/**
 * None of what Meta may have already, for a repeat tells Meta nothing new and us what became of
 * it; none of what an operator insists on.
 */
export function withdrawalOf(
  row: Pick<StoredConversion, 'eventName' | 'pixelId' | 'unknownSince' | 'isForced'>,
  pool: Pool | undefined,
): SkippedReason | null {
  return row.unknownSince !== null || row.isForced ? null : reasonToWithdraw(row, pool);
}

/**
 * What is parked is not claimed, so that its 7 days would end unseen; some hundreds at a time of
 * each lane, for another dispatcher may be at the others.
 */
export async function expireParked(sql: Sql, log: Logger): Promise<void> {
  const oldest = Math.floor((Date.now() - maxAgeMs) / 1_000);
  await sql.begin(async (tx) => {
    const rows = await tx<StoredConversion[]>`
      select old.* from pixels p
      cross join (values ('Purchase'), ('PageView')) e(event_name)
      cross join lateral (
        select ${columns(tx)} from conversions c
        where c.workspace_id = p.workspace_id and c.pixel_id = p.pixel_id
          and c.event_name = e.event_name and c.state = 'parked' and not c.is_forced
          and c.event_time < ${oldest}
        order by c.event_time limit 500 for update skip locked) old
      where p.state = 'parked'`;
    const lanes = Map.groupBy(rows, (row) => `${row.workspaceId} ${row.pixelId}`);
    for (const lane of lanes.values()) await endHopeless(tx, lane, log);
  });
}

/**
 * Gives up what time has run out for.
 * @param rows locked.
 * @returns the others.
 */
async function endHopeless(
  tx: Transaction,
  rows: readonly StoredConversion[],
  log: Logger,
): Promise<StoredConversion[]> {
  const nowMs = Date.now();
  const verdicts = Map.groupBy(rows, (row) =>
    triage(
      {
        eventTimeSeconds: row.eventTime,
        unknownSinceMs: row.unknownSince?.getTime() ?? null,
        isForced: row.isForced,
      },
      nowMs,
    ),
  );
  await end(tx, verdicts.get('expired') ?? [], 'expired', log);
  await end(tx, verdicts.get('dead') ?? [], 'dead', log);
  return verdicts.get('send') ?? [];
}

/** What an alarm may listen for. */
const alarms: { readonly [E in Ending]: string } = {
  expired: 'CONVERSIONS_EXPIRED',
  dead: 'CONVERSIONS_DEAD',
};

const shownIds = 20;

async function end(
  tx: Transaction,
  rows: readonly StoredConversion[],
  ending: Ending,
  log: Logger,
): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const reason = reasonOf(ending);
  await close(tx, rows, ending, reason);
  const now = new Date().toISOString();
  await announce(
    tx,
    rows.map((row) => ({ ...row, event: givenUp(row, ending, now) })),
  );
  const { workspaceId, pixelId } = first;
  const eventIds = rows.slice(0, shownIds).map(({ eventId }) => eventId);
  const about = { workspaceId, pixelId, events: rows.length, eventIds, reason };
  log.error({ code: alarms[ending], ...about }, 'events were given up');
}

/** Says so as planning does; the row stays, and may be replayed once the reason is mended. */
export async function skip(
  tx: Transaction,
  rows: readonly StoredConversion[],
  reason: SkippedReason,
): Promise<void> {
  if (rows.length === 0) return;
  await close(tx, rows, 'skipped', reason);
  const dueAt = new Date().toISOString();
  await announce(
    tx,
    rows.map((row) => ({ ...row, event: scheduled(row, { dueAt, skippedReason: reason }) })),
  );
}

async function close(
  tx: Transaction,
  rows: readonly StoredConversion[],
  state: Ending | 'skipped',
  reason: string,
): Promise<void> {
  await tx`
    update conversions set state = ${state}, reason = ${reason}, updated_at = now()
    where id = any(${rows.map(({ id }) => id)}::uuid[])`;
}
