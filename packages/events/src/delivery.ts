import Type from 'typebox';
import { defineEvent } from './definition.ts';
import {
  CatalogId,
  Nullable,
  PixelId,
  TelegramUserId,
  Text,
  Timestamp,
  TrackingToken,
  Uuid,
} from './scalars.ts';

const delivery = {
  deliveryId: Uuid,
  paymentId: Uuid,
  botId: CatalogId,
  poolId: Nullable(CatalogId),
  trackingToken: Nullable(TrackingToken),
};

export const DeliveryIssued = defineEvent({
  type: 'DeliveryIssued',
  version: 1,
  aggregate: 'delivery',
  producers: ['delivery-web'],
  summary: 'A paid order got its delivery token, once.',
  data: Type.Object({
    ...delivery,
    leadId: Nullable(Uuid),
    telegramUserId: Nullable(TelegramUserId),
    /** At least 128 random bits, base64url: the secret part of `/delivery/<token>`. */
    deliveryToken: Type.String({ pattern: '^[A-Za-z0-9_-]{22,64}$' }),
    productId: CatalogId,
    productName: Text(256),
    accessUrl: Nullable(Text(2048)),
    /** Whether the delivery page has a pixel to fire; without one the bot sends `accessUrl`. */
    hasPixel: Type.Boolean(),
    issuedAt: Timestamp,
  }),
});

export const DeliveryViewed = defineEvent({
  type: 'DeliveryViewed',
  version: 1,
  aggregate: 'delivery',
  producers: ['delivery-web'],
  summary: 'A person opened the delivery page, after it went out to the browser.',
  data: Type.Object({
    ...delivery,
    viewedAt: Timestamp,
    clientIp: Nullable(Text(45)),
    userAgent: Nullable(Text(1024)),
    fbp: Nullable(Text(200)),
    fbc: Nullable(Text(600)),
    pixelId: Nullable(PixelId),
    isPixelRendered: Type.Boolean(),
  }),
});
