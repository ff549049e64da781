/** Append-only streams of events, each with a version that must be as the writer expected. */
import { type RastroEvent } from '@rastro/events';
import postgres from 'postgres';
import type { Queryable, Transaction } from './types.ts';

/** Somebody else appended first: load the stream again and decide again. */
export class ConcurrencyError extends Error {
  readonly code = 'STREAM_VERSION_CONFLICT';

  constructor(streamId: string, expectedVersion: number) {
    super(`Stream ${streamId} is no longer at version ${expectedVersion}.`);
    this.name = 'ConcurrencyError';
  }
}

export interface Append {
  /** e.g. `payment-<id>`. */
  readonly streamId: string;
  /** Number of events already in the stream; 0 for one that must not exist. */
  readonly expectedVersion: number;
  readonly events: readonly RastroEvent[];
}

const uniqueViolation = '23505';

/**
 * Appends and queues for publishing in the caller's transaction.
 * @throws {ConcurrencyError} when the stream is at another version; the transaction is lost.
 */
export async function append(tx: Transaction, appended: Append): Promise<void> {
  await appendAll(tx, [appended]);
}

/**
 * The same for many streams in one statement, so that each event crosses to Postgres once; each
 * stream may be named once.
 * @throws {ConcurrencyError} naming the first stream when any was at another version.
 */
export async function appendAll(tx: Transaction, appends: readonly Append[]): Promise<void> {
  const rows = appends.flatMap(({ streamId, expectedVersion, events }) =>
    events.map((event, index) => ({
      stream_id: streamId,
      version: expectedVersion + index + 1,
      event,
    })),
  );
  const [first] = appends;
  if (rows.length === 0 || first === undefined) return;
  try {
    await tx`
      with added as (
        insert into events (stream_id, version, event_id, type, event)
        select stream_id, version, (event->>'id')::uuid, event->>'type', event
        from jsonb_to_recordset(${tx.json(rows as never)})
          as given(stream_id text, version integer, event jsonb)
        returning global_position)
      insert into outbox (event_position) select global_position from added order by 1`;
  } catch (error) {
    const isConflict = error instanceof postgres.PostgresError && error.code === uniqueViolation;
    throw isConflict ? new ConcurrencyError(first.streamId, first.expectedVersion) : error;
  }
}

/** Events of one stream in order; their number is the stream's version. */
export async function readStream(sql: Queryable, streamId: string): Promise<RastroEvent[]> {
  const rows = await sql<{ event: RastroEvent }[]>`
    select event from events where stream_id = ${streamId} order by version`;
  return rows.map(({ event }) => event);
}

const conflictRetries = 5;

/** Runs a load-decide-append again when another writer was faster. */
export async function withConflictRetry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ConcurrencyError) || retries >= conflictRetries) throw error;
    }
  }
}
