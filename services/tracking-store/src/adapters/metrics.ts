import type { RastroEvent } from '@rastro/events';
import { Counter, Histogram, type Registry } from '@rastro/runtime';

export interface StoreMetrics {
  batchStored(batch: { received: number; stored: readonly RastroEvent[] }): void;
}

/** What an operator watches: is everything stored, how late, and how often said twice. */
export function createStoreMetrics(registry: Registry): StoreMetrics {
  const registers = [registry];
  const stored = new Counter({
    name: 'rastro_events_stored_total',
    help: 'Events written to the log for the first time.',
    labelNames: ['type'],
    registers,
  });
  const duplicates = new Counter({
    name: 'rastro_events_duplicate_total',
    help: 'Events delivered again after they had been stored.',
    registers,
  });
  const batchSize = new Histogram({
    name: 'rastro_event_batch_size',
    help: 'Events in one transaction.',
    buckets: [1, 5, 20, 50, 100, 200, 500],
    registers,
  });
  const lag = new Histogram({
    name: 'rastro_event_store_lag_seconds',
    help: 'From the time of an event to its commit.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600],
    registers,
  });
  return {
    batchStored({ received, stored: events }) {
      const now = Date.now();
      batchSize.observe(received);
      duplicates.inc(received - events.length);
      for (const { type, time } of events) {
        stored.inc({ type });
        lag.observe(Math.max(0, now - Date.parse(time)) / 1_000);
      }
    },
  };
}
