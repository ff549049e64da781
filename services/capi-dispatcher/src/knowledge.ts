/** What is known about the journeys and orders that a batch of events touches. */
import { publicIp, sha256Hex, type Transaction } from '@rastro/runtime';
import { lockJourneys, lockOrders, type OwnedJourney } from './adapters/intake-store.ts';
import type { Consumed } from './core/consumed.ts';
import { evolveJourney } from './core/journey.ts';
import { evolveViewed, type Order, paidOf } from './core/order.ts';
import { withoutStrangersToken } from './core/ownership.ts';

/** Held under lock until the commit. */
export interface Knowledge {
  readonly journeys: Map<string, OwnedJourney>;
  readonly orders: Map<string, Order & { readonly workspaceId: string }>;
  /** Tokens whose click came with this batch. */
  readonly clicked: Set<string>;
  /** For the causation of what is announced. */
  readonly causes: Map<string, string>;
}

export async function loadKnowledge(
  tx: Transaction,
  events: readonly Consumed[],
): Promise<{ knowledge: Knowledge; own: readonly Consumed[] }> {
  const named = new Map<string, string>();
  for (const { data, workspaceid } of events) {
    const { trackingToken } = data;
    if (trackingToken !== null && !named.has(trackingToken)) named.set(trackingToken, workspaceid);
  }
  const journeys = await lockJourneys(tx, named);
  const own = events.flatMap((event) => withoutStrangersToken(event, journeys));
  const keys = own.flatMap(({ data, workspaceid: workspaceId }) => {
    if (!('paymentId' in data)) return [];
    const { paymentId, trackingToken } = data;
    return [{ paymentId, trackingToken, workspaceId }];
  });
  const known = [...journeys].flatMap(([token, { isNew }]) => (isNew ? [] : token));
  const orders = await lockOrders(tx, keys, known);
  const knowledge = {
    journeys,
    orders: new Map(orders.map((order) => [order.paymentId, order])),
    clicked: new Set<string>(),
    causes: new Map<string, string>(),
  };
  return { knowledge, own };
}

export function learn(knowledge: Knowledge, event: Consumed, nowMs: number): void {
  const { trackingToken } = event.data;
  if (trackingToken !== null) knowledge.causes.set(trackingToken, event.id);
  switch (event.type) {
    case 'ClickTracked':
      knowledge.clicked.add(event.data.trackingToken);
      return learnJourney(
        knowledge,
        { ...event, data: { ...event.data, clientIp: validIp(event.data.clientIp) } },
        Date.parse(event.data.clickedAt),
      );
    case 'BrowserSignalsCaptured': {
      const clientIp = browserIp(event.data);
      const known = { ...event, data: { ...event.data, clientIp } };
      return learnJourney(knowledge, known, Date.parse(event.data.capturedAt));
    }
    case 'FunnelStarted':
      return learnJourney(knowledge, event, Date.parse(event.data.startedAt));
    case 'PaymentPaid':
    case 'DeliveryViewed':
      knowledge.causes.set(event.data.paymentId, event.id);
      return learnOrder(knowledge, event, nowMs);
  }
}

function learnJourney(
  { journeys }: Knowledge,
  event: Parameters<typeof evolveJourney>[1],
  atMs: number,
): void {
  const { trackingToken } = event.data;
  const known = trackingToken === null ? undefined : journeys.get(trackingToken);
  if (trackingToken === null || !known) return;
  const journey = evolveJourney(known.journey, event, atMs);
  if (journey !== known.journey) journeys.set(trackingToken, { ...known, journey });
}

function learnOrder(
  { orders }: Knowledge,
  event: Extract<Consumed, { type: 'PaymentPaid' | 'DeliveryViewed' }>,
  nowMs: number,
): void {
  const order = orders.get(event.data.paymentId);
  if (!order) return;
  if (event.type === 'DeliveryViewed') {
    const data = { ...event.data, clientIp: validIp(event.data.clientIp) };
    const viewed = evolveViewed(order.viewed, data, Date.parse(event.data.viewedAt));
    orders.set(order.paymentId, { ...order, viewed });
  } else if (!order.paid) {
    const { paidAt, telegramUserId } = event.data;
    const telegramExternalId = telegramUserId === null ? null : sha256Hex(String(telegramUserId));
    const facts = { paidAtMs: Date.parse(paidAt), seenAtMs: nowMs, telegramExternalId };
    orders.set(order.paymentId, { ...order, paid: paidOf(event.data, facts) });
  }
}

/** One wrong address makes Meta refuse a whole batch; a private one matches nobody. */
function validIp(address: string | null): string | null {
  return publicIp(address ?? undefined);
}

/** Meta's `_fbi` cookie is the browser's own view; its IPv6 is worth more than our IPv4. */
function browserIp(signals: { fbi: string | null; clientIp: string | null }): string | null {
  const own = validIp(signals.fbi?.replace(/(\.(A[Qgw]|B[AQg]|[\w-]{8}))+$/, '') ?? null);
  return own?.includes(':') ? own : (validIp(signals.clientIp) ?? own);
}
