/** Journeys for tests: what happened to a click, with times of its own. */
import { randomUUID } from 'node:crypto';
import type { EventType, RastroEvent } from '@rastro/events';
import { sampleEvent } from '@rastro/testing';

const clickOnly: EventType[] = [
  'ClickTracked',
  'BrowserSignalsCaptured',
  'ConversionScheduled',
  'ConversionAccepted',
];
const sale: EventType[] = ['FunnelStarted', 'PaymentCreated', 'PaymentPaid', 'DeliveryViewed'];

export const newToken = (): string => randomUUID().replaceAll('-', '');

export interface JourneyOptions {
  readonly token?: string;
  /** Time of the first event; each next one is a second later. */
  readonly at?: Date;
  readonly hasSale?: boolean;
}

export function journey(options: JourneyOptions = {}): RastroEvent[] {
  const { token = newToken(), at = new Date(), hasSale = false } = options;
  return (hasSale ? [...clickOnly, ...sale] : clickOnly).map((type, second) => {
    const time = new Date(at.getTime() + second * 1_000).toISOString();
    const own =
      type === 'ClickTracked'
        ? { rootEventId: `evt_${token}`, fbclid: `click-${token}` }
        : type.startsWith('Conversion')
          ? { eventId: `evt_${token}` }
          : {};
    return sampleEvent(type, { trackingToken: token, ...own } as never, { time });
  });
}

export const tokenOf = (events: readonly RastroEvent[]): string => events[0]?.correlationid ?? '';
