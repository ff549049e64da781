/** Work that nobody waits for: soon after the start, then every hour, never beside itself. */

const everyMs = 3_600_000;
/** Also where a process is started anew each hour; after the start itself, which has enough to do. */
const soonMs = 60_000;

export interface HourlyOptions {
  /** Between two steps it stops where the signal says so. */
  readonly work: (signal: AbortSignal) => Promise<unknown>;
  readonly onError: (error: unknown) => void;
  readonly firstAfterMs?: number;
}

/** Disposing of it waits for what is under way. */
export function startHourly({
  work,
  onError,
  firstAfterMs = soonMs,
}: HourlyOptions): AsyncDisposable {
  const stopping = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  let timer = planned(firstAfterMs);
  function planned(inMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      running = work(stopping.signal).catch(onError);
      void running.finally(() => {
        if (!stopping.signal.aborted) timer = planned(everyMs);
      });
    }, inMs).unref();
  }
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
