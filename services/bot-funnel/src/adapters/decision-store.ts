/** Writes down what was decided about leads, many at once: events, and effects as rows. */
import { envelop } from '@rastro/events';
import { appendAll, type Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import type { Decision, Effect, LeadEvent } from '../core/decision.ts';
import { clickOf, evolve, type Lead } from '../core/lead.ts';
import { eraseLead } from './erasure.ts';
import { type LoadedLead, type LeadRow, streamOf } from './lead-store.ts';
import { type NewMessage, queueMessages, releaseKeptMessages } from './message-table.ts';
import { requestPayment } from './payment-request-table.ts';
import { changeTimers } from './timer-table.ts';

const service = 'bot-funnel';

/** Effects that are no rows: they are carried out once the transaction has been committed. */
export type LiveEffect = Extract<Effect, { type: 'answerPress' | 'revalidatePayment' }>;

/** What was decided at one occasion, and what led to it. */
export interface Occasion {
  readonly decision: Decision;
  readonly at: string;
  readonly causationId: string;
  /** Where the bot's operator reads notes; without one there is nobody to tell. */
  readonly operatorChatId?: number | undefined;
}

/** All that was decided about one lead in this transaction, in order. */
export interface DecidedLead {
  readonly loaded: LoadedLead;
  readonly occasions: readonly Occasion[];
}

export function saveDecision(
  tx: Transaction,
  loaded: LoadedLead,
  decision: Decision,
  occasion: Omit<Occasion, 'decision'>,
): Promise<void> {
  return saveDecisions(tx, [{ loaded, occasions: [{ decision, ...occasion }] }]);
}

/** @param decided each lead once; live effects are left to the caller. */
export async function saveDecisions(
  tx: Transaction,
  decided: readonly DecidedLead[],
): Promise<void> {
  await appendAll(tx, decided.map(appendOf));
  await rememberClicks(tx, decided);
  for (const one of decided) await eraseWhereAsked(tx, one);
  await changeTimers(
    tx,
    decided.map(({ loaded, occasions }) => ({
      leadId: loaded.row.leadId,
      effects: effectsOf(occasions),
    })),
  );
  for (const one of decided) await carryOutSingly(tx, one);
  await queueMessages(tx, decided.flatMap(messagesOf));
}

const effectsOf = (occasions: readonly Occasion[]): Effect[] =>
  occasions.flatMap(({ decision }) => decision.effects);

function appendOf({ loaded, occasions }: DecidedLead): Parameters<typeof appendAll>[1][number] {
  const { row, version } = loaded;
  const { leadId, workspaceId } = row;
  const events = occasions.flatMap(({ decision, at: time, causationId }) =>
    decision.events.map((body) => {
      const circumstances = { id: newId(), time, source: service, workspaceId, causationId };
      return envelop(body, { ...circumstances, aggregateId: leadId });
    }),
  );
  return { streamId: streamOf(leadId), expectedVersion: version, events };
}

/** What is rare enough not to be gathered. */
async function carryOutSingly(tx: Transaction, { loaded, occasions }: DecidedLead): Promise<void> {
  for (const { decision, at } of occasions) {
    for (const effect of decision.effects) {
      if (effect.type === 'createPayment') await requestPayment(tx, loaded.row, effect);
      if (effect.type !== 'releaseKeptMessages') continue;
      await releaseKeptMessages(tx, loaded.row.leadId, at);
    }
  }
}

/** The last click of each lead, also for the other bots of its pool. */
async function rememberClicks(tx: Transaction, decided: readonly DecidedLead[]): Promise<void> {
  const bound = decided.flatMap(({ occasions }) => {
    const events = occasions.flatMap(({ decision }) => decision.events);
    const last = events.findLast(
      (event): event is LeadEvent & { type: 'FunnelStarted' } =>
        event.type === 'FunnelStarted' && event.data.trackingToken !== null,
    );
    return last === undefined ? [] : [last.data];
  });
  if (bound.length === 0) return;
  await tx`
    update leads set tracking_token = given.tracking_token, pool_id = given.pool_id,
      bound_at = given.bound_at
    from unnest(${bound.map(({ leadId }) => leadId)}::uuid[],
      ${bound.map(({ trackingToken }) => trackingToken)}::text[],
      ${bound.map(({ poolId }) => poolId)}::text[],
      ${bound.map(({ startedAt }) => startedAt)}::timestamptz[])
      as given (lead_id, tracking_token, pool_id, bound_at)
    where leads.lead_id = given.lead_id`;
}

/** Before anything else is queued that he is still to hear. */
async function eraseWhereAsked(tx: Transaction, { loaded, occasions }: DecidedLead): Promise<void> {
  if (!effectsOf(occasions).some(({ type }) => type === 'eraseLead')) return;
  const { leadId } = loaded.row;
  const events = occasions.flatMap(({ decision }) => decision.events);
  const asked = events.findIndex(({ type }) => type === 'ErasureRequested');
  const keptFrom = loaded.version + asked + 1;
  await eraseLead(tx, { leadId, streamId: streamOf(leadId), keptFrom });
}

function messagesOf({ loaded, occasions }: DecidedLead): NewMessage[] {
  const { row } = loaded;
  let lead: Lead = loaded.lead;
  return occasions.flatMap(({ decision, operatorChatId }) => {
    lead = decision.events.reduce(evolve, lead);
    const trackingToken = clickOf(lead)?.trackingToken ?? null;
    return decision.effects.flatMap((effect) =>
      messageOf(effect, { row, trackingToken, operatorChatId }),
    );
  });
}

function messageOf(
  effect: Effect,
  context: {
    row: LeadRow;
    trackingToken: string | null;
    operatorChatId: number | undefined;
  },
): NewMessage[] {
  const { row, trackingToken, operatorChatId: chatId } = context;
  if (effect.type === 'sendMessage') {
    const { message, onceKey = null } = effect;
    return [{ row, trackingToken, message, onceKey }];
  }
  if (effect.type !== 'tellOperator' || chatId === undefined) return [];
  const { notice, onceKey } = effect;
  const message = { kind: 'notice', notice } as const;
  return [{ row, trackingToken: null, message, onceKey, chatId }];
}
