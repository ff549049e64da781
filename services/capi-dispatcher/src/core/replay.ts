/**
 * Which events an operator may have sent again, and on which he has to insist. `retry` is for what
 * Meta surely does not have or what goes again anyway; `replay` for what it has, may have, or was
 * never to be told.
 */
import type { ConversionState } from './conversion.ts';
import { maxAgeMs, repeatWindowMs } from './pace.ts';
import type { Plan, SkippedReason } from './plan.ts';

export type Command = 'retry' | 'replay';

/** A row of the ledger as far as the decision goes. */
export interface Candidate {
  readonly state: ConversionState;
  readonly reason: string | null;
  readonly eventTimeSeconds: number;
  readonly dueAtMs: number;
  readonly firstAttemptAtMs: number | null;
  /** Meta's last yes. */
  readonly acceptedAtMs: number | null;
  readonly unknownSinceMs: number | null;
  /** Of a skipped event, by the catalog as it is now; null where its click or payment is gone. */
  readonly plan: Pick<Plan, 'skippedReason'> | null;
}

/** Why it takes `--force`. */
export type Doubt =
  /** Meta has it or may have it for more than 48 hours, and would not drop the second copy. */
  | 'counts_twice'
  /** The event is older than 7 days. */
  | 'too_old';

export type WhyLeft =
  | 'being_sent'
  /** For the browser, the delivery page or the end of the grace. */
  | 'waits_for_its_time'
  | 'already_due'
  | 'belongs_to_retry'
  | 'belongs_to_replay'
  /** No consent, not a person, nobody to be matched: nothing that an operator could mend. */
  | 'never'
  /** What it was skipped for, or something else, still stands in the catalog. */
  | 'still_skipped';

export interface Change {
  readonly state: 'due' | 'unconfirmed' | 'parked';
  /** Alone in its request, past the age that Meta takes. */
  readonly isForced: boolean;
  /** What Meta refused is thrown away, for something that is known by now may mend it. */
  readonly isComposedAnew: boolean;
  /** Attempts are counted from nothing, and the last answer is forgotten by the row. */
  readonly isBegunAnew: boolean;
  /** Another 48 hours for repeats, from the next attempt on. */
  readonly isWindowNew: boolean;
  /** Meta has it: from now on it is a repeat, which ends with its 48 hours. */
  readonly isRepeat: boolean;
}

export type Verdict =
  | { readonly kind: 'again'; readonly change: Change; readonly doubts: readonly Doubt[] }
  /** Its pixel is tried at once, and the event follows the pixel. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'refused'; readonly doubts: readonly Doubt[] }
  | {
      readonly kind: 'left';
      readonly why: WhyLeft;
      /** Why it would be skipped again. */
      readonly skippedReason: SkippedReason | null;
    };

/** The states that each command is for; rows in others are left alone. */
export const statesOf: Readonly<Record<Command, readonly ConversionState[]>> = {
  retry: ['rejected', 'due', 'unconfirmed', 'parked'],
  replay: ['accepted', 'dead', 'expired', 'skipped'],
};

/** A journey does not become another one, and consent is not an operator's to give. */
const neverSent = new Set<string | null>([
  'no_consent',
  'not_human',
  'no_match_keys',
] satisfies SkippedReason[]);

/** Whether what a row was skipped for may have gone: then it is to be planned anew. */
export function isLiftable({ state, reason }: Pick<Candidate, 'state' | 'reason'>): boolean {
  return state === 'skipped' && !neverSent.has(reason);
}

export function judge(
  command: Command,
  row: Candidate,
  about: { readonly nowMs: number; readonly isForced: boolean },
): Verdict {
  const { nowMs } = about;
  if (!statesOf[command].includes(row.state)) return left(elsewhere(row.state));
  const doubts = doubtsAbout(row, nowMs);
  if (row.state === 'skipped') {
    if (!isLiftable(row)) return left('never');
    const stands = row.plan === null ? 'no_match_keys' : row.plan.skippedReason;
    if (stands !== null) return left('still_skipped', stands);
  }
  if (doubts.length > 0 && !about.isForced) return { kind: 'refused', doubts };
  if (doubts.length === 0 && row.state === 'parked') return { kind: 'probe' };
  const isDue = row.dueAtMs <= nowMs && (row.state === 'due' || row.state === 'unconfirmed');
  if (doubts.length === 0 && isDue) return left('already_due');
  return { kind: 'again', change: changeOf(row, doubts.length > 0), doubts };
}

const left = (why: WhyLeft, skippedReason: SkippedReason | null = null): Verdict => ({
  kind: 'left',
  why,
  skippedReason,
});

function elsewhere(state: ConversionState): WhyLeft {
  if (state === 'sending') return 'being_sent';
  if (state === 'waiting') return 'waits_for_its_time';
  return statesOf.retry.includes(state) ? 'belongs_to_retry' : 'belongs_to_replay';
}

function doubtsAbout(row: Candidate, nowMs: number): Doubt[] {
  const { state, eventTimeSeconds, firstAttemptAtMs, acceptedAtMs, unknownSinceMs } = row;
  const isTaken = state === 'accepted' || acceptedAtMs !== null;
  const mayHaveIt = isTaken || state === 'dead' || unknownSinceMs !== null;
  // Of what was accepted the first call counts, to be on the safe side.
  const sinceMs = unknownSinceMs ?? firstAttemptAtMs ?? eventTimeSeconds * 1_000;
  const countsTwice = state === 'dead' || (mayHaveIt && nowMs - sinceMs > repeatWindowMs);
  const isTooOld = state === 'expired' || nowMs - eventTimeSeconds * 1_000 > maxAgeMs;
  return [
    ...(countsTwice ? ['counts_twice' as const] : []),
    ...(isTooOld ? ['too_old' as const] : []),
  ];
}

/**
 * Within the window everything stays that makes a repeat a repeat: Meta drops it only for 48 hours
 * after the first, also if the pixel is parked meanwhile. Who forces begins another window.
 */
function changeOf(row: Candidate, isForced: boolean): Change {
  const { state, unknownSinceMs } = row;
  const isRepeat = !isForced && (state === 'accepted' || unknownSinceMs !== null);
  const isWaiting = state === 'due' || state === 'unconfirmed' || state === 'parked';
  return {
    state: state === 'parked' ? 'parked' : isRepeat ? 'unconfirmed' : 'due',
    isForced,
    // What Meta has once taken is repeated as it was.
    isComposedAnew: state === 'rejected' && row.acceptedAtMs === null,
    isBegunAnew: !isWaiting,
    isWindowNew: isForced,
    isRepeat,
  };
}
