/** Deletes, soon after the start and then every hour, what nobody will ask for any more. */
import type { Sql } from '@rastro/runtime';

const everyMs = 3_600_000;
/** Also where it is started anew each hour; after the start itself, which has enough to do. */
const firstAfterMs = 60_000;
/** So that no statement holds the table's rows, or a connection, for long. */
const batchRows = 5_000;

export interface HousekeepingOptions {
  readonly sql: Sql;
  /** After which webhooks are deleted, whatever became of them. */
  readonly webhookDays: number;
  readonly onError: (error: unknown) => void;
  readonly firstAfterMs?: number;
}

export function startHousekeeping(options: HousekeepingOptions): AsyncDisposable {
  const { sql, webhookDays, onError } = options;
  const stop = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  let timer = planned(options.firstAfterMs ?? firstAfterMs);
  function planned(inMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      running = sweep(sql, { webhookDays, signal: stop.signal }).catch(onError);
      timer = planned(everyMs);
    }, inMs).unref();
  }
  return {
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      stop.abort();
      await running;
    },
  };
}

export interface SweepLimits {
  readonly webhookDays: number;
  readonly batch?: number;
  /** Between two batches it stops where this says so. */
  readonly signal?: AbortSignal;
}

/** Resolves with how many rows went in each batch. */
export async function sweep(sql: Sql, limits: SweepLimits): Promise<number[]> {
  const { webhookDays, batch = batchRows, signal } = limits;
  const deleted: number[] = [];
  for (;;) {
    const { count } = await sql`
      delete from webhooks where id in (
        select id from webhooks where received_at < now() - ${webhookDays} * interval '1 day'
        order by received_at limit ${batch} for update skip locked)`;
    deleted.push(count);
    if (count < batch || signal?.aborted) return deleted;
  }
}
