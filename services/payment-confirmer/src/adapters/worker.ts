/** Works through a table of things to do: woken in-process, and by polling for all else. */

export interface WorkerOptions<Job> {
  /** Claims up to `limit` jobs, none of these accounts', such that nobody else gets them. */
  readonly take: (limit: number, busyAccounts: readonly string[]) => Promise<readonly Job[]>;
  readonly run: (job: Job) => Promise<void>;
  readonly accountOf: (job: Job) => string;
  readonly onError: (error: unknown) => void;
  readonly concurrency: number;
  /** So that one gateway that hangs leaves room for the others. */
  readonly concurrencyPerAccount: number;
  readonly pollMs: number;
}

export interface Worker extends AsyncDisposable {
  /** There is something to do: look now. */
  wake(): void;
}

/** Disposing of it waits for the jobs that are under way. */
export function startWorker<Job>(options: WorkerOptions<Job>): Worker {
  const { take, run, accountOf, onError, pollMs } = options;
  const running = new Map<Promise<void>, string>();
  let bell = Promise.withResolvers<void>();
  /** The last look found as much as there was room for. */
  let isMoreLikely = false;
  let isStopping = false;

  function start(job: Job): void {
    const done = run(job)
      .catch(onError)
      .finally(() => {
        running.delete(done);
        if (isMoreLikely) bell.resolve();
      });
    running.set(done, accountOf(job));
  }
  async function look(): Promise<void> {
    const { limit, busyAccounts } = roomIn([...running.values()], options);
    isMoreLikely = busyAccounts.length > 0 || limit === 0;
    if (limit === 0) return;
    const jobs = await take(limit, busyAccounts);
    isMoreLikely ||= jobs.length === limit;
    for (const job of jobs) start(job);
  }
  async function loop(): Promise<void> {
    while (!isStopping) {
      bell = Promise.withResolvers<void>();
      await look().catch(onError);
      const timer = setTimeout(bell.resolve, pollMs);
      await bell.promise;
      clearTimeout(timer);
    }
  }
  const looping = loop();
  return {
    wake: () => bell.resolve(),
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      bell.resolve();
      await looping;
      await Promise.allSettled(running.keys());
    },
  };
}

/** How many jobs may be claimed, so that no account exceeds its share whosever they turn out. */
function roomIn(
  accounts: readonly string[],
  limits: { readonly concurrency: number; readonly concurrencyPerAccount: number },
): { readonly limit: number; readonly busyAccounts: readonly string[] } {
  const { concurrency, concurrencyPerAccount } = limits;
  const counts = [...Map.groupBy(accounts, (account) => account)].map(
    ([account, jobs]) => [account, jobs.length] as const,
  );
  const busy = counts.filter(([, count]) => count >= concurrencyPerAccount);
  const others = counts.filter(([, count]) => count < concurrencyPerAccount);
  const most = Math.max(0, ...others.map(([, count]) => count));
  return {
    limit: Math.min(concurrency - accounts.length, concurrencyPerAccount - most),
    busyAccounts: busy.map(([account]) => account),
  };
}
