/**
 * How a message gets into a chat, one call to Telegram at a time. Telegram has no idempotency key,
 * so what must not stand there twice is sent as a placeholder, whose id is kept, and edited.
 */
import { type MessagePart, placeholderPart } from './message-part.ts';
import { chatPaceMs, sendGiveUpMs, sendRetryMs } from './retry.ts';

/** How one call failed. `unknown`: it may have been carried out or not. */
export type CallFailure =
  | { readonly type: 'rate_limited'; readonly retryAfterMs: number; readonly reason: string }
  /** The message to edit is not there any more. */
  | { readonly type: 'gone'; readonly code: number; readonly reason: string }
  | { readonly type: 'blocked'; readonly code: number; readonly reason: string }
  | { readonly type: 'unauthorized'; readonly code: number; readonly reason: string }
  | { readonly type: 'refused'; readonly code: number; readonly reason: string }
  | { readonly type: 'unknown'; readonly code: number; readonly reason: string };

export type CallResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: CallFailure };

/** How far a message has come. */
export interface Progress {
  readonly partsSent: number;
  /** Telegram's id of the message that is to be edited into the next part. */
  readonly placeholderId: number | null;
  /** The next part goes without its link buttons. */
  readonly isWithoutLinks: boolean;
  /** Failures of the next call so far; a 429 is none. */
  readonly attempts: number;
}

export type Call =
  | { readonly type: 'send' | 'placeholder'; readonly part: MessagePart }
  | { readonly type: 'edit'; readonly part: MessagePart; readonly telegramMessageId: number };

export type Outcome =
  | { readonly type: 'sent'; readonly telegramMessageId: number }
  | { readonly type: 'failed'; readonly code: number; readonly reason: string }
  | {
      readonly type: 'unfinished';
      readonly progress: Progress;
      readonly waitMs: number;
      readonly failure: { readonly code: number; readonly reason: string } | null;
    };

export function nextCall(parts: readonly MessagePart[], progress: Progress): Call {
  const { placeholderId, isWithoutLinks } = progress;
  const part = partOf(parts, progress);
  const shown = isWithoutLinks ? withoutLinks(part) : part;
  if (part.placeholder === null) return { type: 'send', part: shown };
  if (placeholderId === null)
    return { type: 'placeholder', part: placeholderPart(part.placeholder) };
  return { type: 'edit', part: shown, telegramMessageId: placeholderId };
}

function partOf(parts: readonly MessagePart[], { partsSent }: Progress): MessagePart {
  const part = parts[Math.min(partsSent, parts.length - 1)];
  if (part === undefined) throw new Error('a message has at least one part');
  return part;
}

const hasLink = ({ keyboard }: MessagePart): boolean =>
  keyboard.flat().some((button) => 'url' in button);

const withoutLinks = (part: MessagePart): MessagePart => ({
  ...part,
  keyboard: part.keyboard.map((row) => row.filter((button) => !('url' in button))),
});

/**
 * What a call's result means for its message.
 * @param circumstances `random` from 0 to 1 spreads the retries (full jitter)
 */
export function afterCall(
  parts: readonly MessagePart[],
  progress: Progress,
  result: CallResult<number>,
  circumstances: { ageMs: number; random: number },
): Outcome {
  const call = nextCall(parts, progress);
  if (!result.ok) return afterFailure(call, progress, result.failure, circumstances);
  const { value: telegramMessageId } = result;
  if (call.type === 'placeholder') {
    return unfinished({ ...progress, placeholderId: telegramMessageId, attempts: 0 });
  }
  const partsSent = progress.partsSent + 1;
  if (partsSent >= parts.length) return { type: 'sent', telegramMessageId };
  return unfinished({ partsSent, placeholderId: null, isWithoutLinks: false, attempts: 0 });
}

const unfinished = (
  progress: Progress,
  waitMs = chatPaceMs,
  failure: { code: number; reason: string } | null = null,
): Outcome => ({ type: 'unfinished', progress, waitMs, failure });

function afterFailure(
  call: Call,
  progress: Progress,
  failure: CallFailure,
  { ageMs, random }: { ageMs: number; random: number },
): Outcome {
  const { reason } = failure;
  if (failure.type === 'rate_limited') {
    const waitMs = Math.max(chatPaceMs, failure.retryAfterMs);
    return unfinished(progress, waitMs, { code: 429, reason });
  }
  const failed = { code: failure.code, reason };
  const attempts = progress.attempts + 1;
  // One address that Telegram does not take as a button must not keep the whole text away.
  if (failure.type === 'refused' && hasLink(call.part)) {
    return unfinished({ ...progress, attempts, isWithoutLinks: true }, chatPaceMs, failed);
  }
  if (failure.type === 'blocked' || failure.type === 'refused' || ageMs > sendGiveUpMs) {
    return { type: 'failed', ...failed };
  }
  const backoffMs = Math.max(chatPaceMs, Math.round(sendRetryMs(attempts) * random));
  switch (failure.type) {
    case 'gone':
      // The customer has deleted it, so that a new one does not stand beside it.
      return unfinished({ ...progress, attempts, placeholderId: null }, backoffMs, failed);
    case 'unauthorized':
      // It is the bot that waits, with all its chats.
      return unfinished({ ...progress, attempts }, chatPaceMs, failed);
    case 'unknown':
      return unfinished({ ...progress, attempts }, backoffMs, failed);
  }
}
