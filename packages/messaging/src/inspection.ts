/** What the server has, beside what the code expects; looks and changes nothing. */
import type { Nats } from './connection.ts';
import { Catalog, parseCatalogEntry } from './catalog.ts';
import { type Difference, differences, isNotFound } from './provision.ts';
import { streamConfigs, type StreamName } from './topology.ts';

export interface StreamReport {
  readonly stream: string;
  readonly isThere: boolean;
  /** From what `ensureStreams` would make of it. */
  readonly differences: readonly Difference[];
  readonly messages: number;
}

export async function inspectStreams(nats: Nats): Promise<StreamReport[]> {
  const reports: StreamReport[] = [];
  for (const wanted of streamConfigs(nats.topology)) {
    const info = await orNothing(nats.jsm.streams.info(wanted.name));
    reports.push({
      stream: wanted.name,
      isThere: info !== undefined,
      differences: info ? differences(wanted, info.config) : [],
      messages: info?.state.messages ?? 0,
    });
  }
  return reports;
}

export interface ConsumerReport {
  /** Requests for messages that wait at the server: somebody is there to take the next one. */
  readonly pulls: number;
  /** Not delivered yet. */
  readonly pending: number;
  /** Delivered and not settled. */
  readonly underWay: number;
  /** Of those, delivered more than once. */
  readonly redelivered: number;
  /** Unix milliseconds of the last delivery or acknowledgement; null where there was none. */
  readonly lastActiveMs: number | null;
}

/** @returns null where there is no such durable consumer, or no such stream. */
export async function inspectConsumer(
  nats: Nats,
  stream: StreamName,
  durable: string,
): Promise<ConsumerReport | null> {
  const info = await orNothing(nats.jsm.consumers.info(stream, durable));
  if (!info) return null;
  const { delivered, ack_floor: ackFloor } = info;
  const times = [delivered, ackFloor].flatMap(({ last_active: at }) =>
    at === undefined ? [] : new Date(String(at)).getTime(),
  );
  return {
    pulls: info.num_waiting,
    pending: info.num_pending,
    underWay: info.num_ack_pending,
    redelivered: info.num_redelivered,
    lastActiveMs: times.length === 0 ? null : Math.max(...times),
  };
}

/** The catalog as it stands now; empty where there is no stream of it. */
export async function readCatalog(nats: Nats): Promise<Catalog> {
  const catalog = new Catalog();
  const stream: StreamName = 'CATALOG';
  if (!(await orNothing(nats.jsm.streams.info(stream)))) return catalog;
  const consumer = await nats.js.consumers.get(stream);
  if ((await consumer.info()).num_pending > 0) {
    for await (const message of await consumer.consume({ max_messages: 500 })) {
      const entry = parseCatalogEntry(message.string());
      if (entry) catalog.apply(entry);
      if (message.info.pending === 0) break;
    }
  }
  await consumer.delete();
  return catalog;
}

async function orNothing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
