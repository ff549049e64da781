/** Which accounts are asked for a charge, in which order, and how long each may take. Times in ms. */

export interface Failover {
  /** For all accounts together: below the ten seconds that whoever asks for a charge waits. */
  readonly budgetMs: number;
  /** Gateways that are well answer within this, so less is no fair try. */
  readonly minAttemptMs: number;
  /** After so many failures in a row an account rests. */
  readonly failuresUntilRest: number;
  readonly restMs: number;
}

export const defaultFailover: Failover = {
  budgetMs: 8_000,
  minAttemptMs: 2_000,
  failuresUntilRest: 3,
  restMs: 30_000,
};

/** How an account has done lately; null: well. */
export type Circuit = { readonly failures: number; readonly restsUntilMs: number } | null;

export function failedOnce(
  circuit: Circuit,
  { failuresUntilRest, restMs }: Failover,
  nowMs: number,
): Circuit {
  const failures = (circuit?.failures ?? 0) + 1;
  return { failures, restsUntilMs: failures < failuresUntilRest ? 0 : nowMs + restMs };
}

export const isResting = (circuit: Circuit, nowMs: number): boolean =>
  circuit !== null && nowMs < circuit.restsUntilMs;

/**
 * Whoever comes first after the rest probes the account; the others leave it alone until it has
 * answered, or for one more rest should the probe never say.
 */
export function takeTurn(
  circuit: Circuit,
  { failuresUntilRest, restMs }: Failover,
  nowMs: number,
): Circuit {
  const isProbe = circuit !== null && circuit.failures >= failuresUntilRest;
  return isProbe ? { ...circuit, restsUntilMs: nowMs + restMs } : circuit;
}

/** Accounts that rest come last instead of never: they may be all that is left. */
export function orderOf(
  accountIds: readonly string[],
  isAtRest: (accountId: string) => boolean,
): readonly string[] {
  const once = [...new Set(accountIds)];
  return [...once.filter((id) => !isAtRest(id)), ...once.filter(isAtRest)];
}

/**
 * How long the next account may take: an equal share of what is left, so that one that hangs leaves
 * time for the others. Null when it would be too short for any of them.
 */
export function attemptMs(
  { minAttemptMs }: Failover,
  { leftMs, accountsLeft }: { leftMs: number; accountsLeft: number },
): number | null {
  if (leftMs < minAttemptMs / 2) return null;
  return Math.floor(Math.min(leftMs, Math.max(leftMs / accountsLeft, minAttemptMs)));
}
