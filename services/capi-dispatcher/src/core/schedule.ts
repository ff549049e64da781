/** What a plan changes in the ledger: one row per event, planned anew until its first attempt. */
import type { ConversionState } from './conversion.ts';
import type { Plan } from './plan.ts';

/** The row as it stands. */
export interface Entry {
  readonly state: ConversionState;
  readonly attempts: number;
  readonly pixelId: string;
  readonly poolId: string | null;
  readonly dueAtMs: number;
}

export type Change =
  | { readonly kind: 'none' }
  | { readonly kind: 'insert'; readonly state: ConversionState }
  | {
      readonly kind: 'replan';
      readonly state: ConversionState;
      /** Whether it means something new to others: skipped, taken up after all, another pixel. */
      readonly isAnnounced: boolean;
    };

/**
 * @param isReopened the click of this event has just become known: what was skipped for want of it
 *   is judged again. Otherwise skipped stays skipped.
 */
export function changeOf(
  entry: Entry | null,
  plan: Plan,
  about: { readonly nowMs: number; readonly isReopened: boolean },
): Change {
  const state = stateOf(plan, about.nowMs);
  if (!entry) return { kind: 'insert', state };
  const isShut = !isOpen(entry) || (entry.state === 'skipped' && !about.isReopened);
  if (isShut || (entry.state === 'skipped' && state === 'skipped')) return { kind: 'none' };
  const isElsewhere = entry.pixelId !== (plan.pixelId ?? '') || entry.poolId !== plan.poolId;
  const isSame = !isElsewhere && entry.state === state && entry.dueAtMs === plan.dueAtMs;
  if (isSame) return { kind: 'none' };
  const isTurned = (entry.state === 'skipped') !== (state === 'skipped');
  return { kind: 'replan', state, isAnnounced: isTurned || isElsewhere };
}

/** Nothing has been told to Meta yet, and nobody is about to. */
export function isOpen({ attempts, state }: Pick<Entry, 'attempts' | 'state'>): boolean {
  return attempts === 0 && (state === 'waiting' || state === 'skipped');
}

function stateOf(plan: Plan, nowMs: number): ConversionState {
  if (plan.skippedReason !== null) return 'skipped';
  return plan.dueAtMs <= nowMs ? 'due' : 'waiting';
}
