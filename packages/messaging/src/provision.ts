/** Makes the server have the streams and durable consumers that the code expects. */
import type { ConsumerConfig, StreamConfig } from '@nats-io/jetstream';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { Nats } from './connection.ts';
import { streamConfigs } from './topology.ts';

/** A setting that the server cannot change on what exists; somebody has to decide. */
export class TopologyError extends Error {
  readonly code = 'TOPOLOGY_CONFLICT';

  constructor(what: string, differences: Difference[]) {
    const list = differences.map(
      (d) => `${d.setting} is ${text(d.actual)}, wanted ${text(d.wanted)}`,
    );
    super(`${what} exists with settings that cannot be changed in place: ${list.join('; ')}.`);
    this.name = 'TopologyError';
  }
}

export interface Difference {
  readonly setting: string;
  readonly actual: unknown;
  readonly wanted: unknown;
}

const immutable = new Set(['retention', 'storage', 'deliver_policy', 'ack_policy', 'durable_name']);

/** Settings of `wanted` that differ; what `wanted` does not name is the server's business. */
export function differences(wanted: object, actual: object): Difference[] {
  return Object.entries(wanted).flatMap(([setting, value]) => {
    const current = (actual as Record<string, unknown>)[setting];
    return text(current) === text(value) ? [] : [{ setting, actual: current, wanted: value }];
  });
}

const text = (value: unknown): string =>
  JSON.stringify(Array.isArray(value) ? value.map(String).sort(compare) : value) ?? 'unset';

const compare = (a: string, b: string): number => (a < b ? -1 : 1);

export const isNotFound = (error: unknown): boolean =>
  error instanceof JetStreamApiError && error.status === 404;

/** Creates or brings up to date every stream; safe to run by several services at once. */
export async function ensureStreams(nats: Nats): Promise<void> {
  for (const wanted of streamConfigs(nats.topology)) await ensureStream(nats, wanted);
}

async function ensureStream(
  nats: Nats,
  wanted: Partial<StreamConfig> & Pick<StreamConfig, 'name'>,
): Promise<void> {
  const { jsm, log } = nats;
  const info = await jsm.streams.info(wanted.name).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (!info) {
    await jsm.streams.add(wanted);
    log.info({ stream: wanted.name }, 'stream created');
    return;
  }
  const diff = differences(wanted, info.config);
  if (diff.length === 0) return;
  const fixed = diff.filter((d) => immutable.has(d.setting));
  if (fixed.length > 0) throw new TopologyError(`Stream ${wanted.name}`, fixed);
  await jsm.streams.update(wanted.name, wanted);
  log.info({ stream: wanted.name, changed: diff }, 'stream settings changed');
}

export type DurableConfig = Partial<ConsumerConfig> & Pick<ConsumerConfig, 'durable_name'>;

/** Creates or brings up to date one durable consumer, and keeps its place in the stream. */
export async function ensureConsumer(
  nats: Nats,
  stream: string,
  wanted: DurableConfig & { durable_name: string },
): Promise<void> {
  const { jsm, log } = nats;
  const consumer = wanted.durable_name;
  const info = await jsm.consumers.info(stream, consumer).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (!info) {
    await jsm.consumers.add(stream, wanted);
    log.info({ stream, consumer }, 'durable consumer created');
    return;
  }
  const diff = differences(wanted, info.config);
  if (diff.length === 0) return;
  const fixed = diff.filter((d) => immutable.has(d.setting));
  if (fixed.length > 0) throw new TopologyError(`Consumer ${consumer}`, fixed);
  await jsm.consumers.update(stream, consumer, wanted);
  log.info({ stream, consumer, changed: diff }, 'durable consumer settings changed');
}
