/** The outbox to Telegram: queued → sending → sent | failed. */
import { type DataOf, envelop, type EventBody } from '@rastro/events';
import { append, type Queryable, type Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import type { Message } from '../core/message.ts';
import { leaseSeconds } from './work-loop.ts';

export interface QueuedMessage {
  readonly messageId: string;
  readonly leadId: string;
  readonly workspaceId: string;
  readonly botId: string;
  readonly chatId: number;
  readonly trackingToken: string | null;
  readonly kind: Message['kind'];
  readonly content: Message;
  /** Including the one that has just been claimed. */
  readonly attempts: number;
  readonly partsSent: number;
  readonly streamVersion: number;
  readonly createdAt: Date;
}

/** Queues behind everything else of the chat; a second one of the same name is not queued. */
export async function queueMessage(
  tx: Transaction,
  entry: {
    row: { leadId: string; workspaceId: string; botId: string; telegramUserId: number };
    trackingToken: string | null;
    message: Message;
    onceKey: string | null;
    /** Another chat than the customer's own. */
    chatId?: number;
  },
): Promise<void> {
  const { row, trackingToken, message, onceKey, chatId = row.telegramUserId } = entry;
  await tx`
    insert into messages
      (message_id, lead_id, workspace_id, bot_id, chat_id, tracking_token, kind, content, once_key)
    values (${newId()}, ${row.leadId}, ${row.workspaceId}, ${row.botId}, ${chatId},
      ${trackingToken}, ${message.kind}, ${tx.json(message as never)}, ${onceKey})
    on conflict do nothing`;
}

/**
 * Marks messages as being sent, the oldest of each chat and one per chat. One whose process died
 * while it was sending is taken again: all kinds may arrive twice, none may get lost.
 */
export async function claimMessages(sql: Queryable, limit: number): Promise<QueuedMessage[]> {
  return sql<QueuedMessage[]>`
    update messages set status = 'sending', attempts = attempts + 1,
      leased_until = now() + ${leaseSeconds} * interval '1 second'
    where position in (
      select due.position from messages due
      where due.status in ('queued', 'sending') and due.next_attempt_at <= now()
        and (due.status = 'queued' or due.leased_until < now())
        and not exists (
          select 1 from messages other
          where other.bot_id = due.bot_id and other.chat_id = due.chat_id
            and other.position <> due.position and other.status in ('queued', 'sending')
            and (other.position < due.position or other.status = 'sending'))
      order by due.next_attempt_at limit ${limit} for update skip locked)
    returning message_id, lead_id, workspace_id, bot_id, chat_id, tracking_token, kind, content,
      attempts, parts_sent, stream_version, created_at`;
}

export async function renewMessages(
  sql: Queryable,
  messages: readonly QueuedMessage[],
): Promise<void> {
  const ids = messages.map(({ messageId }) => messageId);
  await sql`
    update messages set leased_until = now() + ${leaseSeconds} * interval '1 second'
    where message_id = any(${ids}) and status = 'sending'`;
}

export async function markPartSent(sql: Queryable, messageId: string): Promise<void> {
  await sql`update messages set parts_sent = parts_sent + 1 where message_id = ${messageId}`;
}

export async function postponeMessage(
  sql: Queryable,
  messageId: string,
  postponement: { afterMs: number; code: number; reason: string },
): Promise<void> {
  const { afterMs, code, reason } = postponement;
  await sql`
    update messages set status = 'queued', error_code = ${code}, error = ${reason},
      next_attempt_at = now() + ${afterMs} * interval '1 millisecond'
    where message_id = ${messageId} and status = 'sending'`;
}

/** Records that Telegram has it. Whoever was slower than another process changes nothing. */
export async function markSent(
  tx: Transaction,
  message: QueuedMessage,
  sent: { telegramMessageId: number; at: string },
): Promise<void> {
  const { telegramMessageId, at } = sent;
  const rows = await tx`
    update messages set status = 'sent', telegram_message_id = ${telegramMessageId},
      stream_version = stream_version + 1, error = null, error_code = null
    where message_id = ${message.messageId} and status = 'sending'
      and stream_version = ${message.streamVersion} returning 1`;
  if (rows.length === 0) return;
  const data = { ...identity(message), telegramMessageId, sentAt: at };
  await record(tx, message, { type: 'MessageSent', data }, at);
}

export async function markFailed(
  tx: Transaction,
  message: QueuedMessage,
  failure: { code: number; reason: string; at: string },
): Promise<void> {
  const { code, reason, at } = failure;
  const rows = await tx`
    update messages set status = 'failed', error_code = ${code}, error = ${reason},
      stream_version = stream_version + 1
    where message_id = ${message.messageId} and status = 'sending'
      and stream_version = ${message.streamVersion} returning 1`;
  if (rows.length === 0) return;
  const data = { ...identity(message), errorCode: code, reason, failedAt: at };
  await record(tx, message, { type: 'MessageFailed', data }, at);
}

function identity(
  message: QueuedMessage,
): Pick<DataOf<'MessageSent'>, 'leadId' | 'botId' | 'trackingToken' | 'messageId' | 'kind'> {
  const { leadId, botId, trackingToken, messageId, kind } = message;
  return { leadId, botId, trackingToken, messageId, kind };
}

async function record(
  tx: Transaction,
  message: QueuedMessage,
  body: EventBody<'MessageSent' | 'MessageFailed'>,
  at: string,
): Promise<void> {
  const { messageId, workspaceId, leadId, streamVersion } = message;
  const event = envelop(body, {
    id: newId(),
    time: at,
    source: 'bot-funnel',
    workspaceId,
    aggregateId: leadId,
    causationId: messageId,
  });
  const streamId = `message-${messageId}`;
  await append(tx, { streamId, expectedVersion: streamVersion, events: [event] });
}

/**
 * Queues again what a blocked customer has missed. Steps are left out, since whoever comes back
 * is shown where he is; so is a PIX that is no longer payable.
 */
export async function releaseKeptMessages(
  tx: Transaction,
  leadId: string,
  at: string,
): Promise<void> {
  await tx`
    update messages set status = 'queued', attempts = 0, next_attempt_at = now(), created_at = now()
    where lead_id = ${leadId} and status = 'failed' and error_code = 403 and kind <> 'step'
      and (kind <> 'pix' or content -> 'pix' ->> 'expiresAt' > ${at})`;
}
