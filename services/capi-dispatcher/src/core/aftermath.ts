/** What an outcome makes of one event that took part in the call. */
import type { EventBody } from '@rastro/events';
import {
  accepted,
  type Conversion,
  type ConversionState,
  rejected,
  unconfirmed,
} from './conversion.ts';
import type { Outcome } from './outcome.ts';
import { retryDelayMs } from './pace.ts';

export interface Attempted extends Conversion {
  /** Including the one that has just ended. */
  readonly attempts: number;
  readonly eventTimeSeconds: number;
  /** An earlier attempt may have reached Meta. */
  readonly unknownSinceMs: number | null;
}

export interface Aftermath {
  readonly state: ConversionState;
  /** How long until the next attempt. */
  readonly delayMs: number;
  /** The call says nothing about the event, so it is not counted against it. */
  readonly isRefunded: boolean;
  /** From now on an attempt may have reached Meta. */
  readonly isUnknown: boolean;
  readonly event: EventBody<
    'ConversionAccepted' | 'ConversionRejected' | 'ConversionUnconfirmed'
  > | null;
}

export interface AftermathContext {
  readonly nowMs: number;
  /** The same instant, ISO 8601. */
  readonly now: string;
  /** In [0, 1). */
  readonly random: number;
  readonly retryBaseMs: number;
  /** The catalog has a token for this pixel that Meta has not refused. */
  readonly hasOtherToken: boolean;
}

export function aftermathOf(
  row: Attempted,
  outcome: Outcome,
  context: AftermathContext,
): Aftermath {
  const { attempts, eventTimeSeconds } = row;
  const { now, nowMs, random, retryBaseMs, hasOtherToken } = context;
  const { httpStatus, code, subcode, fbtraceId, reason } = outcome;
  const open = row.unknownSinceMs === null ? 'due' : 'unconfirmed';
  const ageMs = nowMs - eventTimeSeconds * 1_000;
  const backoffMs = retryDelayMs({ attempts, ageMs }, retryBaseMs, random);
  const delayMs = Math.max(backoffMs, outcome.waitMs ?? 0);
  const settled = { delayMs: 0, isRefunded: false, isUnknown: false, event: null };
  switch (outcome.kind) {
    case 'accepted': {
      const details = { eventTime: eventTimeSeconds, attempts, fbtraceId, acceptedAt: now };
      return { ...settled, state: 'accepted', event: accepted(row, details) };
    }
    case 'transient':
      return { ...settled, state: open, delayMs };
    case 'throttled':
      return { ...settled, state: open, isRefunded: true };
    case 'parked':
      return { ...settled, state: hasOtherToken ? open : 'parked', isRefunded: true };
    case 'rejected': {
      const event = rejected(row, { httpStatus, code, subcode, reason, rejectedAt: now });
      return { ...settled, state: 'rejected', event };
    }
    case 'unknown': {
      const event = unconfirmed(row, { reason, attempts, attemptedAt: now });
      return { ...settled, state: 'unconfirmed', delayMs, isUnknown: true, event };
    }
  }
}
