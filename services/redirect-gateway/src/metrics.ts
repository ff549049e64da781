/** What an operator watches of the gateway. */
import { Counter, Gauge, type Registry } from '@rastro/runtime';
import type { Spool } from './adapters/spool.ts';

export function createCounters(
  registry: Registry,
  state: {
    readonly spool: Pick<Spool, 'segments'>;
    readonly isLinked: () => boolean;
    readonly waitingBeacons: () => number;
  },
) {
  const registers = [registry];
  new Gauge({
    name: 'rastro_spool_bytes',
    help: 'Events on disk whose segment is not drained yet.',
    registers,
    collect() {
      this.set(state.spool.segments.reduce((sum, segment) => sum + segment.committedBytes, 0));
    },
  });
  new Gauge({
    name: 'rastro_spool_oldest_seconds',
    help: 'Age of the oldest segment that is not drained yet; more than a few mean an outage.',
    registers,
    collect() {
      const [oldest] = state.spool.segments;
      this.set(oldest ? (Date.now() - oldest.createdMs) / 1_000 : 0);
    },
  });
  new Gauge({
    name: 'rastro_nats_up',
    help: 'Whether NATS has been reached since the start; clicks are served either way.',
    registers,
    collect() {
      this.set(state.isLinked() ? 1 : 0);
    },
  });
  new Gauge({
    name: 'rastro_beacons_waiting',
    help: 'Beacons whose click is not known yet.',
    registers,
    collect() {
      this.set(state.waitingBeacons());
    },
  });
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
