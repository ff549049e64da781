/** Loads a lead from its two histories and writes down what was decided, in one transaction. */
import { envelop, type RastroEvent } from '@rastro/events';
import { append, type Queryable, readStream, type Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import type { PaymentFact } from '../core/checkout.ts';
import type { Decision, LeadEvent } from '../core/decision.ts';
import { evolve, type Lead, newLead } from '../core/lead.ts';
import { queueMessage, releaseKeptMessages } from './message-table.ts';
import { requestPayment } from './payment-request-table.ts';

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
  await tx`
    insert into leads (lead_id, workspace_id, bot_id, telegram_user_id)
    values (${newId()}, ${workspaceId}, ${botId}, ${telegramUserId})
    on conflict do nothing`;
  const loaded = await findLead(tx, { botId, telegramUserId });
  if (!loaded) throw new Error(`no lead of bot ${botId} could be opened`);
  return loaded;
}

type LeadKey =
  | { readonly leadId: string }
  | { readonly botId: string; readonly telegramUserId: number };

/** Locks the lead until the transaction ends, so that its writers take turns. */
export async function findLead(tx: Transaction, key: LeadKey): Promise<LoadedLead | null> {
  const condition =
    'leadId' in key
      ? tx`lead_id = ${key.leadId}`
      : tx`bot_id = ${key.botId} and telegram_user_id = ${key.telegramUserId}`;
  const [row] = await tx<LeadRow[]>`
    select lead_id, workspace_id, bot_id, telegram_user_id from leads
    where ${condition} for update`;
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
export type LiveEffect = Decision['effects'][number] & {
  type: 'answerPress' | 'revalidatePayment';
};

/** @returns what is left to do after the commit. */
export async function saveDecision(
  tx: Transaction,
  loaded: LoadedLead,
  decision: Decision,
  circumstances: { at: string; causationId: string },
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
  const after = decision.events.reduce(evolve, lead);
  const live: LiveEffect[] = [];
  for (const effect of decision.effects) {
    switch (effect.type) {
      case 'sendMessage': {
        const { message, onceKey = null } = effect;
        const trackingToken = after.click?.trackingToken ?? null;
        await queueMessage(tx, { row, trackingToken, message, onceKey });
        break;
      }
      case 'createPayment':
        await requestPayment(tx, row, effect);
        break;
      case 'releaseKeptMessages':
        await releaseKeptMessages(tx, leadId, at);
        break;
      case 'answerPress':
      case 'revalidatePayment':
        live.push(effect);
    }
  }
  return live;
}
