/** Events that come after the time for which their addresses are kept. */
import { truncatedIp } from '@rastro/runtime';
import { withTruncatedAddresses } from '../core/addresses.ts';
import type { StoreBatch } from './tracking-store.ts';

/**
 * Retention looks at each stretch of time once, up to the limit. What is about to pass the limit is
 * truncated here, so that nothing can slip in between: a batch never takes this long.
 */
const slackMs = 60 * 60 * 1_000;

/** @param ipDays how many days addresses are kept; 0 for ever. */
export function truncatingLateEvents(
  store: StoreBatch,
  { ipDays, now }: { ipDays: number; now: () => number },
): StoreBatch {
  if (ipDays === 0) return store;
  return (batch) => {
    const limit = new Date(now() - ipDays * 86_400_000 + slackMs).toISOString();
    return store(
      batch.map((event) =>
        event.time < limit ? withTruncatedAddresses(event, truncatedIp) : event,
      ),
    );
  };
}
