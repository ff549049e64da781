/** When the gateway is asked about a charge, even if no webhook ever comes. */

/**
 * Webhooks get lost: some gateways give up after three tries, others after 42 minutes. All times
 * in ms.
 */
export interface Schedule {
  /** After the charge was opened. */
  readonly afterCreationMs: readonly number[];
  /** After its expiry: a bank may settle late. */
  readonly afterExpiryMs: readonly number[];
  /** After a webhook whose news the gateway's API does not tell yet, whatever the status. */
  readonly followUpMs: readonly number[];
  /** Between two questions about one charge; a gateway blocks accounts that ask more often. */
  readonly minIntervalMs: number;
}

const minuteMs = 60_000;

export const defaultSchedule: Schedule = {
  afterCreationMs: [1 * minuteMs, 3 * minuteMs, 10 * minuteMs],
  afterExpiryMs: [0, 60 * minuteMs, 24 * 60 * minuteMs],
  followUpMs: [1 * minuteMs, 10 * minuteMs, 60 * minuteMs],
  minIntervalMs: minuteMs,
};

export interface ChargeTimes {
  /** When it could be paid first. */
  readonly openedAtMs: number;
  readonly expiresAtMs: number;
  readonly nowMs: number;
}

/** Epoch ms of the next question, or null when the charge has been asked about long enough. */
export function nextCheckMs(
  schedule: Schedule,
  { openedAtMs, expiresAtMs, nowMs }: ChargeTimes,
): number | null {
  const early = schedule.afterCreationMs
    .map((ms) => openedAtMs + ms)
    .filter((atMs) => atMs < expiresAtMs);
  const late = schedule.afterExpiryMs.map((ms) => expiresAtMs + ms);
  const ahead = [...early, ...late].filter((atMs) => atMs > nowMs);
  return ahead.length === 0 ? null : Math.min(...ahead);
}

/** At once where all times are over already: a creation may be repeated long after the first. */
export function firstCheckMs(
  schedule: Schedule,
  { openedAtMs, expiresAtMs }: Omit<ChargeTimes, 'nowMs'>,
): number {
  return nextCheckMs(schedule, { openedAtMs, expiresAtMs, nowMs: openedAtMs }) ?? openedAtMs;
}

/** What follows an answer without news: when to ask once more, and how often after that. */
export function nextFollowUp(
  { followUpMs }: Schedule,
  { followUpsLeft, nowMs }: { followUpsLeft: number; nowMs: number },
): { readonly atMs: number | null; readonly left: number } {
  const waitMs = followUpsLeft > 0 ? followUpMs.at(-followUpsLeft) : undefined;
  return waitMs === undefined
    ? { atMs: null, left: 0 }
    : { atMs: nowMs + waitMs, left: followUpsLeft - 1 };
}

const longestPauseMs = 60 * minuteMs;

/** How long to leave a gateway alone that gave no answer: the longer, the older the charge is. */
export function pauseAfterFailureMs({ minIntervalMs }: Schedule, ageMs: number): number {
  return Math.min(longestPauseMs, Math.max(minIntervalMs, Math.round(ageMs / 4)));
}
