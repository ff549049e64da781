/** What was said of one payment, and what that makes it. */
import type { DataOf } from '@rastro/events';
import { earliest, latest, type Merge, mergeFields, type Register } from './register.ts';

type Paid = DataOf<'PaymentPaid'>;

export interface PaymentFacts {
  readonly about: Register<
    Pick<Paid, 'checkoutId' | 'productId' | 'productName' | 'amountCents' | 'currency'>
  >;
  readonly created: Register<{ createdAt: string; expiresAt: string; gateway: string }>;
  readonly paid: Register<{ paidAt: string; isLate: boolean }>;
  readonly expired: Register<{ expiredAt: string }>;
  readonly refused: Register<{ refusedAt: string; reason: string }>;
  readonly refunded: Register<{
    refundedAt: string;
    totalRefundedCents: number;
    isPartial: boolean;
  }>;
  readonly disputed: Register<{ disputedAt: string; isOpen: boolean }>;
  readonly chargedBack: Register<{ chargedBackAt: string }>;
}

export const noPaymentFacts: PaymentFacts = {
  about: undefined,
  created: undefined,
  paid: undefined,
  expired: undefined,
  refused: undefined,
  refunded: undefined,
  disputed: undefined,
  chargedBack: undefined,
};

export const mergePaymentFacts: Merge<PaymentFacts> = mergeFields<PaymentFacts>({
  about: earliest,
  created: earliest,
  paid: earliest,
  expired: earliest,
  refused: earliest,
  refunded: latest,
  disputed: latest,
  chargedBack: earliest,
});

/** As in `payments.create`'s reply. What costs the seller money outweighs what came before. */
export type PaymentStatus =
  | 'pending'
  | 'paid'
  | 'expired'
  | 'refused'
  | 'refunded'
  | 'partially_refunded'
  | 'disputed'
  | 'charged_back';

export function paymentStatus(facts: PaymentFacts): PaymentStatus {
  if (facts.chargedBack) return 'charged_back';
  if (facts.refunded && !facts.refunded.value.isPartial) return 'refunded';
  if (facts.disputed?.value.isOpen) return 'disputed';
  if (facts.refunded) return 'partially_refunded';
  if (facts.paid || facts.disputed) return 'paid';
  if (facts.refused) return 'refused';
  return facts.expired ? 'expired' : 'pending';
}
