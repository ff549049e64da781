/** What the ledger forgets: visitors' addresses, and the records of calls and messages long past. */
import { idAtTime, type Sql, type Transaction } from '@rastro/runtime';
import { withoutAddresses } from '../core/addresses.ts';
import { lockJourneys, type OwnedJourney, saveJourneys } from './intake-store.ts';

/** Longer than stream TRAFFIC keeps what it could deliver again. */
const trafficInboxDays = 35;
/** Calls are looked at while a sale can be disputed. */
const callDays = 180;
const dayMs = 86_400_000;

export interface SweepOptions {
  readonly nowMs: number;
  /** After which addresses go; 0: never. */
  readonly ipDays: number;
  readonly batch?: number;
  /** Between two batches it stops where this says so. */
  readonly signal?: AbortSignal;
}

/** @returns how many rows were cleaned or deleted. */
export async function sweep(sql: Sql, options: SweepOptions): Promise<number> {
  const { nowMs, ipDays, batch = 1_000, signal } = options;
  const before = (days: number): string => idAtTime(nowMs - days * dayMs);
  const steps = [
    () => deleteCalls(sql, batch),
    () => deleteInbox(sql, before(trafficInboxDays), batch),
    ...(ipDays === 0 ? [] : [() => forgetAddresses(sql, before(ipDays), batch)]),
  ];
  let total = 0;
  for (const step of steps) {
    for (let count = batch; count === batch && !signal?.aborted;) {
      count = await step();
      total += count;
    }
  }
  return total;
}

async function deleteCalls(sql: Sql, batch: number): Promise<number> {
  const { count } = await sql`
    delete from attempts where id in (
      select id from attempts where started_at < now() - ${callDays} * interval '1 day'
      order by started_at limit ${batch} for update skip locked)`;
  return count;
}

/** Messages are told apart by their events' ids, which begin with the time. */
async function deleteInbox(sql: Sql, beforeId: string, batch: number): Promise<number> {
  const { count } = await sql`
    delete from inbox where (consumer, message_id) in (
      select consumer, message_id from inbox
      where consumer = 'capi-dispatcher__traffic' and message_id < ${beforeId}
      order by message_id limit ${batch} for update skip locked)`;
  return count;
}

/**
 * In the order of the ledger, from where the last sweep stopped. An event so old has long ended; its
 * body says who somebody is, so it goes too, and its journey goes on without addresses. Journeys are
 * locked first, as everywhere.
 */
async function forgetAddresses(sql: Sql, beforeId: string, batch: number): Promise<number> {
  return sql.begin(async (tx) => {
    const [swept] = await tx<{ position: string }[]>`
      select position from swept where what = 'addresses' for update skip locked`;
    if (!swept) return 0;
    const rows = await tx<Row[]>`
      select id, tracking_token, payment_id from conversions
      where id > ${swept.position} and id < ${beforeId} order by id limit ${batch}`;
    const last = rows.at(-1);
    if (!last) return 0;
    await cleanJourneys(tx, rows);
    await cleanOrders(tx, rows);
    await tx`update conversions set body = null where id = any(${rows.map(({ id }) => id)}::uuid[])`;
    await tx`update swept set position = ${last.id} where what = 'addresses'`;
    return rows.length;
  });
}

interface Row {
  readonly id: string;
  readonly trackingToken: string | null;
  readonly paymentId: string | null;
}

async function cleanJourneys(tx: Transaction, rows: readonly Row[]): Promise<void> {
  const tokens = rows.flatMap(({ trackingToken }) => trackingToken ?? []);
  // Whose they are does not matter: none is made here.
  const journeys = await lockJourneys(tx, new Map(tokens.map((token) => [token, ''])));
  const cleaned = new Map<string, OwnedJourney>();
  for (const [token, owned] of journeys) {
    const journey = withoutAddresses(owned.journey);
    if (!owned.isNew && journey !== owned.journey) cleaned.set(token, { ...owned, journey });
  }
  await saveJourneys(tx, cleaned);
}

async function cleanOrders(tx: Transaction, rows: readonly Row[]): Promise<void> {
  const ids = rows.flatMap(({ paymentId }) => paymentId ?? []);
  await tx`
    update orders set viewed = jsonb_set(viewed, '{clientIp}', 'null'), updated_at = now()
    where payment_id = any(${ids}::uuid[]) and jsonb_typeof(viewed) = 'object'`;
}
