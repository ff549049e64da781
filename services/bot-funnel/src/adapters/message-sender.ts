/** Publisher: works off the outbox to Telegram and records how each message ended. */
import type { Sql } from '@rastro/event-store';
import type { Counter, Logger } from '@rastro/runtime';
import type { Api } from 'grammy';
import { decide } from '../core/decide.ts';
import { sendGiveUpMs, sendRetryMs } from '../core/retry.ts';
import { findLead, saveDecision } from './lead-store.ts';
import { renderMessage } from '../core/rendering.ts';
import {
  claimMessages,
  markFailed,
  markPartSent,
  markSent,
  postponeMessage,
  type QueuedMessage,
  renewMessages,
} from './message-table.ts';
import { type CallFailure, type CallResult, sendPart } from './telegram.ts';
import { startWorkLoop, type WorkLoop } from './work-loop.ts';

export interface SenderOptions {
  readonly sql: Sql;
  readonly log: Logger;
  /** Undefined for a bot that the catalog no longer has, or whose token cannot be read. */
  readonly apiOf: (botId: string) => Api | undefined;
  /** Telegram refused the bot's token. */
  readonly onUnauthorized: (botId: string) => void;
  readonly sends: Counter<'kind' | 'outcome'>;
}

/** Chats that are sent to at the same time. */
const concurrency = 32;

export function startMessageSender(options: SenderOptions): WorkLoop {
  const { sql, log } = options;
  return startWorkLoop<QueuedMessage>({
    concurrency,
    claim: (limit) => claimMessages(sql, limit),
    renew: (messages) => renewMessages(sql, messages),
    work: (message) => send(options, message),
    onError: (error) => log.error({ err: error }, 'sending was interrupted'),
  });
}

async function send(options: SenderOptions, message: QueuedMessage): Promise<void> {
  const { sql, log, sends } = options;
  const { messageId, botId, kind } = message;
  const result = await deliver(options, message);
  sends.inc({ kind, outcome: result.ok ? 'sent' : result.failure.type });
  const at = new Date().toISOString();
  if (result.ok) {
    await sql.begin((tx) => markSent(tx, message, { telegramMessageId: result.value, at }));
    return;
  }
  const { failure } = result;
  log.info({ botId, messageId, kind, failure }, 'a message was not sent');
  if (failure.type === 'unauthorized') options.onUnauthorized(botId);
  await settleFailure(sql, message, failure, at);
}

async function deliver(
  { sql, apiOf }: SenderOptions,
  message: QueuedMessage,
): Promise<CallResult<number>> {
  const { botId, chatId, messageId, partsSent, content } = message;
  const api = apiOf(botId);
  if (api === undefined) {
    const reason = `bot ${botId} is not set up`;
    return { ok: false, failure: { type: 'unauthorized', code: 401, reason } };
  }
  const parts = renderMessage(content);
  let result: CallResult<number> = { ok: true, value: 0 };
  for (const [index, part] of parts.entries()) {
    if (index < partsSent) continue;
    result = await sendPart(api, chatId, part);
    if (!result.ok) return result;
    if (index < parts.length - 1) await markPartSent(sql, messageId);
  }
  return result;
}

async function settleFailure(
  sql: Sql,
  message: QueuedMessage,
  failure: CallFailure,
  at: string,
): Promise<void> {
  const { messageId, attempts, createdAt, leadId } = message;
  const { reason } = failure;
  if (failure.type === 'rate_limited') {
    await postponeMessage(sql, messageId, { afterMs: failure.retryAfterMs, code: 429, reason });
    return;
  }
  const { code } = failure;
  const isTooOld = Date.parse(at) - createdAt.getTime() > sendGiveUpMs;
  const isToRetry = failure.type === 'unknown' || failure.type === 'unauthorized';
  if (isToRetry && !isTooOld) {
    await postponeMessage(sql, messageId, { afterMs: sendRetryMs(attempts), code, reason });
    return;
  }
  await sql.begin(async (tx) => {
    // The lead is locked first, as everywhere, so that two writers never wait for each other.
    const loaded = failure.type === 'blocked' ? await findLead(tx, { leadId }) : null;
    await markFailed(tx, message, { code, reason, at });
    if (!loaded) return;
    const decision = decide(loaded.lead, { type: 'NoteContact', at, isBlocked: true });
    await saveDecision(tx, loaded, decision, { at, causationId: messageId });
  });
}
