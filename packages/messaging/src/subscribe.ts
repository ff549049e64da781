/** From messages to typed events: one by one in order per key, or in batches. */
import type { JsMsg } from '@nats-io/jetstream';
import {
  type Decoded,
  eventFilter,
  type EventType,
  parseEvent,
  type RastroEvent,
} from '@rastro/events';
import type { Nats } from './connection.ts';
import { consume, type Settler, type Subscription } from './consume.ts';
import { Lanes } from './lanes.ts';
import type { Settlement } from './settlement.ts';
import type { StreamName } from './topology.ts';

export interface SubscribeOptions<T extends EventType> {
  readonly service: string;
  readonly purpose: string;
  readonly stream: StreamName;
  readonly types: readonly T[];
  /** Events handled at the same time; those of one correlation id never are. */
  readonly concurrency?: number;
  readonly handle: (event: RastroEvent<T>) => Promise<Settlement>;
}

/** Events of one journey are handled in order, journeys in parallel. */
export function subscribe<T extends EventType>(
  nats: Nats,
  options: SubscribeOptions<T>,
): Promise<Subscription> {
  const { handle, types, ...rest } = options;
  return subscribeRaw(nats, {
    ...rest,
    filterSubjects: types.map(eventFilter),
    parse: (text) => parseEvent(text) as Decoded<RastroEvent<T>>,
    keyOf: (event) => event.correlationid,
    handle,
  });
}

export interface SubscribeRawOptions<T> {
  readonly service: string;
  readonly purpose: string;
  readonly stream: StreamName;
  readonly filterSubjects: string[];
  readonly concurrency?: number;
  readonly parse: (text: string) => Decoded<T>;
  readonly keyOf: (value: T) => string;
  readonly handle: (value: T) => Promise<Settlement>;
}

/** The same for messages that are no events. A message that cannot be read is a dead letter. */
export function subscribeRaw<T>(
  nats: Nats,
  options: SubscribeRawOptions<T>,
): Promise<Subscription> {
  const {
    service,
    purpose,
    stream,
    filterSubjects,
    parse,
    keyOf,
    handle,
    concurrency = 16,
  } = options;
  const lanes = new Lanes(concurrency);
  async function accept(message: JsMsg, settler: Settler): Promise<void> {
    const decoded = parse(message.string());
    if (!decoded.ok) return settler.settle(message, { deadLetter: decoded.problem });
    await lanes.accept(keyOf(decoded.value), async () => {
      try {
        await settler.settle(message, await handle(decoded.value));
      } catch (error) {
        await settler.fail(message, error);
      }
    });
  }
  const prefetch = concurrency * 4;
  return consume(nats, {
    service,
    purpose,
    stream,
    filterSubjects,
    prefetch,
    accept,
    idle: () => lanes.idle(),
  });
}

/**
 * Settlements of what of a batch is not simply acknowledged, by id; with an `error`, what becomes of
 * a message whose handling threw.
 */
export type BatchExceptions = ReadonlyMap<string, Settlement | { readonly error: unknown }>;

interface BatchOptions<T> {
  readonly service: string;
  readonly purpose: string;
  readonly stream: StreamName;
  readonly filterSubjects: string[];
  readonly maxBatch: number;
  /** How long the first message of a batch may wait for others. */
  readonly lingerMs: number;
  /**
   * A throw delivers the whole batch again; otherwise every message is acknowledged but those, by
   * id, for which another settlement is returned. Acknowledgements are not waited for, so a message
   * that was handled may come again.
   */
  readonly handle: (values: T[]) => Promise<BatchExceptions | void>;
}

export type SubscribeBatchOptions = BatchOptions<RastroEvent>;

/** For projectors: many events in one transaction, acknowledged after its commit. */
export function subscribeBatch(nats: Nats, options: SubscribeBatchOptions): Promise<Subscription> {
  return subscribeRawBatch(nats, { ...options, parse: parseEvent, idOf: ({ id }) => id });
}

export interface SubscribeRawBatchOptions<T> extends BatchOptions<T> {
  readonly parse: (text: string) => Decoded<T>;
  readonly idOf: (value: T) => string;
}

/** The same for messages that are no events. A message that cannot be read is a dead letter. */
export function subscribeRawBatch<T>(
  nats: Nats,
  options: SubscribeRawBatchOptions<T>,
): Promise<Subscription> {
  const { service, purpose, stream, filterSubjects, maxBatch, lingerMs } = options;
  const { parse, idOf, handle } = options;
  let batch: { message: JsMsg; value: T }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> = Promise.resolve();

  async function flush(settler: Settler): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const taken = batch;
    batch = [];
    if (taken.length === 0) return;
    try {
      const exceptions = await handle(taken.map(({ value }) => value));
      for (const { message, value } of taken) {
        const exception = exceptions?.get(idOf(value));
        if (exception === undefined) settler.acknowledge(message);
        else if (typeof exception === 'object' && 'error' in exception) {
          await settler.fail(message, exception.error);
        } else await settler.settle(message, exception);
      }
    } catch (error) {
      await Promise.all(taken.map(({ message }) => settler.fail(message, error)));
    }
  }
  const scheduleFlush = (settler: Settler): Promise<void> =>
    (flushing = flushing.then(() => flush(settler)));

  async function accept(message: JsMsg, settler: Settler): Promise<void> {
    const decoded = parse(message.string());
    if (!decoded.ok) return settler.settle(message, { deadLetter: decoded.problem });
    batch.push({ message, value: decoded.value });
    if (batch.length >= maxBatch) await scheduleFlush(settler);
    else timer ??= setTimeout(() => void scheduleFlush(settler), lingerMs);
  }
  async function idle(): Promise<void> {
    // A pending linger timer fires within lingerMs; waiting for it keeps one way to flush.
    while (batch.length > 0) await new Promise((resolve) => setTimeout(resolve, lingerMs));
    await flushing;
  }
  return consume(nats, {
    service,
    purpose,
    stream,
    filterSubjects,
    prefetch: maxBatch * 2,
    accept,
    idle,
  });
}
