/** Says once that Redis is away, and once that it is back. */
import type { Logger } from '@rastro/runtime';

export interface OutageLog {
  report(error: unknown): void;
  isOver(): void;
}

export function createOutageLog(log: Logger): OutageLog {
  let isAway = false;
  return {
    report(error) {
      if (isAway) return;
      isAway = true;
      // Not the error itself: it holds the command, and that the visitor's address.
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ reason }, 'Redis is away: nobody is limited, and beacons wait for their click');
    },
    isOver() {
      if (!isAway) return;
      isAway = false;
      log.info('Redis is back');
    },
  };
}
