/** Telegram's Bot API through grammY; what it answers becomes data, without the bot's token. */
import { Api, GrammyError, HttpError, InputFile } from 'grammy';
import { toBuffer } from 'qrcode';
import type { MessagePart, PartMedia } from '../core/message-part.ts';
import type { Call, CallFailure, CallResult } from '../core/sending.ts';
import { createTelegramFetch } from './telegram-fetch.ts';

export const allowedUpdates = ['message', 'callback_query', 'my_chat_member'] as const;

export interface Telegram {
  /** The client of one token; it is kept, so that connections are. */
  api(token: string): Api;
}

const callTimeoutSeconds = 10;
/** Hundreds of bots may poll at the same time. */
const maxConnections = 1_024;

export function createTelegram(options: { apiRoot: string }): Telegram {
  const clients = new Map<string, Api>();
  const fetch = createTelegramFetch(maxConnections);
  return {
    api(token) {
      const known = clients.get(token);
      if (known !== undefined) return known;
      const client = new Api(token, {
        apiRoot: options.apiRoot,
        timeoutSeconds: callTimeoutSeconds,
        fetch,
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

/** What Telegram says where a message to edit was deleted, or cannot be reached any more. */
const isGone = /message to edit not found|MESSAGE_ID_INVALID|message can't be edited/i;
const isUnchanged = /message is not modified/i;

function failureOf(error: unknown): CallFailure {
  if (error instanceof GrammyError) {
    const { error_code: code, description, parameters } = error;
    const reason = description.slice(0, 500);
    if (code === 429) {
      return { type: 'rate_limited', retryAfterMs: (parameters.retry_after ?? 1) * 1_000, reason };
    }
    if (isGone.test(description)) return { type: 'gone', code, reason };
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

/** @returns Telegram's id of the message that was sent or edited */
export async function carryOut(api: Api, chatId: number, call: Call): Promise<CallResult<number>> {
  if (call.type !== 'edit') return attempt(() => sendPart(api, chatId, call.part));
  const { telegramMessageId, part } = call;
  const result = await attempt(() => editPart(api, chatId, telegramMessageId, part));
  if (result.ok) return { ok: true, value: telegramMessageId };
  // An edit that was carried out before, with an answer that got lost.
  const isDone = result.failure.type === 'refused' && isUnchanged.test(result.failure.reason);
  return isDone ? { ok: true, value: telegramMessageId } : result;
}

function markupOf({ keyboard }: MessagePart) {
  const rows = keyboard.filter((row) => row.length > 0).map((row) => [...row]);
  return rows.length === 0 ? {} : { reply_markup: { inline_keyboard: rows } };
}

const textOptions = (part: MessagePart) => ({
  parse_mode: 'HTML' as const,
  ...(part.hasPreview ? {} : { link_preview_options: { is_disabled: true } }),
  ...markupOf(part),
});

const captionOf = ({ html }: MessagePart) =>
  html === '' ? {} : ({ caption: html, parse_mode: 'HTML' } as const);

async function sendPart(api: Api, chatId: number, part: MessagePart): Promise<number> {
  const { html, media } = part;
  const message =
    media === null
      ? await api.sendMessage(chatId, html, textOptions(part))
      : await sendMedia(api, chatId, media, { ...captionOf(part), ...markupOf(part) });
  return message.message_id;
}

async function editPart(
  api: Api,
  chatId: number,
  messageId: number,
  part: MessagePart,
): Promise<void> {
  const { html, media } = part;
  if (media === null) {
    await api.editMessageText(chatId, messageId, html, textOptions(part));
    return;
  }
  const shown = { type: editedType(media), media: await fileOf(media), ...captionOf(part) };
  await api.editMessageMedia(chatId, messageId, shown, markupOf(part));
}

/** A voice note cannot be edited in; it is shown as audio. */
function editedType({ type }: PartMedia) {
  if (type === 'qr') return 'photo';
  return type === 'voice' ? 'audio' : type;
}

async function fileOf(media: PartMedia): Promise<InputFile | string> {
  if (media.type !== 'qr') return media.url;
  return new InputFile(await toBuffer(media.text, { margin: 2, scale: 8 }), 'pix.png');
}

async function sendMedia(
  api: Api,
  chatId: number,
  media: PartMedia,
  options: Parameters<Api['sendPhoto']>[2],
): Promise<{ message_id: number }> {
  const file = await fileOf(media);
  switch (media.type) {
    case 'qr':
    case 'photo':
      return api.sendPhoto(chatId, file, options);
    case 'video':
      return api.sendVideo(chatId, file, options);
    case 'animation':
      return api.sendAnimation(chatId, file, options);
    case 'audio':
      return api.sendAudio(chatId, file, options);
    case 'voice':
      return api.sendVoice(chatId, file, options);
    case 'document':
      return api.sendDocument(chatId, file, options);
  }
}
