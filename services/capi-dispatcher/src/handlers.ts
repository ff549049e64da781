/** The event edge: what happened becomes knowledge, knowledge becomes rows of the send ledger. */
import { appendAll, firstDeliveries } from '@rastro/event-store';
import { envelop, type RastroEvent } from '@rastro/events';
import {
  type Logger,
  newId,
  publicIp,
  sha256Hex,
  type Sql,
  type Transaction,
} from '@rastro/runtime';
import {
  insertEntries,
  lockEntries,
  lockJourneys,
  lockOrders,
  type NewEntry,
  replanEntry,
  saveJourneys,
  saveOrders,
} from './adapters/intake-store.ts';
import { type Conversion, scheduled } from './core/conversion.ts';
import { evolveJourney, type Journey } from './core/journey.ts';
import { evolveViewed, type Order, paidOf } from './core/order.ts';
import type { Consumed } from './core/consumed.ts';
import { withoutStrangersToken } from './core/ownership.ts';
import type { Pace } from './core/pace.ts';
import { type Plan, planPageView, planPurchase, type Pool } from './core/plan.ts';
import { changeOf } from './core/schedule.ts';

const service = 'capi-dispatcher';

export interface IntakeOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly pools: (workspaceId: string) => readonly Pool[];
  readonly pace: Pick<Pace, 'missingClickHoldMs' | 'browserFirstHoldMs'>;
  /** After a commit that may have made something due. */
  readonly onScheduled: () => void;
}

/** Takes in events of any number, order and repetition; each call is one transaction. */
export function createIntake(options: IntakeOptions) {
  const { sql, log, onScheduled } = options;

  async function record(consumer: string, events: readonly RastroEvent[]): Promise<void> {
    const hasScheduled = await sql.begin(async (tx) => {
      const ids = events.map(({ id }) => id);
      const fresh = await firstDeliveries(tx, `${service}__${consumer}`, ids);
      const news = events.filter(({ id }) => fresh.has(id)) as Consumed[];
      return news.length > 0 && takeIn(tx, news, options);
    });
    if (hasScheduled) onScheduled();
  }

  /** One event that cannot be taken in must not keep the others of its batch waiting. */
  async function recordBatch(consumer: string, events: readonly RastroEvent[]): Promise<void> {
    try {
      await record(consumer, events);
    } catch (error) {
      if (events.length === 1) throw error;
      log.warn({ err: error, events: events.length }, 'a batch failed; trying its events alone');
      const failures: unknown[] = [];
      for (const event of events) {
        await record(consumer, [event]).catch((failure: unknown) => failures.push(failure));
      }
      if (failures.length > 0) throw failures[0];
    }
  }
  return { record, recordBatch };
}

/** Everything known about what a batch of events touches; held under lock until the commit. */
interface Knowledge {
  readonly journeys: Map<string, Journey>;
  readonly orders: Map<string, Order & { readonly workspaceId: string }>;
  readonly owners: ReadonlyMap<string, string>;
  /** Tokens whose click came with this batch. */
  readonly clicked: Set<string>;
  /** For the causation of what is announced. */
  readonly causes: Map<string, string>;
}

async function takeIn(
  tx: Transaction,
  events: readonly Consumed[],
  options: IntakeOptions,
): Promise<boolean> {
  const { knowledge, own } = await loadKnowledge(tx, events);
  const nowMs = Date.now();
  for (const event of own) learn(knowledge, event, nowMs);
  await saveJourneys(tx, knowledge.journeys);
  await saveOrders(tx, [...knowledge.orders.values()]);
  return schedule(tx, knowledge, options, nowMs);
}

async function loadKnowledge(
  tx: Transaction,
  events: readonly Consumed[],
): Promise<{ knowledge: Knowledge; own: readonly Consumed[] }> {
  const named = new Map<string, string>();
  for (const { data, workspaceid } of events) {
    if (data.trackingToken !== null) named.set(data.trackingToken, workspaceid);
  }
  const found = await lockJourneys(tx, named);
  const own = events.flatMap((event) => withoutStrangersToken(event, found));
  const keys = own.flatMap(({ data, workspaceid: workspaceId }) => {
    if (!('paymentId' in data)) return [];
    const { paymentId, trackingToken } = data;
    return [{ paymentId, trackingToken, workspaceId }];
  });
  const orders = await lockOrders(tx, keys, [...named.keys()]);
  const knowledge = {
    journeys: new Map([...found].map(([token, { journey }]) => [token, journey])),
    orders: new Map(orders.map((order) => [order.paymentId, order])),
    owners: new Map([...found].map(([token, { workspaceId }]) => [token, workspaceId])),
    clicked: new Set<string>(),
    causes: new Map<string, string>(),
  };
  return { knowledge, own };
}

function learn(knowledge: Knowledge, event: Consumed, nowMs: number): void {
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
  const journey = trackingToken === null ? undefined : journeys.get(trackingToken);
  if (trackingToken === null || !journey) return;
  journeys.set(trackingToken, evolveJourney(journey, event, atMs));
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

interface Wish extends Pick<Conversion, 'workspaceId' | 'trackingToken' | 'paymentId'> {
  readonly eventName: Conversion['eventName'];
  readonly eventId: string;
  readonly plan: Plan;
}

function wishesOf(knowledge: Knowledge, options: IntakeOptions, nowMs: number): Wish[] {
  const { journeys, orders, owners } = knowledge;
  const { pace, pools } = options;
  const wishes: Wish[] = [];
  for (const [trackingToken, journey] of journeys) {
    const { click } = journey;
    if (!click) continue;
    const workspaceId = owners.get(trackingToken) ?? '';
    const plan = planPageView({ ...journey, click }, pools(workspaceId), nowMs);
    const identity = {
      workspaceId,
      trackingToken,
      paymentId: null,
      eventName: 'PageView',
    } as const;
    wishes.push({ ...identity, eventId: click.rootEventId, plan });
  }
  for (const order of orders.values()) {
    const { workspaceId, trackingToken, paymentId, paid } = order;
    if (!paid) continue;
    const plan = planPurchase(
      {
        order: { ...order, paid },
        journey: trackingToken === null ? null : (journeys.get(trackingToken) ?? null),
        pools: pools(workspaceId),
        missingClickHoldMs: pace.missingClickHoldMs,
        browserFirstHoldMs: pace.browserFirstHoldMs,
      },
      nowMs,
    );
    const identity = { workspaceId, trackingToken, paymentId, eventName: 'Purchase' } as const;
    wishes.push({ ...identity, eventId: `purchase_${paymentId}`, plan });
  }
  return wishes;
}

/** @returns whether anything is to be sent. */
async function schedule(
  tx: Transaction,
  knowledge: Knowledge,
  options: IntakeOptions,
  nowMs: number,
): Promise<boolean> {
  const tokens = [...knowledge.journeys.keys()];
  const entries = await lockEntries(tx, { tokens, paymentIds: [...knowledge.orders.keys()] });
  const added: NewEntry[] = [];
  const appends: Parameters<typeof appendAll>[1][number][] = [];
  let hasScheduled = false;
  for (const { plan, eventName, eventId, ...owner } of wishesOf(knowledge, options, nowMs)) {
    const entry = entries.get(eventId) ?? null;
    const isReopened = owner.trackingToken !== null && knowledge.clicked.has(owner.trackingToken);
    const change = changeOf(entry, plan, { nowMs, isReopened });
    if (change.kind === 'none') continue;
    const row = {
      ...owner,
      eventName,
      eventId,
      id: entry?.id ?? newId(),
      state: change.state,
      attempts: 0,
      pixelId: plan.pixelId ?? '',
      poolId: plan.poolId,
      dueAtMs: plan.dueAtMs,
      eventTime: entry?.eventTime ?? Math.floor(plan.eventTimeMs / 1_000),
      reason: plan.skippedReason,
    };
    const dueAt = new Date(plan.dueAtMs).toISOString();
    const isAnnounced = change.kind === 'insert' || change.isAnnounced;
    const body = isAnnounced ? scheduled(row, { dueAt, skippedReason: plan.skippedReason }) : null;
    const version = entry?.version ?? 0;
    if (body) {
      const event = envelop(body, {
        id: newId(),
        time: new Date(nowMs).toISOString(),
        source: service,
        workspaceId: owner.workspaceId,
        aggregateId: row.id,
        causationId:
          knowledge.causes.get(owner.paymentId ?? '') ??
          knowledge.causes.get(owner.trackingToken ?? ''),
      });
      appends.push({ streamId: `conversion-${row.id}`, expectedVersion: version, events: [event] });
    }
    const next = { ...row, version: version + (body ? 1 : 0) };
    if (change.kind === 'insert') added.push(next);
    else await replanEntry(tx, next);
    hasScheduled ||= change.state !== 'skipped';
  }
  await insertEntries(tx, added);
  await appendAll(tx, appends);
  return hasScheduled;
}
