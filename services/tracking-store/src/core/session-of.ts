/** What one event says of its journey. */
import { type DataOf, type EventType, type RastroEvent, trackingTokenOf } from '@rastro/events';
import { type ConversionFacts, noConversionFacts } from './conversion-facts.ts';
import { noPaymentFacts, type PaymentFacts } from './payment-facts.ts';
import type { Register, Stamped } from './register.ts';
import { bareSession, type BrowserSignals, type SessionState } from './session.ts';

/** Null for an event that belongs to no journey: a bot's, a pixel's, an organic customer's. */
export function sessionOf(event: RastroEvent): SessionState | null {
  const trackingToken = trackingTokenOf(event);
  if (trackingToken === null) return null;
  const bare = bareSession(event, trackingToken);
  return { ...bare, ...newsOf(event, stampOf(event)) };
}

type Stamp = <T>(value: T) => Stamped<T>;

const stampOf = (event: RastroEvent): Stamp => {
  const at = `${event.time}/${event.id}`;
  return (value) => ({ at, value });
};

function newsOf(event: RastroEvent, stamp: Stamp): Partial<SessionState> {
  switch (event.type) {
    case 'ClickTracked':
      return { click: stamp(event.data) };
    case 'BrowserSignalsCaptured':
      return { signals: signalsOf(event.data.pageType, event.data, stamp) };
    case 'FunnelStarted':
      return { lead: stamp(event.data) };
    case 'FunnelStepReached': {
      const { stepId, reachedAt } = event.data;
      return { step: stamp({ stepId, reachedAt }) };
    }
    case 'CheckoutStarted': {
      const { checkoutId, productId, startedAt } = event.data;
      return { checkout: stamp({ checkoutId, productId, startedAt }) };
    }
    case 'ContactBlocked': {
      const { isBlocked, changedAt } = event.data;
      return { contact: stamp({ isBlocked, changedAt }) };
    }
    case 'PaymentCreated':
    case 'PaymentPaid':
    case 'PaymentExpired':
    case 'PaymentRefused':
    case 'PaymentRefunded':
    case 'PaymentDisputed':
    case 'PaymentChargedBack':
      return { payments: { [event.data.paymentId]: paymentFactsOf(event, stamp) } };
    case 'DeliveryIssued': {
      const { deliveryId, paymentId, issuedAt } = event.data;
      const issued = stamp({ paymentId, issuedAt });
      return { deliveries: { [deliveryId]: { issued, viewed: undefined } } };
    }
    case 'DeliveryViewed': {
      const { deliveryId, paymentId, viewedAt } = event.data;
      const viewed = stamp({ paymentId, viewedAt });
      return {
        deliveries: { [deliveryId]: { issued: undefined, viewed } },
        signals: signalsOf('delivery', event.data, stamp),
      };
    }
    case 'ConversionScheduled':
    case 'ConversionAccepted':
    case 'ConversionRejected':
    case 'ConversionUnconfirmed': {
      const { pixelId, eventId } = event.data;
      return { conversions: { [`${pixelId}/${eventId}`]: conversionFactsOf(event, stamp) } };
    }
    case 'MessageSent':
    case 'MessageFailed':
    case 'ErasureRequested':
    case 'ClickRefused':
    case 'PixelParked':
    case 'PixelResumed':
    case 'BotHealthChanged':
      return {};
  }
}

type Told = Partial<Record<keyof BrowserSignals, string | null>>;

function signalsOf(page: 'bridge' | 'delivery', told: Told, stamp: Stamp): SessionState['signals'] {
  const known = (value: string | null | undefined): Register<string> =>
    value ? stamp(value) : undefined;
  const all = (from: Told): BrowserSignals => ({
    fbp: known(from.fbp),
    fbc: known(from.fbc),
    fbi: known(from.fbi),
    clientIp: known(from.clientIp),
    userAgent: known(from.userAgent),
  });
  return {
    bridge: all(page === 'bridge' ? told : {}),
    delivery: all(page === 'delivery' ? told : {}),
  };
}

type EventOf<T extends EventType> = Extract<RastroEvent, { type: T }>;
type PaymentEvent = EventOf<Extract<EventType, `Payment${string}`>>;
type ConversionEvent = EventOf<Extract<EventType, `Conversion${string}`>>;

function paymentFactsOf(event: PaymentEvent, stamp: Stamp): PaymentFacts {
  const { checkoutId, productId, productName, amountCents, currency } = event.data;
  const about = stamp({ checkoutId, productId, productName, amountCents, currency });
  return { ...noPaymentFacts, about, ...paymentNews(event, stamp) };
}

function paymentNews(event: PaymentEvent, stamp: Stamp): Partial<PaymentFacts> {
  switch (event.type) {
    case 'PaymentCreated': {
      const { createdAt, expiresAt, gateway } = event.data;
      return { created: stamp({ createdAt, expiresAt, gateway }) };
    }
    case 'PaymentPaid': {
      const { paidAt, isLate } = event.data;
      return { paid: stamp({ paidAt, isLate }) };
    }
    case 'PaymentExpired':
      return { expired: stamp({ expiredAt: event.data.expiredAt }) };
    case 'PaymentRefused': {
      const { refusedAt, reason } = event.data;
      return { refused: stamp({ refusedAt, reason }) };
    }
    case 'PaymentRefunded': {
      const { refundedAt, totalRefundedCents, isPartial } = event.data;
      return { refunded: stamp({ refundedAt, totalRefundedCents, isPartial }) };
    }
    case 'PaymentDisputed': {
      const { disputedAt, isOpen } = event.data;
      return { disputed: stamp({ disputedAt, isOpen }) };
    }
    case 'PaymentChargedBack':
      return { chargedBack: stamp({ chargedBackAt: event.data.chargedBackAt }) };
  }
}

function conversionFactsOf(event: ConversionEvent, stamp: Stamp): ConversionFacts {
  const { eventName, eventId, pixelId, paymentId } = event.data;
  const about = stamp({ eventName, eventId, pixelId, paymentId });
  if (event.type === 'ConversionAccepted') {
    return { ...noConversionFacts, about, accepted: stamp(acceptanceOf(event.data)) };
  }
  return { ...noConversionFacts, about, outcome: stamp(outcomeOf(event)) };
}

function acceptanceOf(data: DataOf<'ConversionAccepted'>) {
  const { acceptedAt, eventTime, attempts, fbtraceId } = data;
  return { acceptedAt, eventTime, attempts, fbtraceId };
}

function outcomeOf(event: Exclude<ConversionEvent, { type: 'ConversionAccepted' }>) {
  switch (event.type) {
    case 'ConversionScheduled': {
      const { skippedReason, dueAt } = event.data;
      if (skippedReason !== null) return { status: 'skipped', reason: skippedReason } as const;
      return { status: 'scheduled', dueAt } as const;
    }
    case 'ConversionRejected': {
      const { reason, code, subcode } = event.data;
      return { status: 'rejected', reason, code, subcode } as const;
    }
    case 'ConversionUnconfirmed':
      return { status: 'unconfirmed', reason: event.data.reason } as const;
  }
}
