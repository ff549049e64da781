/** Visitors and buyers in drawn order, and what befalls Meta, the dispatcher and its servers. */
import type { RastroEvent } from '@rastro/events';
import type { FaultRule } from '@rastro/sandbox';
import { sampleEvent } from '@rastro/testing';
import { briskPace } from './brisk-pace.ts';
import { drawer } from './drawer.ts';

export interface StormSize {
  readonly pageViews: number;
  /** Of the visitors, so many buy. */
  readonly purchases: number;
  /** One event in so many is one that Meta refuses, whatever batch it comes in. */
  readonly poisonEvery: number;
  readonly durationMs: number;
  readonly kills: Readonly<Record<Victim, number>>;
}

export type Victim = 'capi-dispatcher' | 'nats' | 'postgres';

export interface StormPool {
  readonly id: string;
  readonly pixelId: string;
}

/** Moments are shares of the storm's duration, from 0 to 1. */
export interface ConversionStorm {
  /** In the order of their moments. */
  readonly posts: readonly { readonly at: number; readonly event: RastroEvent }[];
  /** What Meta is to be told, by `event_id`. */
  readonly expected: ReadonlyMap<string, Expected>;
  readonly rules: readonly FaultRule[];
  /** The pixel's token is refused for a while; `isNew`: until the catalog brings another one. */
  readonly refusals: readonly { at: number; forMs: number; pixelId: string; isNew: boolean }[];
  readonly kills: readonly { at: number; victim: Victim; awayMs: number }[];
}

export interface Expected {
  readonly eventName: 'PageView' | 'Purchase';
  readonly isPoison: boolean;
}

const poisonSuffix = 'deadbeef';
/** Within so much of the whole a visitor's events happen, in drawn order. */
const journeySpread = 0.1;

export function planConversionStorm(
  seed: number,
  size: StormSize,
  about: { readonly pools: readonly StormPool[]; readonly startsAtMs: number },
): ConversionStorm {
  const draw = drawer(seed, size.pageViews * 32);
  const expected = new Map<string, Expected>();
  const posts: { at: number; event: RastroEvent }[] = [];
  const [poisonViews, poisonBuys] = [size.pageViews, size.purchases].map((count) =>
    onePerBlock(count, size.poisonEvery, draw),
  );
  const buyEvery = size.pageViews / size.purchases;
  let buyers = 0;
  for (let index = 0; index < size.pageViews; index += 1) {
    const isBuyer = buyers < size.purchases && index >= buyers * buyEvery;
    const at = draw() * (0.98 - journeySpread);
    const journey = journeyOf({
      pool: about.pools[Math.floor(draw() * about.pools.length)] as StormPool,
      happenedAt: new Date(about.startsAtMs + at * size.durationMs).toISOString(),
      trackingToken: hexOf(draw, 32, poisonViews?.has(index) ?? false),
      payment: isBuyer ? hexOf(draw, 12, poisonBuys?.has(buyers) ?? false) : null,
      draw,
    });
    if (isBuyer) buyers += 1;
    for (const { eventId, eventName } of journey.tells) {
      expected.set(eventId, { eventName, isPoison: eventId.endsWith(poisonSuffix) });
    }
    for (const event of journey.events) {
      posts.push({ at: at + draw() * journeySpread, event });
      // Delivered again, or said anew under another id: neither may make a second event.
      const again = draw() < 0.5 ? event : sampleEvent(event.type, event.data as never);
      if (draw() < 0.1) posts.push({ at: at + draw() * journeySpread, event: again });
    }
  }
  return {
    posts: posts.toSorted((a, b) => a.at - b.at),
    expected,
    rules: drawRules(draw),
    refusals: drawRefusals(about.pools, draw),
    kills: drawKills(size.kills, draw),
  };
}

function onePerBlock(count: number, block: number, draw: () => number): Set<number> {
  const blocks = Math.floor(count / block);
  return new Set(
    Array.from({ length: blocks }, (_, index) => index * block + Math.floor(draw() * block)),
  );
}

/** Drawn hex digits; no harmless one ends as the poison ones do. */
function hexOf(draw: () => number, length: number, isPoison: boolean): string {
  let digits = '';
  while (digits.length < length) {
    digits += Math.floor(draw() * 2 ** 24)
      .toString(16)
      .padStart(6, '0');
  }
  const whole = digits.slice(0, length);
  if (isPoison) return whole.slice(0, -poisonSuffix.length) + poisonSuffix;
  return whole.endsWith(poisonSuffix) ? `${whole.slice(0, -1)}0` : whole;
}

interface Journey {
  readonly events: readonly RastroEvent[];
  readonly tells: readonly { eventId: string; eventName: Expected['eventName'] }[];
}

function journeyOf(drawn: {
  readonly pool: StormPool;
  readonly happenedAt: string;
  readonly trackingToken: string;
  readonly payment: string | null;
  readonly draw: () => number;
}): Journey {
  const { pool, happenedAt, trackingToken, payment, draw } = drawn;
  const poolId = pool.id;
  const ids = { trackingToken, poolId };
  const rootEventId = `evt_${trackingToken}`;
  const { pixelId } = pool;
  const at = { ...ids, clickedAt: happenedAt };
  const events: RastroEvent[] = [sampleEvent('ClickTracked', { ...at, rootEventId, pixelId })];
  const fbp = `fb.1.1763640000999.${Math.floor(draw() * 1e9)}`;
  const signals = { trackingToken, capturedAt: happenedAt, fbp };
  if (draw() < 0.8) events.push(sampleEvent('BrowserSignalsCaptured', signals));
  const pageView = { eventId: rootEventId, eventName: 'PageView' } as const;
  if (payment === null) return { events, tells: [pageView] };
  const paymentId = `019aa0f0-0000-7000-8000-${payment}`;
  const paid = { ...ids, paymentId, paidAt: happenedAt, confirmedAt: happenedAt };
  events.push(
    sampleEvent('FunnelStarted', { ...ids, startedAt: happenedAt }),
    sampleEvent('PaymentPaid', paid),
  );
  const viewed = { ...ids, paymentId, pixelId, viewedAt: happenedAt };
  if (draw() < 0.7) events.push(sampleEvent('DeliveryViewed', viewed));
  const purchase = { eventId: `purchase_${paymentId}`, eventName: 'Purchase' } as const;
  return { events, tells: [pageView, purchase] };
}

function drawRules(draw: () => number): FaultRule[] {
  const between = (min: number, max: number): number => min + draw() * (max - min);
  const rules: Omit<FaultRule, 'api'>[] = [
    { probability: between(0.02, 0.06), action: { status: 500, code: 2 } },
    { probability: between(0.01, 0.02), action: { status: 400, code: 80_004 } },
    { probability: between(0.04, 0.1), action: { acceptThenDrop: true } },
    { probability: between(0.01, 0.04), action: { reset: true } },
    { probability: between(0.01, 0.04), action: { html: true } },
    { probability: between(0.01, 0.02), action: { delayMs: briskPace.callTimeoutMs + 500 } },
    { match: { eventIdSuffix: poisonSuffix }, action: { code: 100, subcode: 2_804_001 } },
  ];
  return rules.map((rule) => ({ api: 'graph', ...rule }));
}

function drawRefusals(pools: readonly StormPool[], draw: () => number) {
  return pools.map(({ pixelId }, index) => ({
    at: 0.15 + draw() * 0.6,
    forMs: 1_000 + draw() * 2_000,
    pixelId,
    isNew: index % 2 === 1,
  }));
}

function drawKills(kills: StormSize['kills'], draw: () => number): ConversionStorm['kills'] {
  return Object.entries(kills)
    .flatMap(([victim, times]) =>
      Array.from({ length: times }, () => ({
        at: 0.1 + draw() * 0.9,
        victim: victim as Victim,
        awayMs: Math.round(draw() * 1_000),
      })),
    )
    .toSorted((a, b) => a.at - b.at);
}
