/** One batch of events, one transaction. */
import type { RastroEvent } from '@rastro/events';
import type { Sql } from '@rastro/runtime';
import { addClickCounts } from './click-count-store.ts';
import { insertEvents } from './event-log.ts';
import { beginStoring } from './locks.ts';
import type { Partitions } from './partitions.ts';
import { type Projected, projectSessions } from './session-store.ts';

export interface Stored extends Projected {
  /** Events that were not there before. */
  readonly events: readonly RastroEvent[];
  /** Of the rows of all sessions in it; see `readSessions`. */
  readonly rowId: string;
}

export type StoreBatch = (events: readonly RastroEvent[]) => Promise<Stored>;

export function createStoreBatch(sql: Sql, partitions: Partitions): StoreBatch {
  return async (batch) => {
    await partitions.ensureFor(batch.map(({ time }) => time));
    try {
      return await sql.begin(async (tx) => {
        // Both are sent at once; the log is not touched before the lock is held.
        const [rowId, events] = await Promise.all([beginStoring(tx), insertEvents(tx, batch)]);
        const projected = await projectSessions(tx, events);
        // Last, since a busy bot's row is waited for by every other batch until the commit.
        await addClickCounts(tx, events);
        return { events, rowId, ...projected };
      });
    } catch (error) {
      partitions.forget();
      throw error;
    }
  };
}
