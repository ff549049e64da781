/** The Bot API's objects, as far as this stand-in speaks of them. */
import type { MessageEntity } from './html.ts';

export interface User {
  id: number;
  is_bot: boolean;
  first_name: string;
  last_name?: string;
  username?: string;
  language_code?: string;
}

export interface Chat {
  id: number;
  type: 'private';
  first_name: string;
  last_name?: string;
  username?: string;
}

export interface PhotoSize {
  file_id: string;
  file_unique_id: string;
  width: number;
  height: number;
  file_size: number;
}

/** A file of which the sandbox knows only the address. */
export interface LinkedFile {
  file_id: string;
  file_unique_id: string;
  /** Not of the Bot API: where the chat page finds it. */
  url: string;
}

export interface InlineButton {
  text: string;
  callback_data?: string;
  url?: string;
  copy_text?: { text: string };
}

export interface InlineKeyboard {
  inline_keyboard: InlineButton[][];
}

export interface Message {
  message_id: number;
  from: User;
  chat: Chat;
  date: number;
  edit_date?: number;
  text?: string;
  entities?: MessageEntity[];
  photo?: PhotoSize[];
  video?: LinkedFile;
  animation?: LinkedFile;
  audio?: LinkedFile;
  voice?: LinkedFile;
  document?: LinkedFile;
  caption?: string;
  caption_entities?: MessageEntity[];
  reply_markup?: InlineKeyboard;
  has_protected_content?: true;
}

export interface Update {
  update_id: number;
  [kind: string]: unknown;
}

/** What a bot asked of its webhook, and how the last failed delivery went. */
export interface WebhookSettings {
  url: string;
  secretToken: string | null;
  maxConnections: number;
  allowedUpdates: string[];
  lastErrorDate: number | null;
  lastErrorMessage: string | null;
}

/** One customer's conversation with one bot. */
export interface Conversation {
  bot: string;
  user: User;
  started: boolean;
  blocked: boolean;
}

/** The Bot API's refusal; the description's words are Telegram's own. */
export class BotApiError extends Error {
  readonly code: number;
  readonly parameters: Record<string, unknown> | undefined;

  constructor(code: number, description: string, parameters?: Record<string, unknown>) {
    super(description);
    this.code = code;
    this.parameters = parameters;
  }
}

export function badRequest(detail: string): BotApiError {
  return new BotApiError(400, `Bad Request: ${detail}`);
}
