/** Loads leads from their two histories; locked, so that the writers of one lead take turns. */
import type { RastroEvent } from '@rastro/events';
import type { Queryable, Transaction } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import type { PaymentFact } from '../core/checkout.ts';
import type { LeadEvent } from '../core/decision.ts';
import { type Click, evolve, type Lead, newLead } from '../core/lead.ts';

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

export type LeadOwner = Omit<LeadRow, 'leadId'>;

/** The leads of Telegram users, by {@link leadKey}; at the first contact they are created. */
export async function openLeads(
  tx: Transaction,
  owners: readonly LeadOwner[],
): Promise<Map<string, LoadedLead>> {
  const found = await findLeads(tx, owners);
  const missing = owners.filter((owner) => !found.has(leadKey(owner)));
  if (missing.length === 0) return found;
  const ids = missing.map(() => newId());
  const created = await tx<LeadRow[]>`
    insert into leads (lead_id, workspace_id, bot_id, telegram_user_id)
    select * from unnest(${ids}::uuid[], ${missing.map(({ workspaceId }) => workspaceId)}::text[],
      ${missing.map(({ botId }) => botId)}::text[],
      ${missing.map(({ telegramUserId }) => String(telegramUserId))}::bigint[])
      as given (lead_id, workspace_id, bot_id, telegram_user_id)
    order by bot_id, telegram_user_id
    on conflict do nothing returning lead_id, workspace_id, bot_id, telegram_user_id`;
  const opened = created.map((row) => ({ row, version: 0, lead: newLead(row) }));
  const all = new Map([...found, ...opened.map((one) => [leadKey(one.row), one] as const)]);
  // Created by somebody else in this very moment.
  const taken = missing.filter((owner) => !all.has(leadKey(owner)));
  return new Map([...all, ...(await findLeads(tx, taken))]);
}

/** One chat between a bot and a Telegram user. */
export const leadKey = ({ botId, telegramUserId }: Omit<LeadOwner, 'workspaceId'>): string =>
  `${botId}:${telegramUserId}`;

/** Those that there are, locked in one order for everybody. */
export async function findLeads(
  tx: Transaction,
  owners: readonly LeadOwner[],
): Promise<Map<string, LoadedLead>> {
  if (owners.length === 0) return new Map();
  const rows = await tx<LeadRow[]>`
    select lead_id, workspace_id, bot_id, telegram_user_id from leads
    where (bot_id, telegram_user_id) in (
      select * from unnest(${owners.map(({ botId }) => botId)}::text[],
        ${owners.map(({ telegramUserId }) => String(telegramUserId))}::bigint[]))
    order by lead_id for update`;
  return new Map((await loaded(tx, rows)).map((one) => [leadKey(one.row), one]));
}

/** Null also for one that was erased: nothing can be said to him, and nothing is to be kept. */
export async function findLead(tx: Transaction, leadId: string): Promise<LoadedLead | null> {
  const rows = await tx<LeadRow[]>`
    select lead_id, workspace_id, bot_id, telegram_user_id from leads
    where lead_id = ${leadId} and telegram_user_id is not null for update`;
  return (await loaded(tx, rows))[0] ?? null;
}

export const streamOf = (leadId: string): string => `lead-${leadId}`;

async function loaded(sql: Queryable, rows: readonly LeadRow[]): Promise<LoadedLead[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ leadId }) => leadId);
  const own = await sql<{ streamId: string; event: LeadEvent }[]>`
    select stream_id, event from events where stream_id = any(${ids.map(streamOf)})
    order by stream_id, version`;
  const observed = await sql<{ leadId: string; event: PaymentFact }[]>`
    select lead_id, event from observed_payments where lead_id = any(${ids}::uuid[])
    order by position`;
  const ownOf = Map.groupBy(own, ({ streamId }) => streamId);
  const observedOf = Map.groupBy(observed, ({ leadId }) => leadId);
  return rows.map((row) => {
    const events = ownOf.get(streamOf(row.leadId)) ?? [];
    const facts = observedOf.get(row.leadId) ?? [];
    const history = [...events, ...facts].map(({ event }) => event);
    return { row, version: events.length, lead: history.reduce(evolve, newLead(row)) };
  });
}

export interface UserClick extends Click {
  readonly workspaceId: string;
  readonly telegramUserId: number;
}

/** The last clicks that Telegram users were bound to, in whichever bots; the newest first. */
export async function findUserClicks(
  sql: Queryable,
  users: readonly Pick<LeadRow, 'workspaceId' | 'telegramUserId'>[],
): Promise<UserClick[]> {
  if (users.length === 0) return [];
  return sql<UserClick[]>`
    select workspace_id, telegram_user_id, tracking_token, pool_id from leads
    where tracking_token is not null and (workspace_id, telegram_user_id) in (
      select * from unnest(${users.map(({ workspaceId }) => workspaceId)}::text[],
        ${users.map(({ telegramUserId }) => String(telegramUserId))}::bigint[]))
    order by bound_at desc`;
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
