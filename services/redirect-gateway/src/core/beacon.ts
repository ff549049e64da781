/** What the browser tells after the Pixel ran: read from whatever form it came in. */
import { type DataOf, type EventBody, wellFormedFbc, wellFormedFbp } from '@rastro/events';
import { addressInFbi } from './meta-cookies.ts';

export type Fields = Readonly<Record<string, unknown>>;

export interface Beacon {
  readonly trackingToken: string;
  readonly pageType: DataOf<'BrowserSignalsCaptured'>['pageType'];
  readonly fbp: string | null;
  readonly fbc: string | null;
  readonly fbi: string | null;
  /** Of the page that sent it: finds the workspace where the token is not remembered. */
  readonly slug: string | null;
}

/** A beacon with what the request that brought it says. */
export interface Captured {
  readonly beacon: Beacon;
  /** ISO 8601, UTC. */
  readonly capturedAt: string;
  readonly clientIp: string | null;
  readonly userAgent: string | null;
}

export type BeaconReading =
  | { readonly ok: true; readonly beacon: Beacon }
  | { readonly ok: false; readonly problem: string };

/** @param publicIp the address in its plain form, or null when it is no public one. */
export function readBeacon(
  fields: Fields,
  publicIp: (address: string) => string | null,
): BeaconReading {
  const token = textOf(fields['tracking_token']);
  if (token === null || !/^[0-9a-f]{32}$/.test(token))
    return refused('tracking_token must be 32 lower-case hex digits.');
  const pageType = fields['page_type'] ?? 'bridge';
  if (pageType !== 'bridge' && pageType !== 'delivery')
    return refused('page_type must be "bridge" or "delivery".');
  const fbi = textOf(fields['_fbi']);
  const beacon = {
    trackingToken: token,
    pageType,
    fbp: wellFormedFbp(textOf(fields['_fbp'])),
    fbc: wellFormedFbc(textOf(fields['_fbc'])),
    fbi: fbi === null ? null : publicIp(addressInFbi(fbi)),
    slug: textOf(fields['slug']),
  } as const;
  return { ok: true, beacon };
}

export function signalsCaptured(captured: Captured): EventBody<'BrowserSignalsCaptured'> {
  const { beacon, capturedAt, clientIp, userAgent } = captured;
  const { trackingToken, pageType, fbp, fbc, fbi } = beacon;
  return {
    type: 'BrowserSignalsCaptured',
    data: { trackingToken, pageType, capturedAt, fbp, fbc, fbi, clientIp, userAgent },
  };
}

function refused(problem: string): BeaconReading {
  return { ok: false, problem };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
