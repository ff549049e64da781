/** Months of `event_log`: there before the first event of a month, and whenever one is needed. */
import type { Logger, Sql } from '@rastro/runtime';

const monthsAhead = 3;
const upkeepMs = 24 * 60 * 60 * 1_000;

export interface Partitions {
  /** This month and the next three. */
  ensureAhead(): Promise<void>;
  /**
   * @param times ISO 8601, as events carry them.
   * @throws a PostgresError of class 22 for a time that no event can be of.
   */
  ensureFor(times: readonly string[]): Promise<void>;
  /** After somebody else dropped a month. */
  forget(): void;
}

export function createPartitions(sql: Sql): Partitions {
  const known = new Set<string>();
  return {
    async ensureAhead() {
      await sql`
        select ensure_event_log_partition(
          (now() at time zone 'UTC' + make_interval(months => ahead))::date)
        from generate_series(0, ${monthsAhead}::integer) as ahead`;
    },
    async ensureFor(times) {
      const months = new Set(times.map((time) => time.slice(0, 'YYYY-MM'.length)));
      for (const month of [...months].filter((m) => !known.has(m))) {
        await sql`select ensure_event_log_partition(${`${month}-01`}::text::date)`;
        known.add(month);
      }
    },
    forget: () => known.clear(),
  };
}

/** Daily until disposed of. A failure is not the end: events make their month on demand. */
export function startPartitionUpkeep(partitions: Partitions, log: Logger): Disposable {
  const timer = setInterval(() => {
    partitions
      .ensureAhead()
      .catch((error: unknown) => log.warn({ err: error }, 'partitions ahead were not made'));
  }, upkeepMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
