/** Many messages for one stream, stored together: one acknowledgement instead of one each. */
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { eventStream, eventSubject, type RastroEvent } from '@rastro/events';
import type { Nats } from './connection.ts';
import { type RawPublication, storeOne } from './publish.ts';
import { isOutage } from './settlement.ts';

/** The server takes at most 1,000 messages in an atomic batch. */
const maxBatch = 1_000;
const answerWithinMs = 2_000;
/** Of those that go one by one, so that the server's answers do not pile up. */
const maxInFlight = 256;

/**
 * Resolves once JetStream has all of them, each under its id, however often they are told. They
 * go as one atomic batch; where the server refuses that (one of them is there already, or the
 * stream takes no batches) they go one by one.
 * @throws when the outcome of some is unknown: publish all of them again.
 * @see https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md
 */
export async function publishAll(
  nats: Nats,
  publications: readonly RawPublication[],
): Promise<void> {
  for (let at = 0; at < publications.length; at += maxBatch) {
    const part = publications.slice(at, at + maxBatch);
    if (part.length === 1 || !(await isBatchStored(nats, part))) await publishEach(nats, part);
  }
}

/**
 * Events together, as what one transaction recorded. Where they cannot be stored together, those of
 * one journey follow each other, since a repeated publish may be overtaken.
 * @throws when the outcome of some is unknown: publish all of them again.
 */
export async function publishEvents(nats: Nats, events: readonly RastroEvent[]): Promise<void> {
  const byStream = Map.groupBy(events, ({ type }) => eventStream(type));
  for (const list of byStream.values()) {
    for (let at = 0; at < list.length; at += maxBatch) {
      const part = list.slice(at, at + maxBatch);
      if (part.length > 1 && (await isBatchStored(nats, part.map(publicationOf)))) continue;
      await publishByJourney(nats, part);
    }
  }
}

function publicationOf(event: RastroEvent): RawPublication {
  return { subject: eventSubject(event), id: event.id, payload: JSON.stringify(event) };
}

async function publishByJourney(nats: Nats, events: readonly RastroEvent[]): Promise<void> {
  const journeys = Map.groupBy(events, ({ correlationid }) => correlationid);
  const results = await Promise.allSettled(
    [...journeys.values()].map(async (journey) => {
      for (const event of journey) await storeOne(nats, publicationOf(event));
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * False where the server refused it, of which it then has stored nothing.
 * @throws when there was no answer: it may have been stored.
 */
async function isBatchStored(nats: Nats, part: readonly RawPublication[]): Promise<boolean> {
  const [first, ...rest] = part;
  const last = rest.pop();
  if (!first || !last) return false;
  try {
    const { js } = nats;
    const timeout = answerWithinMs;
    const opening = { headers: headersOf(first), timeout };
    const batch = await js.startBatch(first.subject, first.payload, opening);
    for (const message of rest)
      batch.add(message.subject, message.payload, { headers: headersOf(message) });
    await batch.commit(last.subject, last.payload, { headers: headersOf(last), timeout });
    return true;
  } catch (error) {
    if (isOutage(error)) throw error;
    nats.log.debug({ err: error, messages: part.length }, 'a batch was not stored; one by one');
    return false;
  }
}

function headersOf({ id }: RawPublication): MsgHdrs {
  const h = headers();
  h.set('Nats-Msg-Id', id);
  return h;
}

async function publishEach(nats: Nats, part: readonly RawPublication[]): Promise<void> {
  for (let at = 0; at < part.length; at += maxInFlight) {
    const slice = part.slice(at, at + maxInFlight);
    // All are waited for, so that none goes on behind our back.
    const results = await Promise.allSettled(slice.map((message) => storeOne(nats, message)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}
