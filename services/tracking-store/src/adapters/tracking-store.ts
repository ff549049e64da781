/** One batch of events, one transaction. */
import type { RastroEvent } from '@rastro/events';
import type { Sql } from '@rastro/runtime';
import { insertEvents } from './event-log.ts';
import type { Partitions } from './partitions.ts';
import { projectSessions } from './session-store.ts';

export interface Stored {
  /** Events that were not there before. */
  readonly events: readonly RastroEvent[];
  /** Tokens of sessions that were there before and are now different. */
  readonly changedTokens: readonly string[];
}

export type StoreBatch = (events: readonly RastroEvent[]) => Promise<Stored>;

export function createStoreBatch(sql: Sql, partitions: Partitions): StoreBatch {
  return async (batch) => {
    await partitions.ensureFor(batch.map(({ time }) => time));
    try {
      return await sql.begin(async (tx) => {
        const events = await insertEvents(tx, batch);
        return { events, changedTokens: await projectSessions(tx, events) };
      });
    } catch (error) {
      partitions.forget();
      throw error;
    }
  };
}
