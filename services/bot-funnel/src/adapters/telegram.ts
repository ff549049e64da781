/** Telegram's Bot API through grammY; what it answers becomes data, without the bot's token. */
import { Api, GrammyError, HttpError, InputFile } from 'grammy';
import { toBuffer } from 'qrcode';
import type { MessagePart, PartMedia } from '../core/message-part.ts';

export const allowedUpdates = ['message', 'callback_query', 'my_chat_member'] as const;

/** How one call ended. `unknown`: it may have been carried out or not. */
export type CallFailure =
  | { readonly type: 'rate_limited'; readonly retryAfterMs: number; readonly reason: string }
  | { readonly type: 'blocked'; readonly code: number; readonly reason: string }
  | { readonly type: 'unauthorized'; readonly code: number; readonly reason: string }
  | { readonly type: 'refused'; readonly code: number; readonly reason: string }
  | { readonly type: 'unknown'; readonly code: number; readonly reason: string };

export type CallResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: CallFailure };

export interface Telegram {
  /** The client of one token; it is kept, so that connections are. */
  api(token: string): Api;
}

const callTimeoutSeconds = 10;

export function createTelegram(options: { apiRoot: string }): Telegram {
  const clients = new Map<string, Api>();
  return {
    api(token) {
      const known = clients.get(token);
      if (known !== undefined) return known;
      const client = new Api(token, {
        apiRoot: options.apiRoot,
        timeoutSeconds: callTimeoutSeconds,
      });
      clients.set(token, client);
      return client;
    },
  };
}

/** Runs one call and reports its failure as data. Anything that is no failure of a call throws. */
export async function attempt<T>(call: () => Promise<T>): Promise<CallResult<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    return { ok: false, failure: failureOf(error) };
  }
}

function failureOf(error: unknown): CallFailure {
  if (error instanceof GrammyError) {
    const { error_code: code, description, parameters } = error;
    const reason = description.slice(0, 500);
    if (code === 429) {
      return { type: 'rate_limited', retryAfterMs: (parameters.retry_after ?? 1) * 1_000, reason };
    }
    if (code === 403) return { type: 'blocked', code, reason };
    // 404 without a method's name being wrong is what Telegram says to a malformed token.
    if (code === 401 || code === 404) return { type: 'unauthorized', code, reason };
    return { type: code >= 500 ? 'unknown' : 'refused', code, reason };
  }
  // The text of a network error holds the address, and that holds the token.
  if (error instanceof HttpError) {
    const { code } = (error.error ?? {}) as { code?: unknown };
    const detail = typeof code === 'string' ? ` (${code})` : '';
    return { type: 'unknown', code: 0, reason: `Telegram could not be reached${detail}` };
  }
  throw error;
}

/** @returns Telegram's message id */
export async function sendPart(
  api: Api,
  chatId: number,
  part: MessagePart,
): Promise<CallResult<number>> {
  const first = await attempt(() => callOf(api, chatId, part));
  const hasLink = part.keyboard.flat().some((button) => 'url' in button);
  if (first.ok || first.failure.type !== 'refused' || !hasLink) return first;
  // One address that Telegram does not take as a button must not keep the whole text away.
  const keyboard = part.keyboard.map((row) => row.filter((button) => !('url' in button)));
  return attempt(() => callOf(api, chatId, { ...part, keyboard }));
}

async function callOf(api: Api, chatId: number, part: MessagePart): Promise<number> {
  const { html, keyboard, media, hasPreview } = part;
  const rows = keyboard.filter((row) => row.length > 0).map((row) => [...row]);
  const markup = rows.length === 0 ? {} : { reply_markup: { inline_keyboard: rows } };
  if (media === null) {
    const preview = hasPreview ? {} : { link_preview_options: { is_disabled: true } };
    const options = { parse_mode: 'HTML', ...preview, ...markup } as const;
    return (await api.sendMessage(chatId, html, options)).message_id;
  }
  const caption = html === '' ? {} : ({ caption: html, parse_mode: 'HTML' } as const);
  return (await sendMedia(api, chatId, media, { ...caption, ...markup })).message_id;
}

async function sendMedia(
  api: Api,
  chatId: number,
  media: PartMedia,
  options: Parameters<Api['sendPhoto']>[2],
): Promise<{ message_id: number }> {
  switch (media.type) {
    case 'qr': {
      const picture = new InputFile(
        await toBuffer(media.text, { margin: 2, width: 480 }),
        'pix.png',
      );
      return api.sendPhoto(chatId, picture, options);
    }
    case 'photo':
      return api.sendPhoto(chatId, media.url, options);
    case 'video':
      return api.sendVideo(chatId, media.url, options);
    case 'animation':
      return api.sendAnimation(chatId, media.url, options);
    case 'audio':
      return api.sendAudio(chatId, media.url, options);
    case 'voice':
      return api.sendVoice(chatId, media.url, options);
    case 'document':
      return api.sendDocument(chatId, media.url, options);
  }
}
