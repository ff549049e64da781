/** The outbox to Telegram: queued → sent | failed; its chat's lane says when and by whom. */
import type { Queryable, Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import type { Message } from '../core/message.ts';
import { chatPaceMs } from '../core/retry.ts';
import type { Progress } from '../core/sending.ts';
import type { ClaimedLane } from './lane-table.ts';

export interface QueuedMessage extends Progress {
  readonly messageId: string;
  readonly leadId: string;
  readonly workspaceId: string;
  readonly botId: string;
  readonly chatId: number;
  readonly trackingToken: string | null;
  readonly kind: Message['kind'];
  readonly content: Message;
  readonly streamVersion: number;
  readonly createdAt: Date;
}

/** A message to be queued, of a lead whose Telegram user is known. */
export interface NewMessage {
  readonly row: { leadId: string; workspaceId: string; botId: string; telegramUserId: number };
  /** Another chat than the lead's own. */
  readonly chatId?: number;
  readonly trackingToken: string | null;
  readonly message: Message;
  readonly onceKey: string | null;
}

/**
 * Queues behind everything else of the chats, in the order given; a second one of the same name to
 * the same lead is not queued.
 */
export async function queueMessages(
  tx: Transaction,
  messages: readonly NewMessage[],
): Promise<void> {
  if (messages.length === 0) return;
  const column = <T>(read: (one: NewMessage) => T): T[] => messages.map(read);
  // The conflict locks the lane until the commit, also where it is waiting already: whoever has
  // just sent its last message sees this one before he calls the lane empty.
  await tx`
    with queued as (
      insert into messages
        (message_id, lead_id, workspace_id, bot_id, chat_id, tracking_token, kind, content, once_key)
      select message_id, lead_id, workspace_id, bot_id, chat_id, tracking_token, kind,
        content::jsonb, once_key
      from unnest(${column(() => newId())}::uuid[], ${column(({ row }) => row.leadId)}::uuid[],
        ${column(({ row }) => row.workspaceId)}::text[], ${column(({ row }) => row.botId)}::text[],
        ${column(({ row, chatId }) => String(chatId ?? row.telegramUserId))}::bigint[],
        ${column(({ trackingToken }) => trackingToken)}::text[],
        ${column(({ message }) => message.kind)}::text[],
        ${column(({ message }) => JSON.stringify(message))}::text[],
        ${column(({ onceKey }) => onceKey)}::text[])
        with ordinality as given (message_id, lead_id, workspace_id, bot_id, chat_id,
          tracking_token, kind, content, once_key, place)
      order by place
      on conflict do nothing returning bot_id, chat_id),
    paced as (
      insert into bot_paces (bot_id) select distinct bot_id from queued order by bot_id
      on conflict do nothing)
    insert into chat_lanes (bot_id, chat_id, is_waiting)
    select distinct bot_id, chat_id, true from queued order by bot_id, chat_id
    on conflict (bot_id, chat_id) do update set is_waiting = true
      where not chat_lanes.is_waiting`;
}

/** The oldest message of each lane that has one. */
export async function nextMessages(
  sql: Queryable,
  lanes: readonly ClaimedLane[],
): Promise<QueuedMessage[]> {
  const botIds = lanes.map(({ botId }) => botId);
  const chatIds = lanes.map(({ chatId }) => String(chatId));
  return sql<QueuedMessage[]>`
    select next.* from unnest(${botIds}::text[], ${chatIds}::bigint[]) as lane (bot_id, chat_id)
    cross join lateral (
      select message_id, lead_id, workspace_id, bot_id, chat_id, tracking_token, kind, content,
        attempts, parts_sent, placeholder_id, is_without_links, stream_version, created_at
      from messages
      where bot_id = lane.bot_id and chat_id = lane.chat_id and status = 'queued'
      order by position limit 1) as next`;
}

/**
 * Queues again what a blocked customer has missed. Steps are left out, since whoever comes back
 * is shown where he is; so is a PIX that is no longer payable. A placeholder's id is kept: what it
 * was edited into, with an answer that got lost, must not come twice. The lane is taken from whoever
 * sends there now: a refusal that he still brings home is older than the customer's return.
 */
export async function releaseKeptMessages(
  tx: Transaction,
  leadId: string,
  at: string,
): Promise<void> {
  await tx`
    update messages set status = 'queued', attempts = 0, created_at = now()
    where lead_id = ${leadId} and status = 'failed' and error_code = 403 and kind <> 'step'
      and (kind <> 'pix' or content -> 'pix' ->> 'expiresAt' > ${at})
      and chat_id = (select telegram_user_id from leads where lead_id = ${leadId})`;
  // Also where nothing was kept: whoever claims an empty lane finds that out.
  await tx`
    update chat_lanes set is_waiting = true, lease_id = null, is_blocked = false,
      due_at = now() + ${chatPaceMs} * interval '1 millisecond'
    from leads where leads.lead_id = ${leadId} and chat_lanes.bot_id = leads.bot_id
      and chat_lanes.chat_id = leads.telegram_user_id`;
}
