/** Works through a table of things to do: woken in-process, and by polling for all else. */

export interface WorkerOptions<Job> {
  /** Claims up to `limit` jobs, such that nobody else gets them for a while. */
  readonly take: (limit: number) => Promise<readonly Job[]>;
  readonly run: (job: Job) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly concurrency: number;
  readonly pollMs: number;
}

export interface Worker extends AsyncDisposable {
  /** There is something to do: look now. */
  wake(): void;
}

/** Disposing of it waits for the jobs that are under way. */
export function startWorker<Job>(options: WorkerOptions<Job>): Worker {
  const { take, run, onError, concurrency, pollMs } = options;
  const running = new Set<Promise<void>>();
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
    running.add(done);
  }
  async function loop(): Promise<void> {
    while (!isStopping) {
      bell = Promise.withResolvers<void>();
      const room = concurrency - running.size;
      if (room > 0) {
        const jobs = await take(room).catch((error: unknown) => (onError(error), []));
        isMoreLikely = jobs.length === room;
        for (const job of jobs) start(job);
      }
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
      await Promise.allSettled(running);
    },
  };
}
