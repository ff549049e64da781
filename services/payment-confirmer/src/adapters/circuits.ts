/** Remembers which accounts have failed in a row: in memory, so that each process finds out alone. */
import type { Logger } from '@rastro/runtime';
import {
  type Circuit,
  failedOnce,
  type Failover,
  isResting,
  orderOf,
  takeTurn,
} from '../core/failover.ts';

export interface Circuits {
  /** Accounts in the order in which they are to be asked. */
  order(accountIds: readonly string[]): readonly string[];
  /** It is about to be asked. */
  start(accountId: string): void;
  answered(accountId: string): void;
  failed(accountId: string): void;
}

export function createCircuits(failover: Failover, log: Logger): Circuits {
  const circuits = new Map<string, NonNullable<Circuit>>();
  const circuitOf = (accountId: string): Circuit => circuits.get(accountId) ?? null;
  const keep = (accountId: string, circuit: Circuit) =>
    circuit === null ? circuits.delete(accountId) : circuits.set(accountId, circuit);
  return {
    order(accountIds) {
      const nowMs = Date.now();
      return orderOf(accountIds, (accountId) => isResting(circuitOf(accountId), nowMs));
    },
    start: (accountId) =>
      void keep(accountId, takeTurn(circuitOf(accountId), failover, Date.now())),
    answered(accountId) {
      const { failures } = circuitOf(accountId) ?? { failures: 0 };
      circuits.delete(accountId);
      if (failures >= failover.failuresUntilRest) log.info({ accountId }, 'an account is back');
    },
    failed(accountId) {
      const circuit = failedOnce(circuitOf(accountId), failover, Date.now());
      keep(accountId, circuit);
      if (circuit?.failures !== failover.failuresUntilRest) return;
      const { restMs } = failover;
      log.error({ accountId, restMs }, 'an account fails again and again; others are tried first');
    },
  };
}
