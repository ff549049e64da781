/** How fast, how often and until when: every wait of the dispatcher, as plain numbers. */
import { defaultQualityPace, type QualityPace } from './dataset-quality.ts';

export interface Pace {
  /** One call to Meta, from connect to the last byte of the answer. */
  readonly callTimeoutMs: number;
  /** How long a claimed row belongs to its dispatcher; longer than a call may take. */
  readonly leaseMs: number;
  /** First wait after a failure that will pass; doubles with each attempt. */
  readonly retryBaseMs: number;
  /** First pause of a throttled pixel where Meta names none; doubles each time. */
  readonly throttleBaseMs: number;
  /** How often a parked pixel is tried with a token that Meta refused. */
  readonly probeEveryMs: number;
  /** How long a Purchase waits for a click that is known to exist but has not been seen here. */
  readonly missingClickHoldMs: number;
  /** How long Purchase lets the delivery page's Pixel, and its fresh cookies, go first. */
  readonly browserFirstHoldMs: number;
  /** How long PageViews may wait to fill a batch. */
  readonly lingerMs: number;
  /** After this a busy lane ends its turn by itself, between two calls, and begins the next. */
  readonly laneTurnMs: number;
  /**
   * A lane that is not done by then hangs, and another one takes its place. Longer than a turn and
   * what it may still have under way, so that no pixel is sent to twice at once.
   */
  readonly laneBoundMs: number;
  /** Of reading how Meta judges the events. */
  readonly quality: QualityPace;
}

export const defaultPace: Pace = {
  callTimeoutMs: 8_000,
  leaseMs: 15_000,
  retryBaseMs: 1_000,
  throttleBaseMs: 5_000,
  probeEveryMs: 3_600_000,
  missingClickHoldMs: 30_000,
  browserFirstHoldMs: 1_500,
  lingerMs: 50,
  laneTurnMs: 60_000,
  laneBoundMs: 300_000,
  quality: defaultQualityPace,
};

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/**
 * Meta discards a second copy only within 48 hours of the first; a repeat after an unknown outcome
 * stops a little before that.
 * @see Meta, "Deduplicate Pixel and server events"
 */
export const repeatWindowMs = 48 * hourMs - 5 * minuteMs;

/**
 * One event older than 7 days makes Meta refuse the whole request; the margin covers clocks.
 * @see Meta, "Server event parameters", event_time
 */
export const maxAgeMs = 7 * 24 * hourMs - 10 * minuteMs;

/** Meta takes 1,000 events a request; a smaller batch is quicker to bisect. */
export const batchLimits = { PageView: 500, Purchase: 20 } as const;

/**
 * Exponential with full jitter above one half: at most a minute apart in the event's first hour,
 * while it is worth most to Meta, then at most a quarter of an hour.
 * @param random in [0, 1).
 */
export function retryDelayMs(
  failure: { readonly attempts: number; readonly ageMs: number },
  baseMs: number,
  random: number,
): number {
  const capMs = failure.ageMs < hourMs ? minuteMs : 15 * minuteMs;
  return Math.round(doubled(baseMs, failure.attempts - 1, capMs) * (0.5 + random / 2));
}

/** @param throttles consecutive throttled answers before this one. */
export function pauseMs(throttles: number, baseMs: number, random: number): number {
  return Math.round(doubled(baseMs, throttles, 15 * minuteMs) * (0.75 + random / 2));
}

function doubled(baseMs: number, times: number, capMs: number): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(Math.max(times, 0), 30));
}

/** What becomes of a claimed row: sent, or never again and why. */
export function triage(
  row: {
    readonly eventTimeSeconds: number;
    /** When the first call began that Meta may have taken. */
    readonly unknownSinceMs: number | null;
    readonly isForced: boolean;
  },
  nowMs: number,
): 'send' | 'expired' | 'dead' {
  const { eventTimeSeconds, unknownSinceMs, isForced } = row;
  // Whoever forces begins another window: what they insist on is not repeated for ever either.
  if (unknownSinceMs !== null && nowMs - unknownSinceMs > repeatWindowMs) return 'dead';
  if (isForced) return 'send';
  return nowMs - eventTimeSeconds * 1_000 > maxAgeMs ? 'expired' : 'send';
}
