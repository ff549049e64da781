/**
 * What is known about the person behind one click. Events may come in any order and more than
 * once: each field keeps the value that was observed last, so the order of arrival changes nothing.
 */
import type { DataOf } from '@rastro/events';

/** A value and when it was observed, in epoch milliseconds. */
export interface Seen {
  readonly value: string;
  readonly atMs: number;
}

export interface Signals {
  readonly fbp: Seen | null;
  readonly fbc: Seen | null;
  readonly clientIp: Seen | null;
  readonly userAgent: Seen | null;
}

export type Click = Pick<
  DataOf<'ClickTracked'>,
  | 'rootEventId'
  | 'poolId'
  | 'botId'
  | 'pixelId'
  | 'landingUrl'
  | 'fbclid'
  | 'fbc'
  | 'fbp'
  | 'externalIds'
  | 'clientIp'
  | 'userAgent'
  | 'trafficClass'
  | 'consent'
> & { readonly clickedAtMs: number };

export interface Journey {
  readonly click: Click | null;
  /** From the bridge page; null until its beacon arrived. */
  readonly bridge: Signals | null;
  readonly delivery: Signals | null;
  /** SHA-256 of the Telegram user id, from `/start` on. */
  readonly telegramExternalId: Seen | null;
}

export const initialJourney: Journey = {
  click: null,
  bridge: null,
  delivery: null,
  telegramExternalId: null,
};

export type JourneyEvent = {
  [T in 'ClickTracked' | 'BrowserSignalsCaptured' | 'FunnelStarted']: {
    readonly type: T;
    readonly data: DataOf<T>;
  };
}['ClickTracked' | 'BrowserSignalsCaptured' | 'FunnelStarted'];

/** @param atMs when it happened: `clickedAt`, `capturedAt` or `startedAt`. */
export function evolveJourney(journey: Journey, event: JourneyEvent, atMs: number): Journey {
  switch (event.type) {
    case 'ClickTracked':
      return journey.click ? journey : { ...journey, click: clickOf(event.data, atMs) };
    case 'BrowserSignalsCaptured': {
      const { pageType } = event.data;
      const signals = mergeSignals(journey[pageType], signalsOf(event.data, atMs));
      return { ...journey, [pageType]: signals };
    }
    case 'FunnelStarted': {
      const seen = { value: event.data.externalId, atMs };
      return { ...journey, telegramExternalId: fresher(journey.telegramExternalId, seen) };
    }
  }
}

function clickOf(data: DataOf<'ClickTracked'>, clickedAtMs: number): Click {
  return {
    rootEventId: data.rootEventId,
    poolId: data.poolId,
    botId: data.botId,
    pixelId: data.pixelId,
    clickedAtMs,
    landingUrl: data.landingUrl,
    fbclid: data.fbclid,
    fbc: data.fbc,
    fbp: data.fbp,
    externalIds: data.externalIds,
    clientIp: data.clientIp,
    userAgent: data.userAgent,
    trafficClass: data.trafficClass,
    consent: data.consent,
  };
}

type SignalValues = Readonly<Record<keyof Signals, string | null>>;

/** An empty text says as little as null. */
export function signalsOf(values: SignalValues, atMs: number): Signals {
  const seen = (value: string | null): Seen | null => (value ? { value, atMs } : null);
  return {
    fbp: seen(values.fbp),
    fbc: seen(values.fbc),
    clientIp: seen(values.clientIp),
    userAgent: seen(values.userAgent),
  };
}

function mergeSignals(known: Signals | null, added: Signals): Signals {
  if (!known) return added;
  return {
    fbp: fresher(known.fbp, added.fbp),
    fbc: fresher(known.fbc, added.fbc),
    clientIp: fresher(known.clientIp, added.clientIp),
    userAgent: fresher(known.userAgent, added.userAgent),
  };
}

/** The one observed last; of two at the same instant always the same one, whichever came first. */
export function fresher(one: Seen | null, other: Seen | null): Seen | null {
  if (!one || !other) return one ?? other;
  if (one.atMs !== other.atMs) return one.atMs > other.atMs ? one : other;
  return one.value >= other.value ? one : other;
}
