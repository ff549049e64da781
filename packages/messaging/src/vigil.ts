/** Notices that a consumer has gone quiet although messages wait for it. */
import type { ConsumerMessages } from '@nats-io/jetstream';
import type { Nats } from './connection.ts';

export interface Vigil {
  seen(): void;
  end(): void;
}

const checkMs = 60_000;

/** Stops `messages`, and thereby ends its loop, when the server or the client has lost the thread. */
export function keepVigil(
  nats: Nats,
  what: { stream: string; durable: string; messages: ConsumerMessages },
): Vigil {
  const { stream, durable, messages } = what;
  let hasSeen = true;
  async function check(): Promise<void> {
    const wasSeen = hasSeen;
    hasSeen = false;
    if (wasSeen) return;
    const info = await nats.jsm.consumers.info(stream, durable);
    // Messages that are delivered but not settled belong to slow handlers, not to a stall.
    if (info.num_pending === 0 || info.num_ack_pending > 0 || hasSeen) return;
    nats.log.error({ durable, pending: info.num_pending }, 'consumer has stalled; starting again');
    messages.stop();
  }
  const timer = setInterval(() => {
    check().catch(() => messages.stop());
  }, checkMs);
  timer.unref();
  void stopOnMissedHeartbeats(messages);
  return { seen: () => (hasSeen = true), end: () => clearInterval(timer) };
}

async function stopOnMissedHeartbeats(messages: ConsumerMessages): Promise<void> {
  for await (const status of messages.status()) {
    if (status.type === 'heartbeats_missed' && status.count >= 2) messages.stop();
  }
}
