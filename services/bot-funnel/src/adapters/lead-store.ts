/** Loads a lead from its two histories and writes down what was decided, in one transaction. */
import { envelop, type RastroEvent } from '@rastro/events';
import { append, type Queryable, readStream, type Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import type { PaymentFact } from '../core/checkout.ts';
import type { Decision, Effect, LeadEvent } from '../core/decision.ts';
import { type Click, clickOf, evolve, type Lead, newLead } from '../core/lead.ts';
import { eraseLead } from './erasure.ts';
import { queueMessages, releaseKeptMessages } from './message-table.ts';
import { requestPayment } from './payment-request-table.ts';
import { cancelTimers, setTimer } from './timer-table.ts';

export interface LeadRow {
  readonly leadId: string;
  readonly workspaceId: string;
  readonly botId: string;
  readonly telegramUserId: number;
}

export interface LoadedLead {
  readonly row: LeadRow;
  readonly version: number;
  readonly lead: Lead;
}

const service = 'bot-funnel';

/** The lead of a Telegram user; at the first contact it is created. */
export async function openLead(tx: Transaction, who: Omit<LeadRow, 'leadId'>): Promise<LoadedLead> {
  const { workspaceId, botId, telegramUserId } = who;
  const known = await findLead(tx, { botId, telegramUserId });
  if (known) return known;
  await tx`
    insert into leads (lead_id, workspace_id, bot_id, telegram_user_id)
    values (${newId()}, ${workspaceId}, ${botId}, ${telegramUserId})
    on conflict do nothing`;
  const opened = await findLead(tx, { botId, telegramUserId });
  if (!opened) throw new Error(`no lead of bot ${botId} could be opened`);
  return opened;
}

type LeadKey =
  | { readonly leadId: string }
  | { readonly botId: string; readonly telegramUserId: number };

/**
 * Locks the lead until the transaction ends, so that its writers take turns. Null also for one that
 * was erased: nothing can be said to him, and nothing is to be remembered.
 */
export async function findLead(tx: Transaction, key: LeadKey): Promise<LoadedLead | null> {
  const condition =
    'leadId' in key
      ? tx`lead_id = ${key.leadId}`
      : tx`bot_id = ${key.botId} and telegram_user_id = ${key.telegramUserId}`;
  const [row] = await tx<LeadRow[]>`
    select lead_id, workspace_id, bot_id, telegram_user_id from leads
    where ${condition} and telegram_user_id is not null for update`;
  if (!row) return null;
  const own = await readStream(tx, streamOf(row.leadId));
  const observed = await readObserved(tx, row.leadId);
  const history = [...own, ...observed] as (LeadEvent | PaymentFact)[];
  return { row, version: own.length, lead: history.reduce(evolve, newLead(row)) };
}

const streamOf = (leadId: string): string => `lead-${leadId}`;

async function readObserved(sql: Queryable, leadId: string): Promise<RastroEvent[]> {
  const rows = await sql<{ event: RastroEvent }[]>`
    select event from observed_payments where lead_id = ${leadId} order by position`;
  return rows.map(({ event }) => event);
}

/** The last click that a Telegram user was bound to in any bot of these pools. */
export async function findBoundClick(
  sql: Queryable,
  who: { workspaceId: string; telegramUserId: number; poolIds: readonly string[] },
): Promise<Click | null> {
  const { workspaceId, telegramUserId, poolIds } = who;
  const [click] = await sql<Click[]>`
    select tracking_token, pool_id from leads
    where workspace_id = ${workspaceId} and telegram_user_id = ${telegramUserId}
      and tracking_token is not null and pool_id = any(${poolIds as string[]})
    order by bound_at desc limit 1`;
  return click ?? null;
}

/** Adds a payment event to what the lead has seen. */
export async function rememberPayment(
  tx: Transaction,
  leadId: string,
  event: RastroEvent,
): Promise<void> {
  await tx`
    insert into observed_payments (lead_id, event_id, event)
    values (${leadId}, ${event.id}, ${tx.json(event as never)})
    on conflict do nothing`;
}

/** Effects that are no rows: they are carried out once the transaction has been committed. */
export type LiveEffect = Extract<Effect, { type: 'answerPress' | 'revalidatePayment' }>;

export interface SavingCircumstances {
  readonly at: string;
  readonly causationId: string;
  /** Where the bot's operator reads notes; without one there is nobody to tell. */
  readonly operatorChatId?: number | undefined;
}

/** @returns what is left to do after the commit. */
export async function saveDecision(
  tx: Transaction,
  loaded: LoadedLead,
  decision: Decision,
  circumstances: SavingCircumstances,
): Promise<LiveEffect[]> {
  const { row, version, lead } = loaded;
  const { at, causationId } = circumstances;
  const { leadId, workspaceId } = row;
  const events = decision.events.map((body) =>
    envelop(body, {
      id: newId(),
      time: at,
      source: service,
      workspaceId,
      aggregateId: leadId,
      causationId,
    }),
  );
  await append(tx, { streamId: streamOf(leadId), expectedVersion: version, events });
  await rememberClick(tx, leadId, decision.events);
  const isErased = decision.effects.some(({ type }) => type === 'eraseLead');
  if (isErased) await eraseLead(tx, { leadId, streamId: streamOf(leadId), keptFrom: version + 1 });
  const after = decision.events.reduce(evolve, lead);
  const trackingToken = clickOf(after)?.trackingToken ?? null;
  const live: LiveEffect[] = [];
  for (const effect of decision.effects) {
    if (effect.type === 'answerPress' || effect.type === 'revalidatePayment') live.push(effect);
    else await carryOut(tx, effect, { row, trackingToken, circumstances });
  }
  return live;
}

async function rememberClick(
  tx: Transaction,
  leadId: string,
  events: readonly LeadEvent[],
): Promise<void> {
  const started = events.find(({ type }) => type === 'FunnelStarted');
  if (started?.type !== 'FunnelStarted' || started.data.trackingToken === null) return;
  const { trackingToken, poolId, startedAt } = started.data;
  await tx`
    update leads set tracking_token = ${trackingToken}, pool_id = ${poolId}, bound_at = ${startedAt}
    where lead_id = ${leadId}`;
}

/** Turns one effect into rows, for a loop that works them off. */
async function carryOut(
  tx: Transaction,
  effect: Exclude<Effect, LiveEffect>,
  context: { row: LeadRow; trackingToken: string | null; circumstances: SavingCircumstances },
): Promise<void> {
  const { row, trackingToken, circumstances } = context;
  const { leadId } = row;
  switch (effect.type) {
    case 'sendMessage': {
      const { message, onceKey = null } = effect;
      return queueMessages(tx, [{ row, trackingToken, message, onceKey }]);
    }
    case 'tellOperator': {
      const { operatorChatId: chatId } = circumstances;
      if (chatId === undefined) return undefined;
      const { notice, onceKey } = effect;
      const message = { kind: 'notice', notice } as const;
      return queueMessages(tx, [{ row, trackingToken: null, message, onceKey, chatId }]);
    }
    case 'createPayment':
      return requestPayment(tx, row, effect);
    case 'releaseKeptMessages':
      return releaseKeptMessages(tx, leadId, circumstances.at);
    case 'setTimer':
      return setTimer(tx, leadId, effect);
    case 'cancelTimers':
      return cancelTimers(tx, leadId, effect.prefix);
    case 'eraseLead':
      // Done before the messages are queued that say so.
      return undefined;
  }
}
