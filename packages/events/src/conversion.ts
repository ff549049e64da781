import Type from 'typebox';
import { defineEvent } from './definition.ts';
import {
  CatalogId,
  Nullable,
  OneOf,
  PixelId,
  Text,
  Timestamp,
  TrackingToken,
  Uuid,
} from './scalars.ts';

const conversion = {
  conversionId: Uuid,
  pixelId: PixelId,
  poolId: CatalogId,
  eventName: OneOf('PageView', 'Purchase'),
  /** `evt_<trackingToken>` or `purchase_<payment.id>`. */
  eventId: Type.String({ pattern: '^(evt_[0-9a-f]{32}|purchase_[0-9a-f-]{36})$' }),
  trackingToken: Nullable(TrackingToken),
  paymentId: Nullable(Uuid),
};

/** Where Meta complained: branch on code and subcode, never on the (localised) text. */
const complaint = {
  httpStatus: Nullable(Type.Integer()),
  code: Nullable(Type.Integer()),
  subcode: Nullable(Type.Integer()),
  reason: Text(1024),
};

const producers = ['capi-dispatcher'];

export const ConversionScheduled = defineEvent({
  type: 'ConversionScheduled',
  version: 1,
  aggregate: 'conversion',
  producers,
  summary: 'The send ledger took up one event for Meta, or recorded why it is skipped.',
  data: Type.Object({
    ...conversion,
    dueAt: Timestamp,
    /** Why it will never be sent, e.g. `no_consent`; null when it will. */
    skippedReason: Nullable(Text(64)),
  }),
});

export const ConversionAccepted = defineEvent({
  type: 'ConversionAccepted',
  version: 1,
  aggregate: 'conversion',
  producers,
  summary: 'Meta confirmed that it received the event.',
  data: Type.Object({
    ...conversion,
    /** Unix seconds as sent to Meta. */
    eventTime: Type.Integer(),
    attempts: Type.Integer({ minimum: 1 }),
    fbtraceId: Nullable(Text(128)),
    acceptedAt: Timestamp,
  }),
});

export const ConversionRejected = defineEvent({
  type: 'ConversionRejected',
  version: 1,
  aggregate: 'conversion',
  producers,
  summary:
    'Meta will never take the event as it is, or it was given up (then without httpStatus); it waits in the ledger for an operator.',
  data: Type.Object({ ...conversion, ...complaint, rejectedAt: Timestamp }),
});

export const ConversionUnconfirmed = defineEvent({
  type: 'ConversionUnconfirmed',
  version: 1,
  aggregate: 'conversion',
  producers,
  summary: 'The outcome of a send is unknown; the same event id and time go again within 48 h.',
  data: Type.Object({
    ...conversion,
    reason: Text(256),
    attempts: Type.Integer({ minimum: 1 }),
    attemptedAt: Timestamp,
  }),
});
