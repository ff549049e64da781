/** The one file that acknowledges, delays or ends messages: everybody else returns a settlement. */
import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Nats } from './connection.ts';
import { bury, replayForHeader } from './dead-letters.ts';
import { ensureConsumer, ensureStreams } from './provision.ts';
import { retryDelayMs, type Settlement, settlementOfError } from './settlement.ts';
import { secondsToNanos, type StreamName } from './topology.ts';
import { keepVigil } from './vigil.ts';

export interface ConsumeOptions {
  readonly service: string;
  /** The durable's name is `<service>__<purpose>`. */
  readonly purpose: string;
  readonly stream: StreamName;
  readonly filterSubjects: string[];
  /** How many messages may be delivered and not settled; bounds what waits in our memory. */
  readonly prefetch: number;
  /** Resolves once there is room for more; has to call `settle` or `fail` for each message. */
  readonly accept: (message: JsMsg, settler: Settler) => Promise<void>;
  /** Resolves when all that was accepted is settled. */
  readonly idle: () => Promise<void>;
}

export interface Settler {
  settle(message: JsMsg, settlement: Settlement): Promise<void>;
  /**
   * Acknowledges without waiting for the server's word, a third of the cost. An acknowledgement
   * that gets lost delivers its message again: only for handlers to whom that makes no difference.
   */
  acknowledge(message: JsMsg): void;
  /** After a handler threw. */
  fail(message: JsMsg, error: unknown): Promise<void>;
}

/** A running subscription; disposing of it finishes what was delivered and fetches no more. */
export type Subscription = AsyncDisposable;

/** Short, so that what a killed process held comes back soon; slow handlers are kept alive below. */
const ackWaitMs = 10_000;
const maxHandlingMs = 5 * 60_000;

/**
 * Consumes until disposed of: a deleted consumer or stream, missed heartbeats or a stalled fetch
 * end one round, and the next one provisions again and goes on where the durable stands.
 */
export async function consume(nats: Nats, options: ConsumeOptions): Promise<Subscription> {
  const consumption = new Consumption(nats, options);
  await consumption.provision();
  return consumption.start();
}

class Consumption {
  readonly #nats: Nats;
  readonly #options: ConsumeOptions;
  readonly #durable: string;
  readonly #stopping = new AbortController();
  readonly #inFlight = new Map<JsMsg, number>();
  #messages: ConsumerMessages | undefined;

  constructor(nats: Nats, options: ConsumeOptions) {
    this.#nats = nats;
    this.#options = options;
    this.#durable = `${options.service}__${options.purpose}`;
  }

  async provision(): Promise<void> {
    const { stream, filterSubjects, prefetch } = this.#options;
    await ensureStreams(this.#nats);
    await ensureConsumer(this.#nats, stream, {
      durable_name: this.#durable,
      ack_policy: 'explicit',
      deliver_policy: 'all',
      filter_subjects: filterSubjects,
      // No `backoff`: its first entry would silently replace ack_wait.
      ack_wait: secondsToNanos(ackWaitMs / 1_000),
      max_deliver: -1,
      max_ack_pending: prefetch * 4,
    });
  }

  start(): Subscription {
    const keepAlive = setInterval(() => extend(this.#inFlight), ackWaitMs / 2);
    keepAlive.unref();
    const running = this.#loop();
    return {
      [Symbol.asyncDispose]: async () => {
        this.#stopping.abort();
        this.#messages?.stop();
        await running;
        await this.#options.idle();
        clearInterval(keepAlive);
      },
    };
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping;
    const { log } = this.#nats;
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        if (failures > 0) await this.provision();
        await this.#round();
        failures = 0;
      } catch (error) {
        log.warn({ err: error, durable: this.#durable }, 'consuming was interrupted; trying again');
      }
      if (signal.aborted) return;
      await delay(retryDelayMs(failures + 1, Math.random()), undefined, { signal }).catch(() => {});
    }
  }

  async #round(): Promise<void> {
    const { stream, prefetch, service, accept } = this.#options;
    const settler = createSettler(this.#nats, service, this.#inFlight);
    const consumer = await this.#nats.js.consumers.get(stream, this.#durable);
    const messages = await consumer.consume({
      max_messages: prefetch,
      abort_on_missing_resource: true,
      // A consumer that is gone without a word is noticed after two missed heartbeats.
      idle_heartbeat: 5_000,
    });
    this.#messages = messages;
    if (this.#stopping.signal.aborted) messages.stop();
    const vigil = keepVigil(this.#nats, { stream, durable: this.#durable, messages });
    try {
      for await (const message of messages) {
        vigil.seen();
        const replayFor = message.headers?.get(replayForHeader);
        if (replayFor && replayFor !== this.#durable) message.ack();
        else {
          this.#inFlight.set(message, Date.now());
          await accept(message, settler);
        }
      }
    } finally {
      vigil.end();
    }
  }
}

function createSettler(nats: Nats, service: string, inFlight: Map<JsMsg, number>): Settler {
  async function settle(message: JsMsg, settlement: Settlement): Promise<void> {
    try {
      if (settlement === 'ack') await message.ackAck();
      else if ('retryInMs' in settlement) message.nak(settlement.retryInMs);
      else {
        await bury(nats, service, message, settlement.deadLetter);
        message.term();
        nats.log.error({ subject: message.subject, reason: settlement.deadLetter }, 'dead letter');
      }
    } catch (error) {
      // Not settled means delivered again, and handlers are idempotent.
      nats.log.warn({ err: error, subject: message.subject }, 'a message could not be settled');
    } finally {
      inFlight.delete(message);
    }
  }
  function acknowledge(message: JsMsg): void {
    message.ack();
    inFlight.delete(message);
  }
  async function fail(message: JsMsg, error: unknown): Promise<void> {
    const deliveries = message.info.deliveryCount;
    const settlement = settlementOfError(error, deliveries, Math.random());
    nats.log.warn(
      { err: error, subject: message.subject, deliveries, settlement },
      'handling failed',
    );
    await settle(message, settlement);
  }
  return { settle, acknowledge, fail };
}

/** Tells the server that slow handlers are alive, up to a cap after which it may redeliver. */
function extend(inFlight: Map<JsMsg, number>): void {
  const now = Date.now();
  for (const [message, since] of inFlight) {
    if (now - since < maxHandlingMs) message.working();
  }
}
