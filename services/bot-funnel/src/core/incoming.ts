/** What customers do, reduced to what the funnel needs: no names, no forwarded texts are kept. */
import type { PrivacyCommand } from './privacy.ts';

export interface Incoming {
  readonly botId: string;
  readonly workspaceId: string;
  readonly updateId: number;
  /** ISO 8601; when it reached us. */
  readonly receivedAt: string;
  /** A private chat's id, which is also the customer's user id. */
  readonly telegramUserId: number;
  readonly languageCode: string | null;
  readonly isPremium: boolean;
  readonly content:
    | { readonly type: 'start'; readonly payload: string | null }
    | { readonly type: 'privacy'; readonly about: PrivacyCommand }
    | { readonly type: 'text' }
    | { readonly type: 'press'; readonly queryId: string; readonly data: string }
    | { readonly type: 'contact'; readonly isBlocked: boolean };
}

/** The part of Telegram's `Update` that is read. */
export interface TelegramUpdate {
  readonly update_id: number;
  readonly message?: {
    readonly chat: TelegramChat;
    readonly from?: TelegramUser | undefined;
    readonly text?: string | undefined;
  };
  readonly callback_query?: {
    readonly id: string;
    readonly from: TelegramUser;
    readonly data?: string | undefined;
    readonly message?: { readonly chat: TelegramChat } | undefined;
  };
  readonly my_chat_member?: {
    readonly chat: TelegramChat;
    readonly from: TelegramUser;
    readonly new_chat_member: { readonly status: string };
  };
}

interface TelegramChat {
  readonly id: number;
  readonly type: string;
}

interface TelegramUser {
  readonly id: number;
  readonly is_bot: boolean;
  readonly language_code?: string | undefined;
  readonly is_premium?: boolean | undefined;
}

type Where = Pick<Incoming, 'botId' | 'workspaceId' | 'receivedAt'>;

/** Null for what the funnel does not answer: groups, other bots, other kinds of updates. */
export function readUpdate(update: TelegramUpdate, where: Where): Incoming | null {
  const { message, callback_query: query, my_chat_member: member } = update;
  const chat = message?.chat ?? query?.message?.chat ?? member?.chat;
  const user = message?.from ?? query?.from ?? member?.from;
  const content = contentOf(update);
  if (chat?.type !== 'private' || user === undefined || user.is_bot || content === null) {
    return null;
  }
  return {
    ...where,
    updateId: update.update_id,
    telegramUserId: user.id,
    languageCode: user.language_code?.slice(0, 35) ?? null,
    isPremium: user.is_premium ?? false,
    content,
  };
}

function contentOf(update: TelegramUpdate): Incoming['content'] | null {
  const { message, callback_query: query, my_chat_member: member } = update;
  if (query !== undefined) {
    return { type: 'press', queryId: query.id, data: query.data ?? '' };
  }
  if (member !== undefined) {
    const isBlocked = member.new_chat_member.status === 'kicked';
    return { type: 'contact', isBlocked };
  }
  if (message === undefined) return null;
  return writtenIn(message.text ?? '');
}

const startPattern = /^\/start(?:@\w+)?(?:\s+([A-Za-z0-9_-]{1,64}))?\s*$/;

const privacyCommands: Readonly<Record<string, PrivacyCommand>> = {
  privacidade: 'privacy',
  meusdados: 'my_data',
  apagar: 'erase',
};

function writtenIn(text: string): Incoming['content'] {
  const start = startPattern.exec(text);
  if (start !== null) return { type: 'start', payload: start[1] ?? null };
  const command = /^\/([a-z]+)(?:@\w+)?\s*$/i.exec(text)?.[1]?.toLowerCase() ?? '';
  const about = Object.hasOwn(privacyCommands, command) ? privacyCommands[command] : undefined;
  return about === undefined ? { type: 'text' } : { type: 'privacy', about };
}

/** A tracking token where a START carries one; anything else is an organic visit. */
export function trackingTokenIn(payload: string | null): string | null {
  return payload !== null && /^[0-9a-f]{32}$/.test(payload) ? payload : null;
}
