/** A part of the log, streamed through one projection into its new tables. */
import type { RastroEvent } from '@rastro/events';
import type { Sql } from '@rastro/runtime';
import { CountSums } from './count-sums.ts';
import { nextOf } from './next-tables.ts';
import type { JourneyProjection, Projection } from './projections.ts';
import { TableWriter } from './table-writer.ts';

/** Tokens are random hex, so ranges of them are parts of about the same size. */
export interface TokenRange {
  /** First token that belongs to it, or the beginning of it. */
  readonly from: string;
  /** First that does not; `g` comes after all hex digits. */
  readonly to: string;
}

export interface Slice {
  readonly range: TokenRange;
  /** Last position to be read. */
  readonly upTo: number;
  /** Of counts: first day that is counted; null for all. */
  readonly keptFrom: string | null;
}

/** A sort of this size stays in memory; a larger one goes through Postgres' temporary files. */
const sortMemory = '64MB';

/** As many as are read at once: two ranges take turns, so Postgres sorts while we fold. */
const eventsAtOnce = 1_000;

interface LoggedEvent {
  readonly trackingToken: string;
  readonly event: RastroEvent;
}

/** @returns the number of events read. */
export async function foldSlice(
  sql: Sql,
  { range, upTo, keptFrom }: Slice,
  projection: Projection,
): Promise<number> {
  return sql.begin(async (tx) => {
    await tx.unsafe(`set local work_mem = '${sortMemory}'`);
    const order = projection.kind === 'journeys' ? tx`order by tracking_token collate "C"` : tx``;
    const events = tx<LoggedEvent[]>`
      select tracking_token, event from event_log
      where tracking_token collate "C" >= ${range.from}
        and tracking_token collate "C" < ${range.to} and position <= ${upTo} ${order}`;
    const batches = events.cursor(eventsAtOnce);
    return projection.kind === 'journeys'
      ? foldJourneys(sql, projection, batches)
      : foldCounts(sql, new CountSums(projection, keptFrom), batches);
  });
}

type Batches = AsyncIterable<readonly LoggedEvent[]>;

async function foldJourneys(
  sql: Sql,
  { tables, begin }: JourneyProjection,
  batches: Batches,
): Promise<number> {
  const writers = tables.map((table) => new TableWriter(sql, nextOf(table)));
  let current = '';
  let fold = begin();
  let count = 0;
  const write = (): void => {
    const rows = fold.rows();
    for (const [i, table] of tables.entries()) {
      for (const row of rows[table] ?? []) writers[i]?.add(row);
    }
  };
  for await (const batch of batches) {
    for (const { trackingToken, event } of batch) {
      if (trackingToken !== current) {
        write();
        current = trackingToken;
        fold = begin();
      }
      fold.add(event);
    }
    count += batch.length;
    for (const writer of writers) await writer.flush();
  }
  write();
  for (const writer of writers) await writer.end();
  return count;
}

async function foldCounts(sql: Sql, sums: CountSums, batches: Batches): Promise<number> {
  let count = 0;
  for await (const batch of batches) {
    for (const { event } of batch) sums.add(event);
    count += batch.length;
  }
  await sums.write(sql);
  return count;
}
