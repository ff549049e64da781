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

export async function setTimer(
  tx: Transaction,
  leadId: string,
  { key, at, timer }: Effect & { type: 'setTimer' },
): Promise<void> {
  await tx`
    insert into timers (lead_id, key, timer, due_at)
    values (${leadId}, ${key}, ${tx.json(timer)}, ${at})
    on conflict (lead_id, key) do update set timer = excluded.timer, due_at = excluded.due_at,
      leased_until = '-infinity'`;
}

export async function cancelTimers(tx: Transaction, leadId: string, prefix: string): Promise<void> {
  await tx`delete from timers where lead_id = ${leadId} and starts_with(key, ${prefix})`;
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
