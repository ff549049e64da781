/** What each payment event adds to an order; all of it merges in any order. */
import type { RastroEvent } from '@rastro/events';

export type PaymentEvent = RastroEvent<
  'PaymentCreated' | 'PaymentPaid' | 'PaymentRefunded' | 'PaymentDisputed' | 'PaymentChargedBack'
>;

export interface OrderFacts {
  readonly paymentId: string;
  readonly workspaceId: string;
  readonly botId: string;
  readonly poolId: string | null;
  readonly trackingToken: string | null;
  readonly leadId: string | null;
  readonly productId: string;
  readonly productName: string;
  readonly amountCents: number;
  readonly currency: string;
}

/** Times are ISO 8601; what an event does not speak of is null. */
export interface OrderChange {
  readonly paidAt: string | null;
  readonly refundedAt: string | null;
  readonly chargedBackAt: string | null;
  readonly disputedAt: string | null;
  readonly isDisputeOpen: boolean | null;
}

const unchanged: OrderChange = {
  paidAt: null,
  refundedAt: null,
  chargedBackAt: null,
  disputedAt: null,
  isDisputeOpen: null,
};

export function orderFacts({ workspaceid, data }: PaymentEvent): OrderFacts {
  const { paymentId, botId, poolId, trackingToken, leadId } = data;
  const { productId, productName, amountCents, currency } = data;
  return {
    paymentId,
    workspaceId: workspaceid,
    botId,
    poolId,
    trackingToken,
    leadId,
    productId,
    productName,
    amountCents,
    currency,
  };
}

export function orderChange(event: PaymentEvent): OrderChange {
  switch (event.type) {
    case 'PaymentCreated':
      return unchanged;
    case 'PaymentPaid':
      return { ...unchanged, paidAt: event.data.paidAt };
    case 'PaymentRefunded': {
      const { isPartial, refundedAt } = event.data;
      return isPartial ? unchanged : { ...unchanged, refundedAt };
    }
    case 'PaymentDisputed': {
      const { disputedAt, isOpen } = event.data;
      return { ...unchanged, disputedAt, isDisputeOpen: isOpen };
    }
    case 'PaymentChargedBack':
      return { ...unchanged, chargedBackAt: event.data.chargedBackAt };
  }
}
