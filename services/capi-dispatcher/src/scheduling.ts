/** From what is known to rows of the send ledger: which events there are to be, when, and whether. */
import { type Append, appendAll } from '@rastro/event-store';
import { envelop } from '@rastro/events';
import { newId, type Transaction } from '@rastro/runtime';
import {
  insertEntries,
  type LedgerEntry,
  lockEntries,
  type NewEntry,
  replanEntries,
} from './adapters/intake-store.ts';
import { type Conversion, scheduled } from './core/conversion.ts';
import type { Pace } from './core/pace.ts';
import { type Plan, planPageView, planPurchase, type Pool } from './core/plan.ts';
import { changeOf } from './core/schedule.ts';
import type { Knowledge } from './knowledge.ts';

const service = 'capi-dispatcher';

export interface SchedulingOptions {
  readonly pools: (workspaceId: string) => readonly Pool[];
  readonly pace: Pick<Pace, 'missingClickHoldMs' | 'browserFirstHoldMs'>;
}

interface Wish extends Pick<Conversion, 'workspaceId' | 'trackingToken' | 'paymentId'> {
  readonly eventName: Conversion['eventName'];
  readonly eventId: string;
  readonly plan: Plan;
}

function wishesOf(knowledge: Knowledge, options: SchedulingOptions, nowMs: number): Wish[] {
  const { journeys, orders } = knowledge;
  const { pace, pools } = options;
  const wishes: Wish[] = [];
  for (const [trackingToken, { workspaceId, journey }] of journeys) {
    const { click } = journey;
    if (!click) continue;
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
        journey: trackingToken === null ? null : (journeys.get(trackingToken)?.journey ?? null),
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
export async function schedule(
  tx: Transaction,
  knowledge: Knowledge,
  options: SchedulingOptions,
  nowMs: number,
): Promise<boolean> {
  const wishes = wishesOf(knowledge, options, nowMs);
  const entries = await lockEntries(tx, mayBeThere(wishes, knowledge));
  const added: NewEntry[] = [];
  const replanned: NewEntry[] = [];
  const appends: Append[] = [];
  for (const wish of wishes) {
    const entry = entries.get(wish.eventId) ?? null;
    const isReopened = knowledge.clicked.has(wish.trackingToken ?? '');
    const change = changeOf(entry, wish.plan, { nowMs, isReopened });
    if (change.kind === 'none') continue;
    const row = rowOf(wish, entry, change.state);
    const isAnnounced = change.kind === 'insert' || change.isAnnounced;
    const append = isAnnounced ? announcementOf(row, wish, knowledge, nowMs) : null;
    if (append) appends.push(append);
    const next = { ...row, version: row.version + (append ? 1 : 0) };
    if (change.kind === 'insert') added.push(next);
    else replanned.push(next);
  }
  await insertEntries(tx, added);
  await replanEntries(tx, replanned);
  await appendAll(tx, appends);
  return [...added, ...replanned].some(({ state }) => state !== 'skipped');
}

/** The PageView of a journey that nobody has spoken of before is not in the ledger yet. */
function mayBeThere(wishes: readonly Wish[], { journeys }: Knowledge): string[] {
  return wishes.flatMap(({ eventName, eventId, trackingToken }) =>
    eventName === 'PageView' && journeys.get(trackingToken ?? '')?.isNew ? [] : eventId,
  );
}

function rowOf(
  { plan, ...identity }: Wish,
  entry: LedgerEntry | null,
  state: NewEntry['state'],
): NewEntry {
  return {
    ...identity,
    id: entry?.id ?? newId(),
    state,
    attempts: 0,
    pixelId: plan.pixelId ?? '',
    poolId: plan.poolId,
    dueAtMs: plan.dueAtMs,
    eventTime: entry?.eventTime ?? Math.floor(plan.eventTimeMs / 1_000),
    reason: plan.skippedReason,
    version: entry?.version ?? 0,
  };
}

function announcementOf(
  row: NewEntry,
  { plan }: Wish,
  { causes }: Knowledge,
  nowMs: number,
): Append | null {
  const dueAt = new Date(plan.dueAtMs).toISOString();
  const body = scheduled(row, { dueAt, skippedReason: plan.skippedReason });
  if (!body) return null;
  const event = envelop(body, {
    id: newId(),
    time: new Date(nowMs).toISOString(),
    source: service,
    workspaceId: row.workspaceId,
    aggregateId: row.id,
    causationId: causes.get(row.paymentId ?? '') ?? causes.get(row.trackingToken ?? ''),
  });
  return { streamId: `conversion-${row.id}`, expectedVersion: row.version, events: [event] };
}
