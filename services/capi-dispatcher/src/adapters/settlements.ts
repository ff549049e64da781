/** Writes down how a call ended: rows, events, the attempt and the pixel, in one transaction. */
import { type Logger, newId, type Sql, type Transaction } from '@rastro/runtime';
import { aftermathOf, type AftermathContext, type Attempted } from '../core/aftermath.ts';
import { nothingKnown, type Outcome } from '../core/outcome.ts';
import type { Pace } from '../core/pace.ts';
import { record } from './announce.ts';
import { type Attempt, recordAttempt, redactRequest } from './attempts.ts';
import { attemptedOf, type Claimed, columns, type Lane, type StoredConversion } from './lane.ts';
import { tellParked, tellResumed } from './pixel-alarms.ts';
import { clearThrottle, parkPixel, pausePixel, resumePixel } from './pixels.ts';

export interface SettlementOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly pace: Pick<Pace, 'leaseMs' | 'retryBaseMs' | 'throttleBaseMs' | 'probeEveryMs'>;
}

export interface Call {
  readonly lane: Lane;
  readonly outcome: Outcome;
  readonly attempt: Attempt;
  /** Of the token that was used. */
  readonly fingerprint: string;
  readonly isProbe: boolean;
  /** The catalog has a token that Meta has not refused yet. */
  readonly hasOtherToken: boolean;
}

export async function settle(
  options: SettlementOptions,
  rows: readonly Claimed[],
  call: Call,
): Promise<void> {
  const { sql, log, pace } = options;
  const { lane, outcome, hasOtherToken } = call;
  const context = contextOf(options, hasOtherToken);
  const isAccepted = outcome.kind === 'accepted';
  const turn = await sql.begin(async (tx) => {
    // A lease that ran out while Meta said yes: the yes still counts while nobody sends it again.
    const isHeld = tx`(conversions.state = 'sending' and locked_by = ${rows[0]?.lease ?? ''})
      or (conversions.state in ('unconfirmed', 'parked') and ${isAccepted})`;
    await change(tx, rows, { outcome, context, isHeld, leaseMs: pace.leaseMs });
    await recordAttempt(tx, call.attempt);
    return settlePixel(tx, options, call);
  });
  if (turn === 'parked') await tellParked(options, lane, outcome);
  if (turn === 'resumed') tellResumed(log, lane);
}

/**
 * Leases that ran out: their dispatcher died while sending, so nobody knows the outcome.
 * @param answered leases of which this process has Meta's answer and could not write it down yet.
 */
export async function settleLostLeases(
  options: SettlementOptions,
  answered: ReadonlySet<string>,
): Promise<number> {
  const { leaseMs } = options.pace;
  return options.sql.begin(async (tx) => {
    const rows = await tx<LostConversion[]>`
      select ${columns(tx)}, updated_at from conversions
      where state = 'sending' and locked_until < now()
        and not locked_by = any(${[...answered]}::text[])
      order by locked_until limit 500 for update skip locked`;
    const context = contextOf(options, false);
    await change(tx, rows.map(attemptedOf), {
      outcome: lostLease,
      context,
      isHeld: tx`true`,
      leaseMs,
    });
    const lanes = Map.groupBy(rows, (row) => `${row.workspaceId} ${row.pixelId} ${row.eventName}`);
    for (const lane of lanes.values()) await recordLost(tx, lane);
    return rows.length;
  });
}

interface LostConversion extends StoredConversion {
  /** When the lease began. */
  readonly updatedAt: Date;
}

/** The call of which nobody can tell: without it a row would have more attempts than calls. */
async function recordLost(tx: Transaction, rows: readonly LostConversion[]): Promise<void> {
  const [lane] = rows;
  if (!lane) return;
  const sent = rows.flatMap(({ body, testEventCode }) =>
    body === null ? [] : [{ body, testEventCode }],
  );
  await recordAttempt(tx, {
    id: newId(),
    lane,
    conversionIds: rows.map(({ id }) => id),
    startedAt: new Date(Math.min(...rows.map(({ updatedAt }) => updatedAt.getTime()))),
    // Nobody was there to see how long it took.
    durationMs: 0,
    outcome: lostLease,
    request: redactRequest(sent),
    answer: null,
  });
}

const lostLease: Outcome = {
  ...nothingKnown,
  kind: 'unknown',
  reason: 'the dispatcher ended while the call was under way',
};

function contextOf(
  { pace }: SettlementOptions,
  hasOtherToken: boolean,
): Omit<AftermathContext, 'random'> {
  const nowMs = Date.now();
  const now = new Date(nowMs).toISOString();
  return { nowMs, now, retryBaseMs: pace.retryBaseMs, hasOtherToken };
}

interface Change {
  readonly outcome: Outcome;
  readonly context: Omit<AftermathContext, 'random'>;
  /** Condition on rows of `conversions`: what somebody else holds by now stays as it is. */
  readonly isHeld: ReturnType<typeof columns>;
  readonly leaseMs: number;
}

async function change(
  tx: Transaction,
  rows: readonly Attempted[],
  { outcome, context, isHeld, leaseMs }: Change,
): Promise<void> {
  if (rows.length === 0) return;
  const decided = rows.map((row) => ({
    ...row,
    ...aftermathOf(row, outcome, { ...context, random: Math.random() }),
  }));
  const given = decided.map(({ id, state, delayMs, isRefunded, isUnknown, event }) => ({
    id,
    state,
    delay_ms: delayMs,
    is_refunded: isRefunded,
    is_unknown: isUnknown,
    is_said: event !== null,
  }));
  const { httpStatus, code, subcode, fbtraceId, reason } = outcome;
  const changed = await tx<{ id: string; version: number }[]>`
    update conversions set state = given.state, locked_by = null, locked_until = null,
      due_at = case when given.state in ('due', 'unconfirmed')
        then now() + given.delay_ms * interval '1 millisecond' else due_at end,
      attempts = attempts - case when given.is_refunded then 1 else 0 end,
      -- From when Meta may have it: the lease began right before the call.
      unknown_since = case when given.is_unknown
        then coalesce(unknown_since, locked_until - ${leaseMs} * interval '1 millisecond', now())
        else unknown_since end,
      accepted_at = case when given.state = 'accepted' then now() else accepted_at end,
      reason = ${reason || null}, http_status = ${httpStatus}, code = ${code},
      subcode = ${subcode}, fbtrace_id = ${fbtraceId}, updated_at = now(),
      version = version + case when given.is_said then 1 else 0 end
    from jsonb_to_recordset(${tx.json(given)}) as given(id uuid, state text, delay_ms int,
      is_refunded bool, is_unknown bool, is_said bool)
    where conversions.id = given.id and (${isHeld})
    returning conversions.id, conversions.version`;
  const versions = new Map(changed.map(({ id, version }) => [id, version]));
  const said = decided.flatMap(({ id, workspaceId, event }) => {
    const version = versions.get(id);
    return version === undefined || event === null
      ? []
      : [{ id, workspaceId, version: version - 1, event }];
  });
  await record(tx, said);
}

/** @returns what became of the pixel, where it is not what it was. */
async function settlePixel(
  tx: Transaction,
  { pace }: SettlementOptions,
  call: Call,
): Promise<'parked' | 'resumed' | null> {
  const { lane, outcome, fingerprint, isProbe, hasOtherToken } = call;
  const isAnswered = outcome.kind === 'accepted' || outcome.kind === 'rejected';
  if (outcome.kind === 'parked') {
    const { probeEveryMs } = pace;
    const complaint = { ...outcome, fingerprint, hasOtherToken, probeEveryMs };
    return (await parkPixel(tx, lane, complaint)) ? 'parked' : null;
  }
  if (isAnswered && isProbe) return (await resumePixel(tx, lane, fingerprint)) ? 'resumed' : null;
  if (isAnswered) await clearThrottle(tx, lane);
  if (outcome.kind === 'throttled') {
    const random = Math.random();
    await pausePixel(tx, lane, { waitMs: outcome.waitMs, baseMs: pace.throttleBaseMs, random });
  }
  return null;
}
