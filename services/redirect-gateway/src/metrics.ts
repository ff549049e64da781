/** What an operator watches of the gateway. */
import { Counter, Gauge, type Registry } from '@rastro/runtime';
import type { Segment } from './adapters/spool.ts';

export type Counters = ReturnType<typeof createCounters>;

export function createCounters(registry: Registry) {
  const registers = [registry];
  return {
    unknownBeacons: new Counter({
      name: 'rastro_beacons_unknown_total',
      help: 'Beacons dropped, since nobody knew in time whose they were.',
      registers,
    }),
    clicks: new Counter({
      name: 'rastro_clicks_total',
      help: 'Clicks handed to a bot, by class of traffic.',
      labelNames: ['class'],
      registers,
    }),
    pages: new Counter({
      name: 'rastro_gateway_pages_total',
      help: 'Answers to ad links, by what they were.',
      labelNames: ['result'],
      registers,
    }),
    published: new Counter({
      name: 'rastro_spool_published_total',
      help: 'Events carried from the spool to JetStream.',
      registers,
    }),
    unspooled: new Counter({
      name: 'rastro_spool_failures_total',
      help: 'Events that the disk did not take and that were published directly.',
      registers,
    }),
  };
}

/** What is asked for at the moment somebody looks. */
export interface Watched {
  readonly segments: () => readonly Segment[];
  readonly isLinked: () => boolean;
  readonly waitingBeacons: () => number;
}

export function addGauges(registry: Registry, watched: Watched): void {
  function gauge(name: string, help: string, valueOf: () => number): void {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(valueOf());
      },
    });
  }
  gauge('rastro_spool_bytes', 'Events on disk whose segment is not drained yet.', () =>
    watched.segments().reduce((sum, segment) => sum + segment.committedBytes, 0),
  );
  gauge(
    'rastro_spool_oldest_seconds',
    'Age of the oldest segment that is not drained yet; more than a few mean an outage.',
    () => {
      const [oldest] = watched.segments();
      return oldest ? (Date.now() - oldest.createdMs) / 1_000 : 0;
    },
  );
  gauge(
    'rastro_nats_up',
    'Whether NATS has been reached since the start; clicks are served either way.',
    () => (watched.isLinked() ? 1 : 0),
  );
  gauge('rastro_beacons_waiting', 'Beacons whose click is not known yet.', watched.waitingBeacons);
}
