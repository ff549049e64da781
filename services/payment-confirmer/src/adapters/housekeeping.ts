/** Deletes what nobody will ask for any more. */
import { type HourlyOptions, type Sql, startHourly } from '@rastro/runtime';

/** So that no statement holds the table's rows, or a connection, for long. */
const batchRows = 5_000;

export interface HousekeepingOptions extends Omit<HourlyOptions, 'work'> {
  readonly sql: Sql;
  /** After which webhooks are deleted, whatever became of them. */
  readonly webhookDays: number;
}

export function startHousekeeping({
  sql,
  webhookDays,
  ...options
}: HousekeepingOptions): AsyncDisposable {
  return startHourly({ ...options, work: (signal) => sweep(sql, { webhookDays, signal }) });
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
