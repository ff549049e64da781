/** One customer in one bot: what has happened between the two, folded into a state. */
import { type Checkout, evolveCheckout, type PaymentFact } from './checkout.ts';
import type { LeadEvent } from './decision.ts';

// Events: LeadEvent, the lead's own, and PaymentFact.

// State

/** An ad click that the Telegram user is bound to. */
export interface Click {
  readonly trackingToken: string;
  readonly poolId: string | null;
}

export interface BoundClick extends Click {
  readonly boundAt: string;
}

export interface Lead {
  readonly leadId: string;
  readonly botId: string;
  /** As Telegram described him at his last START; null before the first. */
  readonly person: {
    readonly telegramUserId: number;
    readonly languageCode: string | null;
    readonly isPremium: boolean;
    readonly firstSeenAt: string;
  } | null;
  /** Where in which funnel; null before the first START. */
  readonly position: {
    readonly funnelId: string;
    readonly funnelVersion: number;
    readonly stepId: string | null;
  } | null;
  /** In the order of their STARTs: the last one counts, a START without one takes nothing away. */
  readonly clicks: readonly BoundClick[];
  readonly isBlocked: boolean;
  /** In the order of their presses. */
  readonly checkouts: readonly Checkout[];
}

export function newLead(identity: Pick<Lead, 'leadId' | 'botId'>): Lead {
  const { leadId, botId } = identity;
  const blank = { person: null, position: null, clicks: [], isBlocked: false, checkouts: [] };
  return { leadId, botId, ...blank };
}

/** The click that a sale is credited to: the last touch. */
export const clickOf = ({ clicks }: Pick<Lead, 'clicks'>): Click | null => clicks.at(-1) ?? null;

/** Own events and payment facts may be folded in any order as long as each kind keeps its own. */
export function evolve(lead: Lead, event: LeadEvent | PaymentFact): Lead {
  switch (event.type) {
    case 'FunnelStarted':
      return started(lead, event.data);
    case 'FunnelStepReached': {
      const { stepId } = event.data;
      return lead.position === null ? lead : { ...lead, position: { ...lead.position, stepId } };
    }
    case 'CheckoutStarted': {
      const { checkoutId, productId, trackingToken, poolId, startedAt } = event.data;
      const origin = { checkoutId, productId, trackingToken, poolId, startedAt };
      return { ...lead, checkouts: [...lead.checkouts, { ...origin, status: 'requested' }] };
    }
    case 'ContactBlocked':
      return { ...lead, isBlocked: event.data.isBlocked };
    case 'ErasureRequested':
      return newLead(lead);
    case 'PaymentCreated':
    case 'PaymentPaid':
    case 'PaymentExpired':
    case 'PaymentRefused':
    case 'PaymentRefunded':
    case 'PaymentDisputed':
    case 'PaymentChargedBack': {
      const { checkoutId } = event.data;
      const checkouts = lead.checkouts.map((checkout) =>
        checkout.checkoutId === checkoutId ? evolveCheckout(checkout, event) : checkout,
      );
      return { ...lead, checkouts };
    }
  }
}

function started(lead: Lead, data: (LeadEvent & { type: 'FunnelStarted' })['data']): Lead {
  const { funnelId, funnelVersion, trackingToken, poolId, startedAt } = data;
  const { telegramUserId, languageCode, isPremium } = data;
  const firstSeenAt = lead.person?.firstSeenAt ?? startedAt;
  const bound = trackingToken === null ? [] : [{ trackingToken, poolId, boundAt: startedAt }];
  return {
    ...lead,
    person: { telegramUserId, languageCode, isPremium, firstSeenAt },
    position: { funnelId, funnelVersion, stepId: null },
    clicks: [...lead.clicks, ...bound],
  };
}
