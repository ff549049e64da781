/** Whether and when an event goes to Meta: decided anew with each thing that becomes known. */
import type { CatalogItem } from '@rastro/events';
import type { Conversion } from './conversion.ts';
import type { Click, Journey } from './journey.ts';
import type { Order } from './order.ts';

export type Pool = CatalogItem<'pool'>;

/** Why an event is recorded and never sent. */
export type SkippedReason =
  | 'not_human'
  | 'unknown_pool'
  | 'meta_disabled'
  | 'no_pixel'
  | 'event_off'
  | 'trigger_off'
  | 'no_consent'
  | 'no_access_token'
  | 'no_match_keys';

export interface Plan {
  readonly poolId: string | null;
  readonly pixelId: string | null;
  readonly dueAtMs: number;
  /** The moment the event reports, never in the future; stamped when first planned. */
  readonly eventTimeMs: number;
  readonly skippedReason: SkippedReason | null;
}

/** @param pools those of the click's workspace. */
export function planPageView(
  journey: Journey & { readonly click: Click },
  pools: readonly Pool[],
  nowMs: number,
): Plan {
  const { click, bridge } = journey;
  const pool = pools.find(({ id }) => id === click.poolId);
  const { pixelId } = click;
  const eventTimeMs = Math.min(click.clickedAtMs, nowMs);
  const dueAtMs = bridge ? nowMs : eventTimeMs + (pool?.meta.pageViewHoldMs ?? 0);
  const skippedReason =
    click.trafficClass === 'human'
      ? reasonToSkip({ event: 'pageView', pool, pixelId, pools, consent: click.consent })
      : 'not_human';
  return { poolId: click.poolId, pixelId, dueAtMs, eventTimeMs, skippedReason };
}

export interface PurchaseKnowledge {
  readonly order: Order & { readonly paid: NonNullable<Order['paid']> };
  /** Null for an organic customer. */
  readonly journey: Journey | null;
  readonly pools: readonly Pool[];
  readonly missingClickHoldMs: number;
  readonly browserFirstHoldMs: number;
}

/**
 * Trigger `paid`: now. Trigger `delivery`: a moment after the page was viewed, so that the browser's
 * copy comes first, at the latest `purchaseGraceMinutes` after payment. A click that exists but has
 * not been seen yet is waited for a little, since it says who the person is and whether they
 * consented.
 */
export function planPurchase(knowledge: PurchaseKnowledge, nowMs: number): Plan {
  const { order, journey, pools, missingClickHoldMs, browserFirstHoldMs } = knowledge;
  const { paid, viewed } = order;
  const click = journey?.click ?? null;
  const pool = choosePool(pools, { click, poolId: paid.poolId, botId: paid.botId });
  const pixelId = click?.pixelId ?? pool?.meta.pixelId ?? null;
  const trigger = pool?.meta.purchaseTrigger ?? 'delivery';
  const graceEndsMs = paid.paidAtMs + (pool?.meta.purchaseGraceMinutes ?? 0) * 60_000;
  const viewedMs = viewed ? Math.min(viewed.viewedAtMs, nowMs) + browserFirstHoldMs : Infinity;
  const deliveredAtMs = Math.max(nowMs, Math.min(viewedMs, graceEndsMs));
  const triggeredAtMs = trigger === 'paid' ? nowMs : deliveredAtMs;
  const isClickMissing = order.trackingToken !== null && !click;
  const clickAwaitedMs = isClickMissing ? paid.seenAtMs + missingClickHoldMs : 0;
  const consent = click?.consent ?? (pool?.consent === 'required' ? 'unknown' : 'not_required');
  const skippedReason =
    reasonToSkip({ event: 'purchase', pool, pixelId, pools, consent }) ??
    (trigger === 'off' ? 'trigger_off' : null);
  return {
    poolId: pool?.id ?? null,
    pixelId,
    dueAtMs: Math.max(triggeredAtMs, clickAwaitedMs),
    eventTimeMs: Math.min(paid.paidAtMs, nowMs),
    skippedReason,
  };
}

/** The click's pool, else the payment's, else the first by id that has the bot. */
export function choosePool(
  pools: readonly Pool[],
  known: { readonly click: Click | null; readonly poolId: string | null; readonly botId: string },
): Pool | undefined {
  const byId = (id: string | null | undefined) => pools.find((pool) => pool.id === id);
  const withBot = pools.filter(({ bots }) => bots.some(({ bot }) => bot === known.botId));
  const [first] = withBot.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return byId(known.click?.poolId) ?? byId(known.poolId) ?? first;
}

function reasonToSkip(about: {
  event: 'pageView' | 'purchase';
  pool: Pool | undefined;
  pixelId: string | null;
  pools: readonly Pool[];
  consent: Click['consent'];
}): SkippedReason | null {
  const { pixelId, pools, consent } = about;
  const switchedOff = reasonInPool(about);
  if (switchedOff !== null) return switchedOff;
  if (consent !== 'granted' && consent !== 'not_required') return 'no_consent';
  const hasToken = pixelId !== null && hasAccessToken(pools, pixelId);
  return hasToken ? null : 'no_access_token';
}

function reasonInPool({
  event,
  pool,
  pixelId,
}: {
  readonly event: 'pageView' | 'purchase';
  readonly pool: Pool | undefined;
  readonly pixelId: string | null;
}): SkippedReason | null {
  if (!pool) return 'unknown_pool';
  if (!pool.meta.enabled) return 'meta_disabled';
  if (pixelId === null) return 'no_pixel';
  return pool.meta.events[event] ? null : 'event_off';
}

/**
 * Looked at again right before an event goes: hours may lie between its plan and that moment, and
 * somebody may have switched it off meanwhile. Consent was judged when it was planned; without a
 * token the pixel is parked and its events wait, for a token that is missing is an accident.
 * @param pool the event's own, as the catalog has it by now.
 */
export function reasonToWithdraw(
  { eventName, pixelId }: Pick<Conversion, 'eventName' | 'pixelId'>,
  pool: Pool | undefined,
): SkippedReason | null {
  const event = eventName === 'PageView' ? 'pageView' : 'purchase';
  const switchedOff = reasonInPool({ event, pool, pixelId });
  const isTriggerOff = event === 'purchase' && pool?.meta.purchaseTrigger === 'off';
  return switchedOff ?? (isTriggerOff ? 'trigger_off' : null);
}

function hasAccessToken(pools: readonly Pool[], pixelId: string): boolean {
  return pools.some(({ meta }) => meta.pixelId === pixelId && meta.accessToken !== null);
}
