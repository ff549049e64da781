/** What becomes of a delivered message, as data: handlers decide, one file carries it out. */

/**
 * `'ack'`: done, also when there was nothing to do. `retryInMs`: not yet, deliver again later.
 * `deadLetter`: never, put it aside with the reason for a person to look at.
 */
export type Settlement = 'ack' | { readonly retryInMs: number } | { readonly deadLetter: string };

const outageRetryMs = 2_000;
const retryTableMs = [500, 2_000, 10_000, 30_000, 60_000];

/**
 * How long to wait after a handler threw, with jitter so that a herd does not return at once.
 * @param deliveryCount 1 for the first delivery.
 * @param random in [0, 1).
 */
export function retryDelayMs(deliveryCount: number, random: number): number {
  const base = retryTableMs[Math.min(deliveryCount, retryTableMs.length) - 1] ?? 500;
  return Math.round(base * (0.75 + random / 2));
}

/** Deliveries after which a handler that keeps throwing is taken to have a poison message. */
export const maxDeliveries = 20;

const outageCodes = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|EAI_AGAIN|CONNECT|08|57P0|53)/;

/** Whether an error speaks of a dependency that is away: such a message waits as long as it takes. */
export function isOutage(error: unknown): boolean {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return (
    outageCodes.test(String(code)) ||
    /^(TimeoutError|ClosedConnectionError|NoRespondersError|RequestError)$/.test(String(name))
  );
}

/** Decides after a throw; a poison message never blocks the stream, an outage never loses one. */
export function settlementOfError(
  error: unknown,
  deliveryCount: number,
  random: number,
): Settlement {
  if (deliveryCount >= maxDeliveries && !isOutage(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return { deadLetter: `failed ${deliveryCount} times, last with: ${message}` };
  }
  // What is away may be back in a second, and money should not wait longer than that.
  const delayMs = retryDelayMs(deliveryCount, random);
  return { retryInMs: isOutage(error) ? Math.min(delayMs, outageRetryMs) : delayMs };
}
