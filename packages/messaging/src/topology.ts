/** The streams of the house, one per class of durability, as data. */
import type { StreamConfig } from '@nats-io/jetstream';

export type StreamName = 'TRAFFIC' | 'COMMERCE' | 'CATALOG' | 'UPDATES' | 'DEAD';

export interface TopologyOptions {
  /** 1, or 3 on a cluster. */
  readonly replicas: number;
  /** Bound of TRAFFIC and of COMMERCE each; a full stream refuses, it never forgets silently. */
  readonly maxBytes: number;
}

export const defaultTopology: TopologyOptions = { replicas: 1, maxBytes: 2 * 1024 ** 3 };

const nanosPerSecond = 1_000_000_000;
export const secondsToNanos = (seconds: number): number => seconds * nanosPerSecond;
const hours = (count: number): number => secondsToNanos(count * 3_600);
const days = (count: number): number => hours(count * 24);

type StreamSettings = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'subjects'>;

/** @see https://docs.nats.io/nats-concepts/jetstream/streams for the meaning of each setting. */
export function streamConfigs({ replicas, maxBytes }: TopologyOptions): StreamSettings[] {
  const common = {
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    num_replicas: replicas,
    max_msg_size: 256 * 1024,
    allow_direct: true,
  } as const;
  return [
    {
      ...common,
      name: 'TRAFFIC',
      subjects: ['events.*.click.>', 'events.*.session.>'],
      max_age: days(30),
      max_bytes: maxBytes,
      duplicate_window: hours(1),
      // The gateway's log is carried in batches: publish-all.ts.
      allow_atomic: true,
    },
    {
      ...common,
      name: 'COMMERCE',
      subjects: ['lead', 'payment', 'delivery', 'conversion', 'bot', 'pixel'].map(
        (a) => `events.*.${a}.>`,
      ),
      max_bytes: maxBytes,
      duplicate_window: hours(24),
      deny_delete: true,
      // What a transaction recorded is published together.
      allow_atomic: true,
    },
    {
      ...common,
      name: 'CATALOG',
      subjects: ['catalog.>'],
      max_msgs_per_subject: 1,
      // The newest state of each entry replaces the one before it.
      discard: 'old',
      max_bytes: 256 * 1024 ** 2,
      duplicate_window: secondsToNanos(120),
    },
    {
      ...common,
      name: 'UPDATES',
      subjects: ['telegram.>'],
      max_age: days(2),
      max_bytes: maxBytes / 2,
      duplicate_window: hours(24),
    },
    {
      ...common,
      name: 'DEAD',
      subjects: ['dead.>'],
      max_age: days(90),
      discard: 'old',
      max_bytes: 256 * 1024 ** 2,
      duplicate_window: hours(24),
    },
  ];
}
