/** Retention as the service runs it: soon after its start, then daily. */
import type { Logger } from '@rastro/runtime';
import type { RetentionReport } from './retention.ts';

const firstAfterMs = 60 * 1_000;
const everyMs = 24 * 60 * 60 * 1_000;
/** A rebuild or another instance is at it. */
const againAfterMs = 15 * 60 * 1_000;

/** Until disposed of, which waits for the batch under way. A failure is tried again. */
export function startRetention(
  runOnce: (signal: AbortSignal) => Promise<RetentionReport>,
  log: Logger,
): AsyncDisposable {
  const stopping = new AbortController();
  let running = Promise.resolve();
  let timer = next(firstAfterMs);

  function next(afterMs: number): NodeJS.Timeout {
    const begin = (): void => {
      running = run();
    };
    return setTimeout(begin, afterMs).unref();
  }
  async function run(): Promise<void> {
    let afterMs = againAfterMs;
    try {
      const report = await runOnce(stopping.signal);
      log.info(report, 'retention');
      if (report.outcome === 'done') afterMs = everyMs;
    } catch (error) {
      log.warn({ err: error }, 'retention failed; it goes on from where it was');
    }
    if (!stopping.signal.aborted) timer = next(afterMs);
  }
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
