/** What is known per journey and per order, and the ledger's rows, while events are taken in. */
import { ConcurrencyError } from '@rastro/event-store';
import type { Transaction } from '@rastro/runtime';
import type { EventName } from '../core/conversion.ts';
import { initialJourney, type Journey } from '../core/journey.ts';
import type { Order } from '../core/order.ts';
import { type Entry, isOpen } from '../core/schedule.ts';

export interface Owner {
  readonly workspaceId: string;
}

export interface LedgerEntry extends Entry {
  readonly id: string;
  readonly eventName: EventName;
  readonly eventId: string;
  /** Unix seconds, as stamped. */
  readonly eventTime: number;
  readonly version: number;
}

export interface NewEntry extends LedgerEntry, Owner {
  readonly trackingToken: string | null;
  readonly paymentId: string | null;
  readonly reason: string | null;
}

/** The workspace that spoke of the token first owns it. */
export interface OwnedJourney extends Owner {
  readonly journey: Journey;
  /** Nobody has spoken of it before. */
  readonly isNew: boolean;
}

/**
 * Locks the journeys named, in one order for everybody; one that nobody knows yet is locked by
 * {@link saveJourneys}. Whoever holds a journey's lock is alone in deciding about its orders.
 */
export async function lockJourneys(
  tx: Transaction,
  owners: ReadonlyMap<string, string>,
): Promise<Map<string, OwnedJourney>> {
  if (owners.size === 0) return new Map();
  const rows = await tx<{ trackingToken: string; workspaceId: string; journey: Journey }[]>`
    select tracking_token, workspace_id, journey from journeys
    where tracking_token = any(${[...owners.keys()]}) order by tracking_token for update`;
  const known = new Map(rows.map(({ trackingToken, ...owned }) => [trackingToken, owned]));
  const journeys = new Map<string, OwnedJourney>();
  for (const [token, workspaceId] of owners) {
    const owned = known.get(token);
    const fresh = { workspaceId, journey: initialJourney, isNew: true };
    journeys.set(token, owned ? { ...owned, isNew: false } : fresh);
  }
  return journeys;
}

/**
 * Those that are new, and those that have changed.
 * @throws {ConcurrencyError} when somebody else has just spoken of a new one: begin again, knowing it.
 */
export async function saveJourneys(
  tx: Transaction,
  journeys: ReadonlyMap<string, OwnedJourney>,
): Promise<void> {
  const rows = [...journeys]
    .map(([token, { workspaceId, journey, isNew }]) => ({ token, workspaceId, journey, isNew }))
    .toSorted((a, b) => (a.token < b.token ? -1 : 1));
  const added = rows.filter(({ isNew }) => isNew);
  if (added.length > 0) {
    const inserted = await tx`
      insert into journeys (tracking_token, workspace_id, journey)
      select token, "workspaceId", journey
      from jsonb_to_recordset(${tx.json(added as never)})
        as given(token text, "workspaceId" text, journey jsonb)
      order by token
      on conflict do nothing`;
    const [first] = added;
    if (inserted.count < added.length) throw new ConcurrencyError(`journey-${first?.token}`, 0);
  }
  const changed = rows.filter(({ isNew }) => !isNew);
  if (changed.length > 0) {
    await tx`
      update journeys set journey = given.journey, updated_at = now()
      from jsonb_to_recordset(${tx.json(changed as never)}) as given(token text, journey jsonb)
      where tracking_token = given.token`;
  }
}

export interface OrderKey extends Owner {
  readonly paymentId: string;
  readonly trackingToken: string | null;
}

/** Those named, created where missing, and all others of the journeys named. */
export async function lockOrders(
  tx: Transaction,
  keys: readonly OrderKey[],
  tokens: readonly string[],
): Promise<(Order & Owner)[]> {
  if (keys.length > 0) {
    await tx`
      insert into orders (payment_id, workspace_id, tracking_token)
      select distinct on ("paymentId") "paymentId", "workspaceId", "trackingToken"
      from jsonb_to_recordset(${tx.json(keys as never)})
        as given("paymentId" uuid, "workspaceId" text, "trackingToken" text)
      order by "paymentId", "trackingToken" nulls last
      on conflict (payment_id)
      do update set tracking_token = coalesce(orders.tracking_token, excluded.tracking_token)`;
  }
  const ids = keys.map(({ paymentId }) => paymentId);
  return tx<(Order & Owner)[]>`
    select payment_id, workspace_id, tracking_token, paid, viewed from orders
    where payment_id = any(${ids}::uuid[]) or tracking_token = any(${tokens as string[]}::text[])
    order by payment_id for update`;
}

export async function saveOrders(tx: Transaction, orders: readonly Order[]): Promise<void> {
  if (orders.length === 0) return;
  await tx`
    update orders set paid = given.paid, viewed = given.viewed, updated_at = now()
    from jsonb_to_recordset(${tx.json(orders as never)})
      as given("paymentId" uuid, paid jsonb, viewed jsonb)
    where payment_id = given."paymentId"`;
}

/**
 * By `event_id`. Locked are those that may still be planned anew; one that a dispatcher is just
 * claiming is waited for and then counts as taken.
 */
export async function lockEntries(
  tx: Transaction,
  eventIds: readonly string[],
): Promise<Map<string, LedgerEntry>> {
  if (eventIds.length === 0) return new Map();
  const rows = await tx<StoredEntry[]>`
    select ${entryColumns(tx)} from conversions where event_id = any(${eventIds as string[]})`;
  const open = rows.filter(isOpen).map(({ id }) => id);
  const held =
    open.length === 0
      ? []
      : await tx<StoredEntry[]>`
        select ${entryColumns(tx)} from conversions
        where id = any(${open}::uuid[]) and attempts = 0 and state in ('waiting', 'skipped')
        order by id for update`;
  const locked = new Map(held.map((row) => [row.id, row]));
  const entries = new Map<string, LedgerEntry>();
  for (const row of rows) {
    const taken: StoredEntry = isOpen(row) ? { ...row, state: 'sending' } : row;
    const entry = locked.get(row.id) ?? taken;
    entries.set(row.eventId, { ...entry, dueAtMs: entry.dueAt.getTime() });
  }
  return entries;
}

type StoredEntry = Omit<LedgerEntry, 'dueAtMs'> & { readonly dueAt: Date };

function entryColumns(tx: Transaction) {
  return tx`id, event_name, event_id, event_time, state, attempts, pixel_id, pool_id, due_at, version`;
}

/** Also makes sure that the pixels have lanes. */
export async function insertEntries(tx: Transaction, entries: readonly NewEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx`
    insert into conversions (id, workspace_id, pixel_id, pool_id, event_name, event_id,
      tracking_token, payment_id, state, reason, due_at, event_time, version)
    select id, "workspaceId", "pixelId", "poolId", "eventName", "eventId", "trackingToken",
      "paymentId", state, reason, to_timestamp("dueAtMs" / 1000), "eventTime", version
    from jsonb_to_recordset(${tx.json(entries as never)}) as given(id uuid, "workspaceId" text,
      "pixelId" text, "poolId" text, "eventName" text, "eventId" text, "trackingToken" text,
      "paymentId" uuid, state text, reason text, "dueAtMs" float8, "eventTime" bigint, version int)`;
  await ensureLanes(tx, entries);
}

export async function replanEntries(tx: Transaction, entries: readonly NewEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx`
    update conversions set state = given.state, reason = given.reason, pixel_id = given."pixelId",
      pool_id = given."poolId", due_at = to_timestamp(given."dueAtMs" / 1000),
      version = given.version, updated_at = now()
    from jsonb_to_recordset(${tx.json(entries as never)}) as given(id uuid, state text,
      reason text, "pixelId" text, "poolId" text, "dueAtMs" float8, version int)
    where conversions.id = given.id`;
  await ensureLanes(tx, entries);
}

async function ensureLanes(
  tx: Transaction,
  entries: readonly (Owner & { readonly pixelId: string })[],
): Promise<void> {
  const pixels = new Map(
    entries
      .filter(({ pixelId }) => pixelId !== '')
      .map(({ workspaceId, pixelId }) => [
        `${workspaceId} ${pixelId}`,
        { workspace_id: workspaceId, pixel_id: pixelId },
      ]),
  );
  if (pixels.size === 0) return;
  // In one order for everybody, or two that bring the same new pixels would wait for each other.
  const rows = [...pixels].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await tx`insert into pixels ${tx(rows)} on conflict do nothing`;
}
