/** Works off rows of a table under a lease, so that several processes share them. */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

export interface WorkLoop extends AsyncDisposable {
  /** There may be something to do: look now instead of at the next poll. */
  wake(): void;
}

export interface WorkLoopOptions<T> {
  readonly concurrency: number;
  /** How long to wait before looking again when nobody wakes the loop. */
  readonly pollMs?: number;
  /** The least time between two looks. */
  readonly pauseMs?: number;
  /** Takes at most `limit` items for {@link leaseSeconds}. */
  readonly claim: (limit: number) => Promise<readonly T[]>;
  /** Has to settle the item; one that throws is claimed again once its lease has run out. */
  readonly work: (item: T) => Promise<void>;
  /** Prolongs the lease of what is still being worked on. */
  readonly renew: (items: readonly T[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** How long a dead process's work waits for another one. */
export const leaseSeconds = 10;
const renewMs = 3_000;
const defaultPollMs = 500;

/** Runs until disposed of, which waits for what is under way. */
export function startWorkLoop<T>(options: WorkLoopOptions<T>): WorkLoop {
  const { concurrency, claim, work, renew, onError } = options;
  const { pollMs = defaultPollMs, pauseMs = 0 } = options;
  const stopping = new AbortController();
  const items = new Set<T>();
  const tasks = new Set<Promise<void>>();
  let woken = Promise.withResolvers<void>();

  function launch(item: T): void {
    items.add(item);
    const task: Promise<void> = work(item)
      .catch(onError)
      .finally(() => {
        items.delete(item);
        tasks.delete(task);
        woken.resolve();
      });
    tasks.add(task);
  }
  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      woken = Promise.withResolvers<void>();
      const room = concurrency - items.size;
      const claimed = room > 0 ? await claim(room).catch(nothingAfter(onError)) : [];
      for (const item of claimed) {
        launch(item);
        // Between two items others have their turn: a webhook is not to wait for a whole claim.
        await nextTurn();
      }
      const waiting = new AbortController();
      const poll = delay(pollMs, undefined, {
        signal: AbortSignal.any([stopping.signal, waiting.signal]),
      }).catch(() => {});
      await Promise.race([woken.promise, poll]);
      waiting.abort();
      if (pauseMs > 0) await delay(pauseMs);
    }
  }
  const renewing = setInterval(() => {
    if (items.size > 0) renew([...items]).catch(onError);
  }, renewMs);
  const running = loop();
  return {
    wake: () => woken.resolve(),
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await running;
      await Promise.allSettled(tasks);
      clearInterval(renewing);
    },
  };
}

const nothingAfter = (onError: (error: unknown) => void) => (error: unknown) => {
  onError(error);
  return [] as const;
};
