/** Writes down how calls ended: the messages, their events, their lanes and their bots, at once. */
import { type DataOf, envelop, type EventBody } from '@rastro/events';
import { appendAll, type Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import { chatPaceMs } from '../core/retry.ts';
import type { Outcome } from '../core/sending.ts';
import { type ClaimedLane, freeLanes, holdLanes, type LaneHold, pauseBots } from './lane-table.ts';
import type { QueuedMessage } from './message-table.ts';

/** One call to Telegram, over. */
export interface CallReport {
  readonly lane: ClaimedLane;
  readonly message: QueuedMessage;
  readonly outcome: Outcome;
  /** How long the whole bot is to be left alone; 0 for not at all. */
  readonly botPauseMs: number;
  readonly at: string;
}

/** @returns where each lane stood: only what was held has been written. */
export async function recordReports(
  tx: Transaction,
  reports: readonly CallReport[],
  patience: 'wait' | 'skip',
): Promise<Map<CallReport, LaneHold>> {
  const lanes = reports.map(({ lane }) => lane);
  const holds = await holdLanes(tx, lanes, patience);
  const held = reports.filter(({ lane }) => holds.get(lane) === 'held');
  if (held.length > 0) {
    const written = await updateMessages(tx, held);
    const changed = held.filter(({ message }) => written.has(message.messageId));
    await appendAll(tx, changed.flatMap(eventsOf));
    const waits = held.map(({ lane, outcome }) => ({ lane, waitMs: waitAfter(outcome) }));
    await freeLanes(tx, waits);
    const pauses = held
      .filter(({ botPauseMs }) => botPauseMs > 0)
      .map(({ lane, botPauseMs: pauseMs }) => ({ botId: lane.botId, pauseMs }));
    if (pauses.length > 0) await pauseBots(tx, pauses);
  }
  return new Map(reports.map((report) => [report, holds.get(report.lane) ?? 'busy']));
}

const waitAfter = (outcome: Outcome): number =>
  outcome.type === 'unfinished' ? outcome.waitMs : chatPaceMs;

/** @returns the ids of those that still were to be sent */
async function updateMessages(
  tx: Transaction,
  reports: readonly CallReport[],
): Promise<Set<string>> {
  const rows = await tx<{ messageId: string }[]>`
    update messages set status = own.status, telegram_message_id = own.telegram_message_id,
      parts_sent = own.parts_sent, placeholder_id = own.placeholder_id,
      is_without_links = own.is_without_links, attempts = own.attempts,
      error_code = own.error_code, error = own.error,
      stream_version = stream_version + case own.status when 'queued' then 0 else 1 end
    from jsonb_to_recordset(${tx.json(reports.map(rowOf))}) as own (
      message_id uuid, status text, telegram_message_id bigint, parts_sent integer,
      placeholder_id bigint, is_without_links boolean, attempts integer,
      error_code integer, error text)
    where messages.message_id = own.message_id and messages.status = 'queued'
    returning messages.message_id`;
  return new Set(rows.map(({ messageId }) => messageId));
}

function rowOf({ message, outcome }: CallReport) {
  const { type } = outcome;
  const progress = type === 'unfinished' ? outcome.progress : message;
  const failure = type === 'unfinished' ? outcome.failure : type === 'failed' ? outcome : null;
  return {
    message_id: message.messageId,
    status: type === 'unfinished' ? 'queued' : type,
    telegram_message_id: type === 'sent' ? outcome.telegramMessageId : null,
    parts_sent: progress.partsSent,
    placeholder_id: progress.placeholderId,
    is_without_links: progress.isWithoutLinks,
    attempts: progress.attempts,
    error_code: failure?.code ?? null,
    error: failure?.reason ?? null,
  };
}

type Append = Parameters<typeof appendAll>[1][number];

function eventsOf({ message, outcome, at }: CallReport): Append[] {
  if (outcome.type === 'unfinished') return [];
  const about = identity(message);
  const body: EventBody<'MessageSent' | 'MessageFailed'> =
    outcome.type === 'sent'
      ? {
          type: 'MessageSent',
          data: { ...about, telegramMessageId: outcome.telegramMessageId, sentAt: at },
        }
      : {
          type: 'MessageFailed',
          data: { ...about, errorCode: outcome.code, reason: outcome.reason, failedAt: at },
        };
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
  return [{ streamId, expectedVersion: streamVersion, events: [event] }];
}

function identity(
  message: QueuedMessage,
): Pick<DataOf<'MessageSent'>, 'leadId' | 'botId' | 'trackingToken' | 'messageId' | 'kind'> {
  const { leadId, botId, trackingToken, messageId, kind } = message;
  return { leadId, botId, trackingToken, messageId, kind };
}
