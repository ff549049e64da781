/** What a customer, and the operator, are told when something became of a payment. */
import { type Checkout, type PaymentFact, pixOf } from './checkout.ts';
import { type Decision, joined, nothing, notify, only, say, tellOperator } from './decision.ts';
import { checkoutTimers, noLongerStalled } from './follow-ups.ts';
import type { FunnelSnapshot } from './funnel.ts';
import type { Lead } from './lead.ts';
import type { Reversal } from './message.ts';

export interface PaymentNews {
  readonly at: string;
  readonly fact: PaymentFact;
  readonly accessStays: boolean;
  /** The version that the customer is inside of. */
  readonly funnel: FunnelSnapshot | null;
}

export function observePayment(lead: Lead, news: PaymentNews): Decision {
  const { at, fact, accessStays, funnel } = news;
  const before = lead.checkouts.find(({ checkoutId }) => checkoutId === fact.data.checkoutId);
  if (before === undefined) return nothing;
  const { paymentId } = fact.data;
  switch (fact.type) {
    case 'PaymentCreated': {
      const isToShow = before.status === 'requested' && fact.data.expiresAt > at;
      if (!isToShow) return nothing;
      return joined(
        say({ kind: 'pix', pix: pixOf(fact.data) }, `pix:${paymentId}`),
        only(...checkoutTimers(funnel, 'pix_unpaid', before, at)),
      );
    }
    case 'PaymentPaid':
      return before.status === 'paid' ? nothing : paid(before, fact.data, funnel, at);
    case 'PaymentExpired':
      return expired(lead, before, fact.data, funnel, at);
    case 'PaymentRefused': {
      const { productName, checkoutId } = fact.data;
      // Before the PIX was shown, whoever asked for the charge tells the customer.
      return before.status === 'pending'
        ? notify({ about: 'refused', productName, checkoutId }, `refused:${paymentId}`)
        : nothing;
    }
    case 'PaymentRefunded':
    case 'PaymentDisputed':
    case 'PaymentChargedBack':
      return reversed(fact, accessStays, funnel);
  }
}

function paid(
  checkout: Checkout,
  { productName, paymentId }: { productName: string; paymentId: string },
  funnel: FunnelSnapshot | null,
  at: string,
): Decision {
  return joined(
    thank(productName, paymentId, funnel),
    noLongerStalled(funnel),
    // What the funnel had still to say to sell is not said to who has bought.
    only({ type: 'cancelTimers', prefix: 'step' }),
    only(...checkoutTimers(funnel, 'paid', checkout, at)),
  );
}

function thank(productName: string, paymentId: string, funnel: FunnelSnapshot | null): Decision {
  const text = funnel?.messages?.paid ?? null;
  return text === '' ? nothing : say({ kind: 'paid', productName, text }, `paid:${paymentId}`);
}

export interface Delivery {
  readonly paymentId: string;
  readonly productName: string;
  readonly link: string | null;
}

/** After a crash PaymentPaid may come again later than this: the thanks still come first. */
export function deliver(
  { paymentId, productName, link }: Delivery,
  funnel: FunnelSnapshot | null,
): Decision {
  return joined(
    thank(productName, paymentId, funnel),
    say({ kind: 'delivery', productName, link }, `delivery:${paymentId}`),
  );
}

function expired(
  lead: Lead,
  before: Checkout,
  data: { productName: string; productId: string; checkoutId: string; paymentId: string },
  funnel: FunnelSnapshot | null,
  at: string,
): Decision {
  const { productName, productId, checkoutId, paymentId } = data;
  // Nobody who has paid, or holds a newer PIX of the product, is told of the old one.
  const ofProduct = lead.checkouts.filter((other) => other.productId === productId);
  const isSettled = ofProduct.some(({ status }) => status === 'paid');
  const isOver = before.status === 'refused' || before.status === 'expired';
  if (isSettled || ofProduct.at(-1) !== before || isOver) return nothing;
  const offers = checkoutTimers(funnel, 'pix_expired', before, at);
  // The funnel's own offer takes the place of ours.
  if (offers.length > 0) return only(...offers);
  return notify({ about: 'expired', productName, checkoutId }, `expired:${paymentId}`);
}

type ReversalFact = PaymentFact & {
  type: 'PaymentRefunded' | 'PaymentDisputed' | 'PaymentChargedBack';
};

function reversed(
  fact: ReversalFact,
  accessStays: boolean,
  funnel: FunnelSnapshot | null,
): Decision {
  const { paymentId, telegramUserId } = fact.data;
  const reversal = reversalOf(fact);
  const { about, cents } = reversal;
  const name = `${about}:${paymentId}:${cents}`;
  const note = {
    about: 'reversal_note',
    reversal,
    paymentId,
    telegramUserId,
    accessStays,
  } as const;
  const text = about === 'refunded' ? funnel?.messages?.refunded : funnel?.messages?.disputed;
  // Of money that went back the customer hears unless the seller is silent; of a dispute, which
  // he began himself, only in the seller's words.
  const isToTell = about === 'refunded' ? text !== '' : about === 'disputed' && Boolean(text);
  return joined(
    isToTell ? notify({ about: 'reversal', reversal, text: text ?? null }, name) : nothing,
    tellOperator(note, `operator:${name}`),
  );
}

function reversalOf(fact: ReversalFact): Reversal {
  const { productName, amountCents, currency } = fact.data;
  const whole = { productName, cents: amountCents, currency, isPartial: false };
  switch (fact.type) {
    case 'PaymentRefunded': {
      const { totalRefundedCents: cents, isPartial } = fact.data;
      return { about: 'refunded', productName, cents, currency, isPartial };
    }
    case 'PaymentDisputed':
      return { about: fact.data.isOpen ? 'disputed' : 'dispute_settled', ...whole };
    case 'PaymentChargedBack':
      return { about: 'charged_back', ...whole };
  }
}
