/** Freezes an event's JSON at its first attempt, from all that is known by then. */
import type { Queryable } from '@rastro/runtime';
import { initialJourney, type Journey } from '../core/journey.ts';
import type { Order } from '../core/order.ts';
import type { Conversion } from '../core/conversion.ts';
import type { Pool } from '../core/plan.ts';
import { pageViewEvent, purchaseEvent, type ServerEvent } from '../core/server-event.ts';
import { hasMatchKeys } from '../core/user-data.ts';
import { type Complaint, lint } from '../core/lint.ts';
import type { StoredConversion } from './lane.ts';
import { userDataTools } from './user-data-tools.ts';

export interface ComposeOptions {
  readonly pools: (workspaceId: string) => readonly Pool[];
  readonly deliveryUrl: string;
  /** After an event's JSON was made for the first time. */
  readonly onComposed?: (row: StoredConversion, complaints: readonly Complaint[]) => void;
}

export interface Frozen {
  readonly body: string;
  /** Not frozen: the pool's as it is now, for it stands beside the events and not in them. */
  readonly testEventCode: string | null;
  readonly matchKeys: readonly string[];
  readonly complaints: readonly Complaint[];
}

/** By row id; a row without an entry has nothing that Meta could match a person by. */
export async function composeAll(
  tx: Queryable,
  rows: readonly StoredConversion[],
  options: ComposeOptions,
): Promise<Map<string, Frozen>> {
  const fresh = rows.filter(({ body }) => body === null);
  const journeys = await loadJourneys(tx, fresh);
  const orders = await loadOrders(tx, fresh);
  const poolOf = poolFinder(options.pools);
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const frozen = new Map<string, Frozen>();
  for (const row of rows) {
    // Meta counts what comes with a code all the same: no repeat may keep one that is taken out.
    const testEventCode = poolOf(row)?.meta.testEventCode || null;
    if (row.body !== null) {
      const { body, matchKeys, complaints } = row;
      const known = { matchKeys: matchKeys ?? [], complaints: complaints ?? [] };
      frozen.set(row.id, { body, testEventCode, ...known });
      continue;
    }
    const event = compose(row, journeys, orders, options.deliveryUrl);
    if (!event || !hasMatchKeys(event.user_data)) continue;
    const matchKeys = Object.keys(event.user_data);
    const complaints = lint(event, {
      nowSeconds,
      fbclid: journeys.get(row.trackingToken ?? '')?.click?.fbclid ?? null,
      publicIp: userDataTools.publicIp,
    });
    options.onComposed?.(row, complaints);
    frozen.set(row.id, { body: JSON.stringify(event), testEventCode, matchKeys, complaints });
  }
  return frozen;
}

/** Pools by id; a workspace's are looked up once, however many of its rows ask. */
export function poolFinder(pools: ComposeOptions['pools']) {
  const known = new Map<string, ReadonlyMap<string, Pool>>();
  return ({ workspaceId, poolId }: Pick<Conversion, 'workspaceId' | 'poolId'>) => {
    const own =
      known.get(workspaceId) ?? new Map(pools(workspaceId).map((pool) => [pool.id, pool]));
    known.set(workspaceId, own);
    return own.get(poolId ?? '');
  };
}

function compose(
  row: StoredConversion,
  journeys: ReadonlyMap<string, Journey>,
  orders: ReadonlyMap<string, Order>,
  deliveryUrl: string,
): ServerEvent | undefined {
  const stamp = { eventId: row.eventId, eventTimeSeconds: row.eventTime };
  const journey = journeys.get(row.trackingToken ?? '');
  if (row.eventName === 'PageView') {
    const { click } = journey ?? initialJourney;
    return journey && click
      ? pageViewEvent({ ...journey, click }, stamp, userDataTools)
      : undefined;
  }
  const order = orders.get(row.paymentId ?? '');
  if (!order?.paid) return undefined;
  const { paid } = order;
  const known = { ...stamp, deliveryUrl };
  return purchaseEvent({ ...order, paid }, journey ?? null, known, userDataTools);
}

export async function loadJourneys(
  tx: Queryable,
  rows: readonly Pick<StoredConversion, 'trackingToken'>[],
): Promise<Map<string, Journey>> {
  const tokens = rows.flatMap(({ trackingToken }) => trackingToken ?? []);
  if (tokens.length === 0) return new Map();
  const found = await tx<{ trackingToken: string; journey: Journey }[]>`
    select tracking_token, journey from journeys where tracking_token = any(${tokens}::text[])`;
  return new Map(found.map(({ trackingToken, journey }) => [trackingToken, journey]));
}

export async function loadOrders(
  tx: Queryable,
  rows: readonly Pick<StoredConversion, 'paymentId'>[],
): Promise<Map<string, Order>> {
  const ids = rows.flatMap(({ paymentId }) => paymentId ?? []);
  if (ids.length === 0) return new Map();
  const found = await tx<Order[]>`
    select payment_id, tracking_token, paid, viewed from orders
    where payment_id = any(${ids}::uuid[])`;
  return new Map(found.map((order) => [order.paymentId, order]));
}
