/** What is known per journey and per order, and the ledger's rows, while events are taken in. */
import type { Transaction } from '@rastro/runtime';
import type { ConversionState, EventName } from '../core/conversion.ts';
import { initialJourney, type Journey } from '../core/journey.ts';
import type { Order } from '../core/order.ts';
import type { Entry } from '../core/schedule.ts';

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
}

/**
 * Locks the journeys named, in one order for everybody, and creates what is missing. Whoever holds
 * a journey's lock is alone in deciding about its orders.
 */
export async function lockJourneys(
  tx: Transaction,
  owners: ReadonlyMap<string, string>,
): Promise<Map<string, OwnedJourney>> {
  const tokens = [...owners.keys()].toSorted();
  if (tokens.length === 0) return new Map();
  const workspaces = tokens.map((token) => owners.get(token) ?? '');
  await tx`
    insert into journeys (tracking_token, workspace_id, journey)
    select token, workspace, ${tx.json(initialJourney as never)}::jsonb
    from unnest(${tokens}::text[], ${workspaces}::text[]) as given(token, workspace)
    order by token
    on conflict do nothing`;
  const rows = await tx<(OwnedJourney & { trackingToken: string })[]>`
    select tracking_token, workspace_id, journey from journeys
    where tracking_token = any(${tokens}) order by tracking_token for update`;
  return new Map(rows.map(({ trackingToken, ...owned }) => [trackingToken, owned]));
}

export async function saveJourneys(
  tx: Transaction,
  journeys: ReadonlyMap<string, Journey>,
): Promise<void> {
  if (journeys.size === 0) return;
  const texts = [...journeys.values()].map((journey) => JSON.stringify(journey));
  await tx`
    update journeys set journey = given.journey::jsonb, updated_at = now()
    from unnest(${[...journeys.keys()]}::text[], ${texts}::text[]) as given(token, journey)
    where tracking_token = given.token`;
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
  for (const { paymentId, workspaceId, trackingToken } of keys) {
    await tx`
      insert into orders (payment_id, workspace_id, tracking_token)
      values (${paymentId}, ${workspaceId}, ${trackingToken})
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
  for (const { paymentId, paid, viewed } of orders) {
    await tx`
      update orders set paid = ${tx.json(paid as never)}, viewed = ${tx.json(viewed as never)},
        updated_at = now()
      where payment_id = ${paymentId}`;
  }
}

/** By `event_id`; a row that a dispatcher is just claiming is waited for. */
export async function lockEntries(
  tx: Transaction,
  about: { readonly tokens: readonly string[]; readonly paymentIds: readonly string[] },
): Promise<Map<string, LedgerEntry>> {
  const rows = await tx<(LedgerEntry & { dueAt: Date })[]>`
    select id, event_name, event_id, event_time, state, attempts, pixel_id, pool_id, due_at, version
    from conversions
    where tracking_token = any(${about.tokens as string[]}::text[])
      or payment_id = any(${about.paymentIds as string[]}::uuid[])
    order by id for update`;
  return new Map(rows.map((row) => [row.eventId, { ...row, dueAtMs: row.dueAt.getTime() }]));
}

/** Also makes sure that the pixels have lanes. */
export async function insertEntries(tx: Transaction, entries: readonly NewEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map((entry) => ({
    id: entry.id,
    workspace_id: entry.workspaceId,
    pixel_id: entry.pixelId,
    pool_id: entry.poolId,
    event_name: entry.eventName,
    event_id: entry.eventId,
    tracking_token: entry.trackingToken,
    payment_id: entry.paymentId,
    state: entry.state,
    reason: entry.reason,
    due_at: new Date(entry.dueAtMs),
    event_time: entry.eventTime,
    version: entry.version,
  }));
  await tx`insert into conversions ${tx(rows)}`;
  await ensureLanes(tx, entries);
}

export async function replanEntry(
  tx: Transaction,
  entry: LedgerEntry & Owner & { readonly reason: string | null },
): Promise<void> {
  await tx`
    update conversions set state = ${entry.state satisfies ConversionState},
      reason = ${entry.reason}, pixel_id = ${entry.pixelId}, pool_id = ${entry.poolId},
      due_at = ${new Date(entry.dueAtMs)}, version = ${entry.version}, updated_at = now()
    where id = ${entry.id}`;
  await ensureLanes(tx, [entry]);
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
  await tx`insert into pixels ${tx([...pixels.values()])} on conflict do nothing`;
}
