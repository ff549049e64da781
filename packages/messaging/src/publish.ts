/** Publishing that is done only once the server says so. */
import { eventSubject, type RastroEvent } from '@rastro/events';
import type { Nats } from './connection.ts';

/**
 * Resolves once JetStream has stored the event under its id, or already had it. A rejection means
 * "unknown", never "not sent": keep the event and publish it again, the id makes it one.
 */
export async function publishEvent(nats: Nats, event: RastroEvent): Promise<void> {
  await publishJson(nats, { subject: eventSubject(event), id: event.id, body: event });
}

export interface Publication {
  readonly subject: string;
  /** `Nats-Msg-Id`: the server stores one message per id within the stream's window. */
  readonly id: string;
  readonly body: unknown;
}

/** The same for messages that are not events: catalog entries, Telegram updates. */
export async function publishJson(nats: Nats, { subject, id, body }: Publication): Promise<void> {
  await storeOne(nats, { subject, id, payload: JSON.stringify(body) });
}

/** A message as it will be stored. */
export interface RawPublication {
  readonly subject: string;
  /** `Nats-Msg-Id`. */
  readonly id: string;
  readonly payload: Uint8Array | string;
}

export async function storeOne(nats: Nats, message: RawPublication): Promise<void> {
  const { subject, id, payload } = message;
  await nats.js.publish(subject, payload, { msgID: id, retries: 3, timeout: 2_000 });
}
