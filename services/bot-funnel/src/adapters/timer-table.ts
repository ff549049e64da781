/** What leads have to do later: one row for each timer, deleted in the transaction that fires it. */
import type { Queryable, Transaction } from '@rastro/event-store';
import type { Effect, Timer } from '../core/decision.ts';
import { leaseSeconds } from './work-loop.ts';

export interface DueTimer {
  readonly leadId: string;
  readonly workspaceId: string;
  readonly key: string;
  readonly timer: Timer;
  readonly dueAt: Date;
}

/** Timers that leads set and cancel in one transaction, each lead once and in its order. */
export async function changeTimers(
  tx: Transaction,
  leads: readonly { readonly leadId: string; readonly effects: readonly Effect[] }[],
): Promise<void> {
  const cancelled = leads.flatMap(({ leadId, effects }) =>
    effects.flatMap((effect) =>
      effect.type === 'cancelTimers' ? [{ leadId, prefix: effect.prefix }] : [],
    ),
  );
  if (cancelled.length > 0) {
    await tx`
      delete from timers using unnest(${cancelled.map(({ leadId }) => leadId)}::uuid[],
        ${cancelled.map(({ prefix }) => prefix)}::text[]) as given (lead_id, prefix)
      where timers.lead_id = given.lead_id and starts_with(timers.key, given.prefix)`;
  }
  const set = leads.flatMap(({ leadId, effects }) =>
    [...leftStanding(effects).values()].map((effect) => ({ leadId, ...effect })),
  );
  if (set.length === 0) return;
  await tx`
    insert into timers (lead_id, key, timer, due_at)
    select lead_id, key, timer::jsonb, due_at from unnest(
      ${set.map(({ leadId }) => leadId)}::uuid[], ${set.map(({ key }) => key)}::text[],
      ${set.map(({ timer }) => JSON.stringify(timer))}::text[],
      ${set.map(({ at }) => at)}::timestamptz[]) as given (lead_id, key, timer, due_at)
    on conflict (lead_id, key) do update set timer = excluded.timer, due_at = excluded.due_at,
      leased_until = '-infinity'`;
}

/** What was set and not cancelled again by a later effect of the same transaction. */
function leftStanding(effects: readonly Effect[]): Map<string, Effect & { type: 'setTimer' }> {
  const standing = new Map<string, Effect & { type: 'setTimer' }>();
  for (const effect of effects) {
    if (effect.type === 'setTimer') standing.set(effect.key, effect);
    if (effect.type !== 'cancelTimers') continue;
    for (const key of standing.keys()) if (key.startsWith(effect.prefix)) standing.delete(key);
  }
  return standing;
}

export async function claimTimers(sql: Queryable, limit: number): Promise<DueTimer[]> {
  return sql<DueTimer[]>`
    update timers set leased_until = now() + ${leaseSeconds} * interval '1 second'
    from leads
    where leads.lead_id = timers.lead_id and (timers.lead_id, timers.key) in (
      select lead_id, key from timers
      where due_at <= now() and leased_until < now()
      order by due_at limit ${limit} for update skip locked)
    returning timers.lead_id, leads.workspace_id, timers.key, timers.timer, timers.due_at`;
}

export async function renewTimers(sql: Queryable, timers: readonly DueTimer[]): Promise<void> {
  const leads = timers.map(({ leadId }) => leadId);
  const keys = timers.map(({ key }) => key);
  await sql`
    update timers set leased_until = now() + ${leaseSeconds} * interval '1 second'
    where (lead_id, key) in (select * from unnest(${leads}::uuid[], ${keys}::text[]))`;
}

/** False for one that was cancelled or set anew in the meantime. */
export async function takeTimer(
  tx: Transaction,
  { leadId, key, dueAt }: DueTimer,
): Promise<boolean> {
  const rows = await tx`
    delete from timers
    where lead_id = ${leadId} and key = ${key} and due_at = ${dueAt} returning 1`;
  return rows.length === 1;
}
