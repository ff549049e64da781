import Type from 'typebox';
import { defineEvent } from './definition.ts';
import {
  CatalogId,
  Cents,
  Currency,
  Nullable,
  OneOf,
  TelegramUserId,
  Text,
  Timestamp,
  TrackingToken,
  Uuid,
} from './scalars.ts';

/** Every payment event says whose payment it is, so that no reader has to look it up. */
const payment = {
  paymentId: Uuid,
  checkoutId: Uuid,
  accountId: CatalogId,
  botId: CatalogId,
  poolId: Nullable(CatalogId),
  trackingToken: Nullable(TrackingToken),
  leadId: Nullable(Uuid),
  telegramUserId: Nullable(TelegramUserId),
  productId: CatalogId,
  productName: Text(256),
  amountCents: Cents,
  currency: Currency,
};

const producers = ['payment-confirmer'];

export const PaymentCreated = defineEvent({
  type: 'PaymentCreated',
  version: 1,
  aggregate: 'payment',
  producers,
  summary: 'A gateway opened a PIX charge.',
  data: Type.Object({
    ...payment,
    gateway: Text(64),
    gatewayChargeId: Text(256),
    /** The "copia e cola" code. */
    pixCode: Text(1024),
    /** What the gateway's terms make a seller show before payment. */
    checkoutNotice: Nullable(Text(1024)),
    createdAt: Timestamp,
    expiresAt: Timestamp,
  }),
});

export const PaymentPaid = defineEvent({
  type: 'PaymentPaid',
  version: 1,
  aggregate: 'payment',
  producers,
  summary: 'The gateway itself confirmed that amount, currency and reference were paid.',
  data: Type.Object({
    ...payment,
    paidAt: Timestamp,
    confirmedAt: Timestamp,
    endToEndId: Nullable(Text(64)),
    /** Paid after our own expiry: still delivered, and marked. */
    isLate: Type.Boolean(),
    proof: OneOf('requery', 'signed_webhook'),
  }),
});

export const PaymentExpired = defineEvent({
  type: 'PaymentExpired',
  version: 1,
  aggregate: 'payment',
  producers,
  summary: 'A charge was not paid in time.',
  data: Type.Object({ ...payment, expiredAt: Timestamp }),
});

export const PaymentRefused = defineEvent({
  type: 'PaymentRefused',
  version: 1,
  aggregate: 'payment',
  producers,
  summary: 'The gateway refused or cancelled a charge.',
  data: Type.Object({
    ...payment,
    reason: Text(256),
    /** Which of the two it was; absent means refused. */
    outcome: Type.Optional(OneOf('refused', 'cancelled')),
    refusedAt: Timestamp,
  }),
});

export const PaymentRefunded = defineEvent({
  type: 'PaymentRefunded',
  version: 1,
  aggregate: 'payment',
  producers,
  summary: 'Money went back to the payer, in part or whole.',
  data: Type.Object({
    ...payment,
    totalRefundedCents: Cents,
    isPartial: Type.Boolean(),
    refundedAt: Timestamp,
  }),
});

export const PaymentDisputed = defineEvent({
  type: 'PaymentDisputed',
  version: 1,
  aggregate: 'payment',
  producers,
  summary: 'The payer opened a dispute (MED), or (isOpen: false) it was settled for the seller.',
  data: Type.Object({ ...payment, isOpen: Type.Boolean(), disputedAt: Timestamp }),
});

export const PaymentChargedBack = defineEvent({
  type: 'PaymentChargedBack',
  version: 1,
  aggregate: 'payment',
  producers,
  summary: 'A dispute ended against the seller: the money is gone.',
  data: Type.Object({ ...payment, chargedBackAt: Timestamp }),
});
