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
  /** Between two questions about one charge; a gateway blocks accounts that ask more often. */
  readonly minIntervalMs: number;
}

const minuteMs = 60_000;

export const defaultSchedule: Schedule = {
  afterCreationMs: [1 * minuteMs, 3 * minuteMs, 10 * minuteMs],
  afterExpiryMs: [0, 60 * minuteMs, 24 * 60 * minuteMs],
  minIntervalMs: minuteMs,
};

export interface ChargeTimes {
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly nowMs: number;
}

/** Epoch ms of the next question, or null when the charge has been asked about long enough. */
export function nextCheckMs(
  schedule: Schedule,
  { createdAtMs, expiresAtMs, nowMs }: ChargeTimes,
): number | null {
  const early = schedule.afterCreationMs
    .map((ms) => createdAtMs + ms)
    .filter((atMs) => atMs < expiresAtMs);
  const late = schedule.afterExpiryMs.map((ms) => expiresAtMs + ms);
  const ahead = [...early, ...late].filter((atMs) => atMs > nowMs);
  return ahead.length === 0 ? null : Math.min(...ahead);
}
