import Type from 'typebox';
import { defineEvent } from './definition.ts';
import { CatalogId, Nullable, OneOf, Text, Timestamp } from './scalars.ts';

export const BotHealthChanged = defineEvent({
  type: 'BotHealthChanged',
  version: 1,
  aggregate: 'bot',
  producers: ['bot-funnel'],
  summary: 'A bot became able or unable to serve customers.',
  data: Type.Object({
    botId: CatalogId,
    health: OneOf('healthy', 'unhealthy'),
    reason: Nullable(Text(512)),
    /** Of a bot that has just recovered: how many of 100 visitors it may get; absent means all. */
    sharePercent: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    changedAt: Timestamp,
  }),
});
