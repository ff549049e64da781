import Type from 'typebox';
import { defineEvent } from './definition.ts';
import {
  CatalogId,
  Nullable,
  OneOf,
  Sha256,
  TelegramUserId,
  Text,
  Timestamp,
  TrackingToken,
  Uuid,
} from './scalars.ts';

const lead = {
  leadId: Uuid,
  botId: CatalogId,
};

/** What a message is for; it decides how a failed one is treated. */
const MessageKind = OneOf('step', 'pix', 'paid', 'delivery', 'notice');

export const FunnelStarted = defineEvent({
  type: 'FunnelStarted',
  version: 1,
  aggregate: 'lead',
  producers: ['bot-funnel'],
  summary: 'A Telegram user pressed START; with a known token, the user is bound to that click.',
  data: Type.Object({
    ...lead,
    telegramUserId: TelegramUserId,
    /** SHA-256 of the Telegram user id: joins Meta's `external_id` list. */
    externalId: Sha256,
    trackingToken: Nullable(TrackingToken),
    poolId: Nullable(CatalogId),
    origin: OneOf('click', 'organic'),
    funnelId: CatalogId,
    funnelVersion: Type.Integer({ minimum: 1 }),
    languageCode: Nullable(Text(35)),
    isPremium: Type.Boolean(),
    startedAt: Timestamp,
  }),
});

export const FunnelStepReached = defineEvent({
  type: 'FunnelStepReached',
  version: 1,
  aggregate: 'lead',
  producers: ['bot-funnel'],
  summary: 'A customer came to a step of the funnel.',
  data: Type.Object({
    ...lead,
    trackingToken: Nullable(TrackingToken),
    funnelId: CatalogId,
    stepId: CatalogId,
    /** The follow-up that led there; absent where the customer did, or the step before. */
    followUpId: Type.Optional(CatalogId),
    reachedAt: Timestamp,
  }),
});

export const CheckoutStarted = defineEvent({
  type: 'CheckoutStarted',
  version: 1,
  aggregate: 'lead',
  producers: ['bot-funnel'],
  summary: 'A customer pressed a buy button; a PIX charge was asked for under `checkoutId`.',
  data: Type.Object({
    ...lead,
    trackingToken: Nullable(TrackingToken),
    poolId: Nullable(CatalogId),
    /** Also the idempotency key of `payments.create`. */
    checkoutId: Uuid,
    productId: CatalogId,
    startedAt: Timestamp,
  }),
});

export const MessageSent = defineEvent({
  type: 'MessageSent',
  version: 1,
  aggregate: 'lead',
  producers: ['bot-funnel'],
  summary: 'Telegram accepted a message for a customer.',
  data: Type.Object({
    ...lead,
    trackingToken: Nullable(TrackingToken),
    messageId: Uuid,
    kind: MessageKind,
    telegramMessageId: Type.Integer(),
    sentAt: Timestamp,
  }),
});

export const MessageFailed = defineEvent({
  type: 'MessageFailed',
  version: 1,
  aggregate: 'lead',
  producers: ['bot-funnel'],
  summary: 'A message could not be delivered; it is kept for when the customer returns.',
  data: Type.Object({
    ...lead,
    trackingToken: Nullable(TrackingToken),
    messageId: Uuid,
    kind: MessageKind,
    /** Telegram's error code, or 0 when the outcome is unknown. */
    errorCode: Type.Integer(),
    reason: Text(512),
    failedAt: Timestamp,
  }),
});

export const ContactBlocked = defineEvent({
  type: 'ContactBlocked',
  version: 1,
  aggregate: 'lead',
  producers: ['bot-funnel'],
  summary: 'A customer blocked the bot, or (blocked: false) let it back in.',
  data: Type.Object({
    ...lead,
    trackingToken: Nullable(TrackingToken),
    isBlocked: Type.Boolean(),
    changedAt: Timestamp,
  }),
});

export const ErasureRequested = defineEvent({
  type: 'ErasureRequested',
  version: 1,
  aggregate: 'lead',
  producers: ['bot-funnel'],
  summary: 'A customer asked for the erasure of his data; bot-funnel has erased its own.',
  data: Type.Object({
    ...lead,
    /** Every click that the customer was bound to. */
    trackingTokens: Type.Array(TrackingToken, { maxItems: 1000 }),
    requestedAt: Timestamp,
  }),
});
