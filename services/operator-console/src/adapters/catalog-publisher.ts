/** Keeps stream CATALOG at the newest version of every entry. */
import { setTimeout as delay } from 'node:timers/promises';
import { catalogSubject } from '@rastro/events';
import { type Log, type Nats, publishJson } from '@rastro/messaging';
import type { CatalogStore } from './catalog-store.ts';

export interface CatalogPublisher extends AsyncDisposable {
  /** There is something new; without it the next look is at most a few seconds away. */
  wake(): void;
}

const pollMs = 2_000;
const batchSize = 100;

export function startCatalogPublisher(options: {
  nats: Nats;
  store: Pick<CatalogStore, 'unpublished' | 'markPublished' | 'markAllUnpublished'>;
  log: Log;
}): CatalogPublisher {
  const { nats, store, log } = options;
  const stopping = new AbortController();
  let waking = Promise.withResolvers<void>();

  async function publishPending(): Promise<void> {
    for (;;) {
      const pending = await store.unpublished(batchSize);
      if (pending.length === 0) return;
      for (const entry of pending) {
        const id = `catalog/${entry.kind}/${entry.id}/${entry.version}`;
        await publishJson(nats, { subject: catalogSubject(entry), id, body: entry });
      }
      await store.markPublished(pending);
    }
  }

  /** A stream that was lost comes back empty, while we remember to have filled it. */
  async function refillIfLost(): Promise<void> {
    const { state } = await nats.jsm.streams.info('CATALOG');
    if (state.messages === 0) await store.markAllUnpublished();
  }

  async function loop(): Promise<void> {
    let isRefillDue = true;
    while (!stopping.signal.aborted) {
      waking = Promise.withResolvers<void>();
      try {
        if (isRefillDue) await refillIfLost();
        isRefillDue = false;
        await publishPending();
      } catch (error) {
        log.warn({ err: error }, 'the catalog could not be published; trying again');
      }
      const poll = delay(pollMs, undefined, { signal: stopping.signal }).catch(() => {});
      await Promise.race([waking.promise, poll]);
    }
  }
  const running = loop();
  return {
    wake: () => waking.resolve(),
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await running;
    },
  };
}
