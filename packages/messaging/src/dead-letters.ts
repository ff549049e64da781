/** Messages that nobody could handle, put aside with the reason and everything needed to replay. */
import type { JsMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { deadLetterSubject } from '@rastro/events';
import type { Nats } from './connection.ts';

const header = {
  reason: 'x-dead-letter-reason',
  consumer: 'x-dead-letter-consumer',
  subject: 'x-original-subject',
  stream: 'x-original-stream',
  sequence: 'x-original-sequence',
  deliveries: 'x-delivery-count',
} as const;

/** A replayed message is meant for the one consumer that failed; the others pass it by. */
export const replayForHeader = 'x-replay-for';

export interface DeadLetter {
  /** Sequence in stream DEAD: what `rastro dead replay` takes. */
  readonly sequence: number;
  readonly time: string;
  readonly subject: string;
  readonly reason: string;
  readonly consumer: string;
  readonly originalSubject: string;
  readonly deliveries: number;
  readonly body: string;
}

/** Resolves once stream DEAD has it; only then may the original be terminated. */
export async function bury(
  nats: Nats,
  service: string,
  message: JsMsg,
  reason: string,
): Promise<void> {
  const { info } = message;
  const type = message.subject.split('.').at(-1) ?? 'unknown';
  // Nats-* headers are not copied: a copied Nats-Msg-Id would let the server drop the copy.
  const h = headers();
  h.set(header.reason, printable(reason));
  h.set(header.consumer, info.consumer);
  h.set(header.subject, message.subject);
  h.set(header.stream, info.stream);
  h.set(header.sequence, String(info.streamSequence));
  h.set(header.deliveries, String(info.deliveryCount));
  await nats.js.publish(deadLetterSubject(service, type), message.data, {
    headers: h,
    msgID: `${info.consumer}:${info.stream}:${info.streamSequence}`,
    retries: 3,
    timeout: 2_000,
  });
}

/** Header values may hold neither line breaks nor control characters. */
const printable = (value: string): string =>
  value.replaceAll(/[^\x20-\x7e\xa0-\uffff]+/g, ' ').slice(0, 1_000);

/** All dead letters that are still kept, oldest first, at most `limit`. */
export async function listDeadLetters(nats: Nats, limit = 1_000): Promise<DeadLetter[]> {
  const { jsm } = nats;
  const { state } = await jsm.streams.info('DEAD');
  const letters: DeadLetter[] = [];
  // An empty stream says that its first message is number 0.
  for (
    let seq = Math.max(state.first_seq, 1);
    seq <= state.last_seq && letters.length < limit;
    seq += 1
  ) {
    const stored = await jsm.streams.getMessage('DEAD', { seq });
    if (!stored) continue;
    const of = (name: string): string => stored.header.get(name);
    letters.push({
      sequence: seq,
      time: stored.time.toISOString(),
      subject: stored.subject,
      reason: of(header.reason),
      consumer: of(header.consumer),
      originalSubject: of(header.subject),
      deliveries: Number(of(header.deliveries)),
      body: stored.string(),
    });
  }
  return letters;
}

/** Gives one dead letter back to the consumer that failed on it, and takes it out of the list. */
export async function replayDeadLetter(nats: Nats, letter: DeadLetter): Promise<void> {
  const h = headers();
  h.set(replayForHeader, letter.consumer);
  await nats.js.publish(letter.originalSubject, letter.body, {
    headers: h,
    msgID: `replay:${letter.sequence}:${letter.time}`,
    retries: 3,
    timeout: 2_000,
  });
  await nats.jsm.streams.deleteMessage('DEAD', letter.sequence);
}
