import Type from 'typebox';
import { defineEvent } from './definition.ts';
import { Nullable, PixelId, Text, Timestamp } from './scalars.ts';

export const PixelParked = defineEvent({
  type: 'PixelParked',
  version: 1,
  aggregate: 'pixel',
  producers: ['capi-dispatcher'],
  summary: 'Meta refuses the token of a pixel; its events wait until a working one arrives.',
  data: Type.Object({
    pixelId: PixelId,
    code: Nullable(Type.Integer()),
    subcode: Nullable(Type.Integer()),
    reason: Text(1024),
    parkedAt: Timestamp,
  }),
});

export const PixelResumed = defineEvent({
  type: 'PixelResumed',
  version: 1,
  aggregate: 'pixel',
  producers: ['capi-dispatcher'],
  summary: 'A parked pixel sends again.',
  data: Type.Object({ pixelId: PixelId, resumedAt: Timestamp }),
});
