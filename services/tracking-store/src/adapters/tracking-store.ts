/** One batch of events, one transaction. */
import type { RastroEvent } from '@rastro/events';
import type { Sql } from '@rastro/runtime';
import { addClickCounts } from './click-count-store.ts';
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
        const changedTokens = await projectSessions(tx, events);
        // Last, since a busy bot's row is waited for by every other batch until the commit.
        await addClickCounts(tx, events);
        return { events, changedTokens };
      });
    } catch (error) {
      partitions.forget();
      throw error;
    }
  };
}
