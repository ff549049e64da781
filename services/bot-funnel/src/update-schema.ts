/** The part of Telegram's `Update` that is read; all else in it is let through and forgotten. */
import { decoder, type Decoded, CatalogId, parseJson, WorkspaceId } from '@rastro/events';
import Type from 'typebox';
import type { Incoming, TelegramUpdate } from './core/incoming.ts';

const Id = Type.Integer({
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
});

const Chat = Type.Object({ id: Id, type: Type.String({ maxLength: 32 }) });

const User = Type.Object({
  id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  is_bot: Type.Boolean(),
  language_code: Type.Optional(Type.String()),
  is_premium: Type.Optional(Type.Boolean()),
});

/** @see https://core.telegram.org/bots/api#update */
export const UpdateSchema = Type.Object({
  update_id: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  message: Type.Optional(
    Type.Object({
      chat: Chat,
      from: Type.Optional(User),
      text: Type.Optional(Type.String()),
    }),
  ),
  callback_query: Type.Optional(
    Type.Object({
      id: Type.String({ minLength: 1, maxLength: 128 }),
      from: User,
      data: Type.Optional(Type.String({ maxLength: 256 })),
      message: Type.Optional(Type.Object({ chat: Chat })),
    }),
  ),
  my_chat_member: Type.Optional(
    Type.Object({
      chat: Chat,
      from: User,
      new_chat_member: Type.Object({ status: Type.String({ maxLength: 32 }) }),
    }),
  ),
});

/** Checks one update that was fetched; those that are pushed are checked by their route. */
export const decodeUpdate: (value: unknown) => Decoded<TelegramUpdate> = decoder(UpdateSchema);

const Content = Type.Union([
  Type.Object({
    type: Type.Literal('start'),
    payload: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
  }),
  Type.Object({
    type: Type.Literal('privacy'),
    about: Type.Enum(['privacy', 'my_data', 'erase']),
  }),
  Type.Object({ type: Type.Literal('text') }),
  Type.Object({ type: Type.Literal('press'), queryId: Type.String(), data: Type.String() }),
  Type.Object({ type: Type.Literal('contact'), isBlocked: Type.Boolean() }),
]);

const decodeIncoming = decoder(
  Type.Object({
    botId: CatalogId,
    workspaceId: WorkspaceId,
    updateId: Type.Integer(),
    receivedAt: Type.String(),
    telegramUserId: User.properties.id,
    languageCode: Type.Union([Type.String(), Type.Null()]),
    isPremium: Type.Boolean(),
    content: Content,
  }),
);

/** Reads a message of stream UPDATES. */
export function parseIncoming(text: string): Decoded<Incoming> {
  const json = parseJson(text);
  return json.ok ? decodeIncoming(json.value) : json;
}
