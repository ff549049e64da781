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

export function accessOf(order: OrderMoney): Access {
  if (order.isRefunded || order.isChargedBack) return 'revoked';
  return order.isPaid && !order.isDisputed ? 'open' : 'unconfirmed';
}

type PaymentStatus = ReplyOf<typeof paymentsRevalidate>['status'];

/** The same from what the gateway has just said. */
export function accessAfter(status: PaymentStatus): Access {
  switch (status) {
    case 'paid':
    case 'partially_refunded':
      return 'open';
    case 'refunded':
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
