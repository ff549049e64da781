/** A log as a busy month leaves it, written straight into the table: for benchmarks. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EventType, RastroEvent } from '@rastro/events';
import { newId, type Sql } from '@rastro/runtime';
import { sampleEvent } from '@rastro/testing';

/** What follows each click, and what follows each thirtieth of them. */
const always: EventType[] = [
  'ClickTracked',
  'BrowserSignalsCaptured',
  'ConversionScheduled',
  'ConversionAccepted',
];
const sometimes: EventType[] = [
  'FunnelStarted',
  'FunnelStepReached',
  'CheckoutStarted',
  'PaymentCreated',
  'MessageSent',
  'PaymentPaid',
  'DeliveryIssued',
  'DeliveryViewed',
];
const clicksPerSale = 30;
const clicksAtOnce = 500;
const spacingMs = 20;

/** At least as many events as asked for, of whole journeys, mixed as they arrive. */
export async function seedLog(sql: Sql, events: number): Promise<number> {
  const samples = new Map([...always, ...sometimes].map((type) => [type, sampleEvent(type)]));
  let count = 0;
  const begin = Date.now() - events * spacingMs;
  function* lines(): Generator<string> {
    for (let click = 0; count < events;) {
      const arrivals: { at: number; event: RastroEvent }[] = [];
      for (let i = 0; i < clicksAtOnce; i += 1, click += 1) {
        const types = click % clicksPerSale === 0 ? [...always, ...sometimes] : always;
        const token = randomBytes(16).toString('hex');
        for (const [step, type] of types.entries()) {
          const at = begin + count * spacingMs + step * 900;
          arrivals.push({ at, event: eventOf(samples.get(type), token, at) });
        }
        count += types.length;
      }
      arrivals.sort((a, b) => a.at - b.at);
      yield arrivals.map(({ event }) => lineOf(event)).join('');
    }
  }
  const copy = await sql`
    copy event_log (event_id, time, workspace_id, type, tracking_token, event) from stdin`.writable();
  await pipeline(Readable.from(lines()), copy);
  await sql`analyze event_log`;
  return count;
}

function eventOf(sample: RastroEvent | undefined, token: string, at: number): RastroEvent {
  if (!sample) throw new Error('a type without a sample');
  const time = new Date(at).toISOString();
  const own = sample.data as Record<string, unknown>;
  const ids = Object.keys(own).filter((name) =>
    /^(payment|delivery|conversion|lead)Id$/.test(name),
  );
  const data: Record<string, unknown> = { ...own, trackingToken: token };
  // The same within a journey, another one in each.
  for (const name of ids) if (own[name] !== null) data[name] = uuidOf(name, token);
  if ('rootEventId' in own) data['rootEventId'] = `evt_${token}`;
  if (own['eventName'] === 'PageView') data['eventId'] = `evt_${token}`;
  if ('fbclid' in own) data['fbclid'] = `IwAR2F4-${token}-${token}`;
  return {
    ...sample,
    id: newId(),
    time,
    subject: token,
    correlationid: token,
    data,
  } as RastroEvent;
}

const uuidOf = (name: string, token: string): string =>
  `${name.length.toString(16).padStart(8, '0')}-${token.slice(0, 4)}-7${token.slice(4, 7)}-8${token.slice(7, 10)}-${token.slice(10, 22)}`;

function lineOf(event: RastroEvent): string {
  const json = JSON.stringify(event).replaceAll('\\', '\\\\');
  return `${[event.id, event.time, event.workspaceid, event.type, event.subject, json].join('\t')}\n`;
}
