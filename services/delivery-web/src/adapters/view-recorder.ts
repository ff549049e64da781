/** Records openings after the page went out; the visitor never waits for it nor hears of it. */
import type { Sql } from '@rastro/event-store';
import type { DataOf } from '@rastro/events';
import type { Counter, Logger } from '@rastro/runtime';
import pRetry from 'p-retry';
import { recordView } from './deliveries.ts';

export interface ViewRecorder extends AsyncDisposable {
  /** Resolves when the opening is stored or given up; never rejects. */
  record(view: DataOf<'DeliveryViewed'>, workspaceId: string): Promise<void>;
}

/** About 15 s in all: a restart of Postgres is survived, a drain is not held up. */
const retrying = { retries: 6, minTimeout: 250, factor: 2, maxTimeout: 4_000 };

export function createViewRecorder(parts: {
  readonly sql: Sql;
  readonly log: Logger;
  /** Counts with the label `result`. */
  readonly views: Counter<'result'>;
}): ViewRecorder {
  const { sql, log, views } = parts;
  const underWay = new Set<Promise<void>>();

  async function store(view: DataOf<'DeliveryViewed'>, workspaceId: string): Promise<void> {
    try {
      const isRecorded = await pRetry(() => recordView(sql, view, workspaceId), retrying);
      views.inc({ result: isRecorded ? 'recorded' : 'repeated' });
    } catch (error) {
      views.inc({ result: 'failed' });
      log.error({ err: error, deliveryId: view.deliveryId }, 'an opening could not be recorded');
    }
  }
  return {
    record(view, workspaceId) {
      const stored = store(view, workspaceId).finally(() => underWay.delete(stored));
      underWay.add(stored);
      return stored;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(underWay);
    },
  };
}
