/** The events of one journey, fit to be shown. */
import type { RastroEvent, ReplyOf, trackingGet } from '@rastro/events';

export type TrackingAnswer = ReplyOf<typeof trackingGet>;
export type JourneyEntry = TrackingAnswer['journey'][number];

/** Whoever has one of these can act with it: open a delivery, speak for a bot. */
const secretNames =
  /^(deliveryToken|token|accessToken|access_token|apiKey|api_key|secret|webhookSecret|password)$/i;

export const mask = '[masked]';

export function journeyEntry({ id, type, time, source, data }: RastroEvent): JourneyEntry {
  return { id, type, time, source, data: masked(data) as JourneyEntry['data'] };
}

/** A copy in which every string under a secret's name is hidden, however deep. */
function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      typeof inner === 'string' && secretNames.test(name) ? mask : masked(inner),
    ]),
  );
}
