/** Whether an order may be opened. */
import type { paymentsRevalidate, ReplyOf } from '@rastro/events';

/** `unconfirmed`: the money is in doubt right now, which may pass; `revoked`: it is gone. */
export type Access = 'open' | 'unconfirmed' | 'revoked';

export interface OrderMoney {
  readonly isPaid: boolean;
  /** In whole; who got a part back keeps what they bought. */
  readonly isRefunded: boolean;
  readonly isChargedBack: boolean;
  readonly isDisputed: boolean;
}

/** What the product's seller wants a refund in whole to do. */
export type AccessAfterRefund = 'ends' | 'stays';

export function accessOf(order: OrderMoney, afterRefund: AccessAfterRefund): Access {
  if (order.isChargedBack || (order.isRefunded && afterRefund === 'ends')) return 'revoked';
  return order.isPaid && !order.isDisputed ? 'open' : 'unconfirmed';
}

type PaymentStatus = ReplyOf<typeof paymentsRevalidate>['status'];

/** The same from what the gateway has just said. */
export function accessAfter(status: PaymentStatus, afterRefund: AccessAfterRefund): Access {
  switch (status) {
    case 'paid':
    case 'partially_refunded':
      return 'open';
    case 'refunded':
      return afterRefund === 'ends' ? 'revoked' : 'open';
    case 'charged_back':
      return 'revoked';
    case 'pending':
    case 'expired':
    case 'cancelled':
    case 'refused':
    case 'disputed':
      return 'unconfirmed';
  }
}
