/** How soon a payment is on the wire to Meta while clicks are queued by the hundred thousand. */
import { setTimeout as delay } from 'node:timers/promises';
import { publishEvent, publishEvents } from '@rastro/messaging';
import { clickOf, paymentOf, pixelId } from './clicks-and-payments.ts';
import { type ConversionsDesk, startConversionsDesk } from './conversions-desk.ts';
import type { Figures } from './figures.ts';
import { loadSteadily, percentileOf } from './steady-load.ts';

const queued = 100_000;
const perSecond = 50;
const durationMs = 15_000;
const warmUpMs = 3_000;
const batch = 1_000;
const drainWithinMs = 30_000;

export async function measureMoney(): Promise<Figures> {
  await using desk = await startConversionsDesk();
  // As a process that has run for a while: what is measured is not the compiler.
  await queueClicks(desk, 8_000);
  await pay(desk, warmUpMs);
  await queueClicks(desk, queued);
  const waves = await pay(desk, durationMs);
  const [left] = await desk.sql<{ waiting: number }[]>`
    select count(*)::int as waiting from conversions where state = 'accepted'
      and event_name = 'PageView'`;
  return { ...waves, 'PageViews accepted meanwhile': (left?.waiting ?? 0) - 8_000 };
}

async function queueClicks({ nats }: ConversionsDesk, count: number): Promise<void> {
  const clickedAt = new Date(Date.now() - 60_000);
  for (let at = 0; at < count; at += batch) {
    await publishEvents(
      nats,
      Array.from({ length: Math.min(batch, count - at) }, () => clickOf(clickedAt)),
    );
  }
}

/** From when a `PaymentPaid` was due to be published to when Meta had its Purchase, in ms. */
async function pay({ nats, meta }: ConversionsDesk, forMs: number): Promise<Figures> {
  const total = (perSecond * forMs) / 1_000;
  const payments = Array.from({ length: total }, paymentOf);
  const { startedAtMs, notOk } = await loadSteadily({
    total,
    perSecond,
    async send(index) {
      const payment = payments[index];
      if (payment) await publishEvent(nats, payment);
      return 200;
    },
  });
  const numbers = new Map(payments.map(({ data }, index) => [`purchase_${data.paymentId}`, index]));
  const arrivedAt = await arrivals(meta, numbers);
  const waits = arrivedAt.map((atMs, index) => atMs - startedAtMs - (index * 1_000) / perSecond);
  const sorted = waits.toSorted();
  return {
    payments: total - notOk,
    'wire p50 ms': percentileOf(sorted, 0.5),
    'wire p99 ms': percentileOf(sorted, 0.99),
    'wire max ms': percentileOf(sorted, 1),
  };
}

interface Call {
  readonly atMs: number;
  readonly events: readonly { readonly eventName: string; readonly eventId: string }[];
}

/** By Meta's own clock, which is this machine's; in the order of the payments. */
async function arrivals(
  meta: ConversionsDesk['meta'],
  numbers: ReadonlyMap<string, number>,
): Promise<Float64Array> {
  const arrivedAt = new Float64Array(numbers.size);
  const deadline = performance.now() + drainWithinMs;
  for (;;) {
    const calls = await meta.control<Call[]>('GET', `/graph/requests?pixelId=${pixelId}`);
    for (const { atMs, events } of calls) {
      for (const { eventId } of events) {
        const index = numbers.get(eventId);
        if (index !== undefined) arrivedAt[index] = atMs;
      }
    }
    const missing = arrivedAt.filter((atMs) => atMs === 0).length;
    if (missing === 0) return arrivedAt;
    if (performance.now() > deadline) throw new Error(`${missing} Purchases did not arrive`);
    await delay(500);
  }
}
