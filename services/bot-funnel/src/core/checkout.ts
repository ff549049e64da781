/** Checkouts of one lead: one open charge per product, whatever is pressed or heard. */
import type { DataOf, EventBody, EventType } from '@rastro/events';
import {
  answer,
  type Decision,
  type Effect,
  joined,
  type LeadEvent,
  nothing,
  notify,
  say,
} from './decision.ts';
import type { Pix } from './message.ts';

/** What payment-confirmer says about a lead's checkouts: the other half of the lead's history. */
export type PaymentFact = EventBody<Extract<EventType, `Payment${string}`>>;

interface CheckoutOrigin {
  readonly checkoutId: string;
  readonly productId: string;
  /** The click at the time of the press: asking twice must ask for the same charge. */
  readonly trackingToken: string | null;
  readonly poolId: string | null;
  readonly startedAt: string;
}

export type Checkout = CheckoutOrigin &
  (
    | { readonly status: 'requested' }
    | { readonly status: 'pending'; readonly pix: Pix }
    /** `returned`: paid, and all of it went back to the payer. */
    | { readonly status: 'paid' | 'expired' | 'refused' | 'returned' }
  );

/** The part of a lead that a sale needs. */
export interface Buyer {
  readonly leadId: string;
  readonly botId: string;
  readonly clicks: readonly { readonly trackingToken: string; readonly poolId: string | null }[];
  /** In the order of their presses. */
  readonly checkouts: readonly Checkout[];
}

/** A charge that ended does not open again; only what was paid can be returned. */
export function evolveCheckout(checkout: Checkout, event: PaymentFact): Checkout {
  const { checkoutId, productId, trackingToken, poolId, startedAt, status } = checkout;
  const origin = { checkoutId, productId, trackingToken, poolId, startedAt };
  const isOpen = status === 'requested' || status === 'pending';
  switch (event.type) {
    case 'PaymentCreated':
      return status === 'requested'
        ? { ...origin, status: 'pending', pix: pixOf(event.data) }
        : checkout;
    case 'PaymentPaid':
      return status === 'returned' ? checkout : { ...origin, status: 'paid' };
    case 'PaymentExpired':
      return isOpen ? { ...origin, status: 'expired' } : checkout;
    case 'PaymentRefused':
      return isOpen ? { ...origin, status: 'refused' } : checkout;
    case 'PaymentRefunded':
      return event.data.isPartial ? checkout : { ...origin, status: 'returned' };
    case 'PaymentChargedBack':
      return { ...origin, status: 'returned' };
    case 'PaymentDisputed':
      return checkout;
  }
}

export function pixOf(data: DataOf<'PaymentCreated'>): Pix {
  const { paymentId, productName, amountCents, currency, pixCode, checkoutNotice, expiresAt } =
    data;
  return { paymentId, productName, amountCents, currency, pixCode, checkoutNotice, expiresAt };
}

/** The checkout that a press of the product's button shows again, if there is one. */
export function openCheckout(lead: Buyer, productId: string, at: string): Checkout | undefined {
  return lead.checkouts.findLast(
    (checkout) =>
      checkout.productId === productId &&
      (checkout.status === 'requested' ||
        (checkout.status === 'pending' && checkout.pix.expiresAt > at)),
  );
}

/** One press, one checkout: while a charge of the product is open, it is shown again. */
export function buy(lead: Buyer, productId: string, at: string, newCheckoutId: string): Decision {
  const open = openCheckout(lead, productId, at);
  if (open?.status === 'pending') return joined(say({ kind: 'pix', pix: open.pix }), answer(null));
  const { leadId, botId, clicks } = lead;
  const { trackingToken, poolId } = clicks.at(-1) ?? { trackingToken: null, poolId: null };
  const origin = open ?? { checkoutId: newCheckoutId, trackingToken, poolId };
  const started: LeadEvent = {
    type: 'CheckoutStarted',
    data: {
      leadId,
      botId,
      trackingToken,
      poolId,
      checkoutId: newCheckoutId,
      productId,
      startedAt: at,
    },
  };
  const create: Effect = {
    type: 'createPayment',
    checkoutId: origin.checkoutId,
    productId,
    trackingToken: origin.trackingToken,
    poolId: origin.poolId,
  };
  const decision = { events: open === undefined ? [started] : [], effects: [create] };
  return joined(decision, answer('Gerando o seu PIX…'));
}

export function confirmPaid(lead: Buyer, paymentId: string): Decision {
  const isOwn = lead.checkouts.some(
    (checkout) => checkout.status === 'pending' && checkout.pix.paymentId === paymentId,
  );
  if (isOwn) return { events: [], effects: [{ type: 'revalidatePayment', paymentId }] };
  return answer('Este PIX já foi encerrado. Veja as mensagens abaixo.');
}

/** payment-confirmer did not open the charge; `isFinal` once we no longer try by ourselves. */
export function reportTrouble(
  lead: Buyer,
  command: { checkoutId: string; round: number; isFinal: boolean },
): Decision {
  const { checkoutId, round, isFinal } = command;
  const checkout = lead.checkouts.find((one) => one.checkoutId === checkoutId);
  const isWaiting = checkout?.status === 'requested' || (isFinal && checkout?.status === 'refused');
  if (!isWaiting) return nothing;
  const about = isFinal ? 'unavailable' : 'delayed';
  return notify({ about, checkoutId }, `${about}:${checkoutId}:${round}`);
}
