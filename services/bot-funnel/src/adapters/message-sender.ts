/** Publisher: works off the outbox to Telegram, one call at a time, and records how each ended. */
import type { Sql } from '@rastro/event-store';
import type { Counter, Logger } from '@rastro/runtime';
import type { Api } from 'grammy';
import { decide } from '../core/decide.ts';
import { renderMessage } from '../core/rendering.ts';
import { refusedTokenMs } from '../core/retry.ts';
import {
  afterCall,
  type Call,
  type CallFailure,
  type CallResult,
  nextCall,
} from '../core/sending.ts';
import { createFloodWatch, type FloodWatch } from './flood-watch.ts';
import {
  blockLane,
  type ClaimedLane,
  claimLanes,
  freeIdleLanes,
  renewLanes,
} from './lane-table.ts';
import { saveDecision } from './decision-store.ts';
import { findLead } from './lead-store.ts';
import { nextMessages, type QueuedMessage } from './message-table.ts';
import { type CallReport, recordReports } from './outcome-table.ts';
import { createReportWriter, type ReportWriter } from './report-writer.ts';
import { createTokenWatch, type TokenWatch } from './token-watch.ts';
import { attempt, carryOut } from './telegram.ts';
import { startWorkLoop, type WorkLoop } from './work-loop.ts';

export interface SenderOptions {
  readonly sql: Sql;
  readonly log: Logger;
  /** Undefined for a bot that the catalog no longer has, or whose token cannot be read. */
  readonly apiOf: (botId: string) => Api | undefined;
  /** Telegram refused the bot's token. */
  readonly onUnauthorized: (botId: string) => void;
  /** How each call ended: what the bot's health is told from. */
  readonly onOutcome: (botId: string, outcome: 'sent' | CallFailure['type']) => void;
  readonly sends: Counter<'kind' | 'outcome'>;
}

/** Chats that are sent to at the same time. */
const concurrency = 64;
/** How late a message may be whose chat had to wait; a new one is sent at once. */
const pollMs = 100;
/** Claiming for many at once is cheaper than for each that ends. */
const pauseMs = 50;

interface Errand {
  readonly lane: ClaimedLane;
  readonly message: QueuedMessage;
}

interface Sender extends SenderOptions {
  readonly writer: ReportWriter;
  readonly flood: FloodWatch;
  readonly tokens: TokenWatch;
}

export function startMessageSender(options: SenderOptions): WorkLoop {
  const { sql, log, apiOf } = options;
  const writer = createReportWriter({ sql });
  const tokens = createTokenWatch({ sql, apiOf });
  const sender: Sender = { ...options, writer, tokens, flood: createFloodWatch() };
  return startWorkLoop<Errand>({
    concurrency,
    pollMs,
    pauseMs,
    claim: async (limit) => {
      await tokens.look();
      return claimErrands(sql, limit);
    },
    renew: (errands) =>
      renewLanes(
        sql,
        errands.map(({ lane }) => lane),
      ),
    work: (errand) => send(sender, errand),
    onError: (error) => log.error({ err: error }, 'sending was interrupted'),
  });
}

async function claimErrands(sql: Sql, limit: number): Promise<Errand[]> {
  const lanes = await claimLanes(sql, limit);
  if (lanes.length === 0) return [];
  const messages = await nextMessages(sql, lanes);
  const byChat = new Map(messages.map((one) => [`${one.botId}/${one.chatId}`, one]));
  const errands = lanes.flatMap((lane) => {
    const message = byChat.get(`${lane.botId}/${lane.chatId}`);
    return message === undefined ? [] : [{ lane, message }];
  });
  const busy = new Set(errands.map(({ lane }) => lane));
  const idle = lanes.filter((lane) => !busy.has(lane));
  if (idle.length > 0) await freeIdleLanes(sql, idle);
  return errands;
}

/** Makes the message's next call. What comes after it is claimed again, when its chat may be used. */
async function send(sender: Sender, { lane, message }: Errand): Promise<void> {
  const { apiOf, log, onOutcome, sends, writer } = sender;
  const { messageId, botId, chatId, kind, createdAt } = message;
  const parts = renderMessage(message.content);
  const call = nextCall(parts, message);
  const api = apiOf(botId);
  const result = await carryOutIn(lane, api, call);
  sends.inc({ kind, outcome: endedAs(call, result) });
  onOutcome(botId, result.ok ? 'sent' : result.failure.type);
  if (!result.ok) {
    log.info({ botId, messageId, kind, failure: result.failure }, 'a message was not sent');
  }
  const ageMs = Date.now() - createdAt.getTime();
  const outcome = afterCall(parts, message, result, { ageMs, random: Math.random() });
  const botPauseMs = pauseAfter(sender, { botId, chatId, api }, result);
  const report = { lane, message, outcome, botPauseMs, at: new Date().toISOString() };
  const isBlocked = !result.ok && result.failure.type === 'blocked';
  const hold = isBlocked ? await recordBlocked(sender, report) : await writer.write(report);
  const orphan = orphanOf(report, { call, result, hold });
  if (orphan === null || api === undefined) return;
  await attempt(() => api.deleteMessage(chatId, orphan));
}

function endedAs(call: Call, result: CallResult<number>): string {
  if (!result.ok) return result.failure.type;
  return call.type === 'placeholder' ? 'placeholder' : 'sent';
}

async function carryOutIn(
  { botId, chatId, isBlocked }: ClaimedLane,
  api: Api | undefined,
  call: Call,
): Promise<CallResult<number>> {
  if (isBlocked) {
    // What gets through before he is known to be back would overtake what is kept for him.
    const reason = 'kept until the customer comes back';
    return { ok: false, failure: { type: 'blocked', code: 403, reason } };
  }
  if (api !== undefined) return carryOut(api, chatId, call);
  const reason = `bot ${botId} is not set up`;
  return { ok: false, failure: { type: 'unauthorized', code: 401, reason } };
}

function pauseAfter(
  { onUnauthorized, flood, tokens }: Sender,
  where: { botId: string; chatId: number; api: Api | undefined },
  result: CallResult<number>,
): number {
  if (result.ok) return 0;
  const { botId, chatId, api } = where;
  const { failure } = result;
  if (failure.type === 'unauthorized') {
    onUnauthorized(botId);
    tokens.refused(botId, api);
    return refusedTokenMs;
  }
  if (failure.type !== 'rate_limited') return 0;
  const { retryAfterMs } = failure;
  return flood.refused({ botId, chatId, retryAfterMs, atMs: performance.now() });
}

/** A placeholder that nobody will edit any more. */
function orphanOf(
  { message, outcome }: CallReport,
  ended: { call: Call; result: CallResult<number>; hold: 'held' | 'lost' },
): number | null {
  const { call, result, hold } = ended;
  if (hold === 'lost') return call.type === 'placeholder' && result.ok ? result.value : null;
  const isGivenUp =
    !result.ok && (result.failure.type === 'refused' || result.failure.type === 'unknown');
  return outcome.type === 'failed' && isGivenUp ? message.placeholderId : null;
}

/** The lead is locked first, as everywhere, so that two writers never wait for each other. */
async function recordBlocked({ sql }: Sender, report: CallReport): Promise<'held' | 'lost'> {
  const { message, at } = report;
  const { leadId, messageId, chatId } = message;
  return sql.begin(async (tx) => {
    const loaded = await findLead(tx, leadId);
    const hold = (await recordReports(tx, [report], 'wait')).get(report);
    // Somebody else's chat, of which the lead knows nothing.
    if (hold === 'held' && loaded?.row.telegramUserId === chatId) {
      const decision = decide(loaded.lead, { type: 'NoteContact', at, isBlocked: true });
      await saveDecision(tx, loaded, decision, { at, causationId: messageId });
      await blockLane(tx, report.lane);
    }
    return hold === 'held' ? 'held' : 'lost';
  });
}
