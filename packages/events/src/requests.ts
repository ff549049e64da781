/** NATS request/reply: the one synchronous path between services, used only where marked. */
import Type, { type Static, type TSchema } from 'typebox';
import { WorkspaceId } from './envelope.ts';
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

/** What a request may be refused for; `message` is for people. */
export const RequestError = Type.Object({
  code: OneOf('invalid_request', 'not_found', 'unavailable', 'refused'),
  message: Text(1024),
});

export interface RequestDefinition<Q extends TSchema = TSchema, R extends TSchema = TSchema> {
  readonly subject: string;
  readonly summary: string;
  readonly request: Q;
  readonly reply: R;
}

function defineRequest<Q extends TSchema, R extends TSchema>(
  definition: RequestDefinition<Q, R>,
): RequestDefinition<Q, R> {
  return definition;
}

/** All that a payment may be. */
export const paymentStatuses = [
  'pending',
  'paid',
  'expired',
  'cancelled',
  'refused',
  'refunded',
  'partially_refunded',
  'disputed',
  'charged_back',
] as const;

const PaymentStatus = OneOf(...paymentStatuses);

const PaymentView = Type.Object({
  paymentId: Uuid,
  checkoutId: Uuid,
  status: PaymentStatus,
  productId: CatalogId,
  amountCents: Cents,
  currency: Currency,
  pixCode: Text(1024),
  expiresAt: Timestamp,
});

export const paymentsCreate = defineRequest({
  subject: 'payments.create',
  summary:
    'Opens a PIX charge for a product of the catalog; the same `checkoutId`, the same charge.',
  request: Type.Object({
    workspaceId: WorkspaceId,
    checkoutId: Uuid,
    botId: CatalogId,
    productId: CatalogId,
    poolId: Nullable(CatalogId),
    leadId: Nullable(Uuid),
    telegramUserId: Nullable(TelegramUserId),
    trackingToken: Nullable(TrackingToken),
  }),
  reply: PaymentView,
});

export const paymentsRevalidate = defineRequest({
  subject: 'payments.revalidate',
  summary: 'Asks the gateway again, at most once a minute a charge, and answers what is known.',
  request: Type.Object({ workspaceId: WorkspaceId, paymentId: Uuid }),
  reply: PaymentView,
});

/** Amounts are what of the charge stays with the seller: all of it, less what went back. */
const ReconciledCharge = {
  accountId: CatalogId,
  /** In the gateway's own word; null where it was not asked or knows no such charge. */
  statusAtGateway: Nullable(Text(256)),
  keptCentsBefore: Cents,
  keptCentsHere: Cents,
  /** Null where there is no answer that counts. */
  keptCentsAtGateway: Nullable(Cents),
  /** Before this question was asked. */
  isDifferent: Type.Boolean(),
  /** Null unless it was asked about just now: then it may be again after this long, or sooner. */
  retryInMs: Nullable(Type.Integer({ minimum: 0 })),
  /** Why it could not be asked, or what the answer contradicts; for people. */
  problem: Nullable(Text(1024)),
};

/** Of one payment: the charge that counted until now, and beside it those that nobody was shown. */
export const paymentsReconcile = defineRequest({
  subject: 'payments.reconcile',
  summary:
    'For operators: asks the gateway whatever the status, at most once a minute a charge, records what follows, and says where both differed.',
  request: Type.Object({ workspaceId: WorkspaceId, paymentId: Uuid }),
  reply: Type.Object({
    paymentId: Uuid,
    amountCents: Cents,
    currency: Currency,
    statusBefore: PaymentStatus,
    statusHere: PaymentStatus,
    ...ReconciledCharge,
    /** One that was paid first is in `keptCentsHere`; one that was paid as well is in neither. */
    strays: Type.Array(Type.Object(ReconciledCharge)),
  }),
});

const Lead = { workspaceId: WorkspaceId, botId: CatalogId, telegramUserId: TelegramUserId };

export const funnelStart = defineRequest({
  subject: 'funnel.start',
  summary:
    'An external runtime says that a Telegram user pressed START: recorded, and bound to the click.',
  request: Type.Object({
    ...Lead,
    /** What came with `/start`; unknown, malformed or another workspace’s: an organic visit. */
    trackingToken: Type.Optional(Nullable(Text(64))),
    languageCode: Type.Optional(Nullable(Text(35))),
    isPremium: Type.Optional(Type.Boolean()),
  }),
  reply: Type.Object({
    leadId: Uuid,
    origin: OneOf('click', 'organic'),
    /** The click that the user is bound to from now on; a START without one keeps the last. */
    trackingToken: Nullable(TrackingToken),
    poolId: Nullable(CatalogId),
    funnelId: CatalogId,
    funnelVersion: Type.Integer({ minimum: 1 }),
  }),
});

export const funnelStep = defineRequest({
  subject: 'funnel.step',
  summary: 'An external runtime says that a customer came to a step of the bot’s funnel.',
  request: Type.Object({ ...Lead, stepId: CatalogId }),
  reply: Type.Object({ leadId: Uuid, stepId: CatalogId, reachedAt: Timestamp }),
});

export const trackingGet = defineRequest({
  subject: 'tracking.get',
  summary: 'All that is known of one tracking token, with its journey in order.',
  request: Type.Object({ workspaceId: WorkspaceId, trackingToken: TrackingToken }),
  reply: Type.Object({
    trackingToken: TrackingToken,
    session: Type.Record(Type.String(), Type.Unknown()),
    journey: Type.Array(
      Type.Object({
        id: Uuid,
        type: Text(64),
        time: Timestamp,
        source: Text(64),
        data: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
  }),
});

export const requestDefinitions = {
  funnelStart,
  funnelStep,
  paymentsCreate,
  paymentsReconcile,
  paymentsRevalidate,
  trackingGet,
} as const;

export type RequestOf<D extends RequestDefinition> = Static<D['request']>;
export type ReplyOf<D extends RequestDefinition> = Static<D['reply']>;
export type RequestProblem = Static<typeof RequestError>;
