/**
 * What is known of one journey. Each event says a little (`sessionOf`), and `mergeSessions` joins
 * what was said: in any order, any number of times, the result is the same. So live events, late
 * ones and a rebuild from the log agree to the byte.
 */
import type { DataOf, RastroEvent } from '@rastro/events';
import { type ClickFacts, mergeClickFacts } from './click-facts.ts';
import { type ConversionFacts, mergeConversionFacts } from './conversion-facts.ts';
import { mergePaymentFacts, type PaymentFacts } from './payment-facts.ts';
import {
  type ById,
  earliest,
  latest,
  type Merge,
  mergeById,
  mergeFields,
  type Register,
} from './register.ts';

/** What a page's browser told us, each value the latest that was not empty. */
export interface BrowserSignals {
  readonly fbp: Register<string>;
  readonly fbc: Register<string>;
  readonly fbi: Register<string>;
  readonly clientIp: Register<string>;
  readonly userAgent: Register<string>;
}

export interface DeliveryFacts {
  readonly issued: Register<{ paymentId: string; issuedAt: string }>;
  /** The first time that somebody saw it. */
  readonly viewed: Register<{ paymentId: string; viewedAt: string }>;
}

export interface SessionState {
  readonly trackingToken: string;
  readonly workspaceId: string;
  readonly firstEventAt: string;
  readonly lastEventAt: string;
  readonly click: ClickFacts;
  readonly signals: Readonly<Record<'bridge' | 'delivery', BrowserSignals>>;
  /** The first Telegram user who came with the token. */
  readonly lead: Register<DataOf<'FunnelStarted'>>;
  readonly step: Register<{ stepId: string; reachedAt: string }>;
  readonly checkout: Register<{ checkoutId: string; productId: string; startedAt: string }>;
  readonly contact: Register<{ isBlocked: boolean; changedAt: string }>;
  readonly payments: ById<PaymentFacts>;
  readonly deliveries: ById<DeliveryFacts>;
  /** By `<pixel id>/<Meta's event id>`. */
  readonly conversions: ById<ConversionFacts>;
}

const noSignals: BrowserSignals = {
  fbp: undefined,
  fbc: undefined,
  fbi: undefined,
  clientIp: undefined,
  userAgent: undefined,
};

/** A session of which nothing is known but that it was spoken of in `event`. */
export function bareSession(event: RastroEvent, trackingToken: string): SessionState {
  return {
    trackingToken,
    workspaceId: event.workspaceid,
    firstEventAt: event.time,
    lastEventAt: event.time,
    click: undefined,
    signals: { bridge: noSignals, delivery: noSignals },
    lead: undefined,
    step: undefined,
    checkout: undefined,
    contact: undefined,
    payments: {},
    deliveries: {},
    conversions: {},
  };
}

const same: Merge<string> = (a) => a;

const mergeSignals = mergeFields<BrowserSignals>({
  fbp: latest,
  fbc: latest,
  fbi: latest,
  clientIp: latest,
  userAgent: latest,
});

/** Both have to be of the same token and workspace. */
export const mergeSessions: Merge<SessionState> = mergeFields<SessionState>({
  trackingToken: same,
  workspaceId: same,
  firstEventAt: (a, b) => (b < a ? b : a),
  lastEventAt: (a, b) => (b > a ? b : a),
  click: mergeClickFacts,
  signals: mergeFields<SessionState['signals']>({ bridge: mergeSignals, delivery: mergeSignals }),
  lead: earliest,
  step: latest,
  checkout: latest,
  contact: latest,
  payments: mergeById(mergePaymentFacts),
  deliveries: mergeById(mergeFields<DeliveryFacts>({ issued: earliest, viewed: earliest })),
  conversions: mergeById(mergeConversionFacts),
});
