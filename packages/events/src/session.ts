import Type from 'typebox';
import { defineEvent } from './definition.ts';
import { Nullable, OneOf, Text, Timestamp, TrackingToken } from './scalars.ts';

export const BrowserSignalsCaptured = defineEvent({
  type: 'BrowserSignalsCaptured',
  version: 1,
  aggregate: 'session',
  producers: ['redirect-gateway', 'delivery-web'],
  summary: "The browser told us Meta's first-party cookies as they stand after the Pixel ran.",
  data: Type.Object({
    trackingToken: TrackingToken,
    pageType: OneOf('bridge', 'delivery'),
    capturedAt: Timestamp,
    fbp: Nullable(Text(200)),
    fbc: Nullable(Text(600)),
    /** Meta's `_fbi`: the browser's own view of its public IP address. */
    fbi: Nullable(Text(64)),
    clientIp: Nullable(Text(45)),
    userAgent: Nullable(Text(1024)),
  }),
});
