/** How soon a payment is on the wire to Meta while clicks are queued by the hundred thousand. */
import { setTimeout as delay } from 'node:timers/promises';
import { publishEvent, publishEvents } from '@rastro/messaging';
import { clickOf, paymentOf, pixelId } from './clicks-and-payments.ts';
import { type ConversionsDesk, startConversionsDesk } from './conversions-desk.ts';
import type { Figures } from './figures.ts';
import { loadSteadily, percentileOf } from './steady-load.ts';

const known = 8_000;
const queued = 100_000;
const perSecond = 50;
const durationMs = 12_000;
const warmUpMs = 3_000;
const batch = 1_000;
const drainWithinMs = 30_000;

/** Those who pay clicked before the queue came, as customers do. */
export async function measureMoney(): Promise<Figures> {
  await using desk = await startConversionsDesk();
  const customers = await queueClicks(desk, known);
  // As a process that has run for a while: what is measured is not the compiler.
  await pay(desk, customers.splice(0, (perSecond * warmUpMs) / 1_000));
  await queueClicks(desk, queued);
  const waits = await pay(desk, customers.splice(0, (perSecond * durationMs) / 1_000));
  const [row] = await desk.sql<{ sent: number }[]>`
    select count(*)::int as sent from conversions
    where state = 'accepted' and event_name = 'PageView'`;
  return { ...waits, 'PageViews still queued': known + queued - (row?.sent ?? 0) };
}

/** @returns the clicks' tracking tokens. */
async function queueClicks({ nats }: ConversionsDesk, count: number): Promise<string[]> {
  const clickedAt = new Date(Date.now() - 60_000);
  const tokens: string[] = [];
  while (tokens.length < count) {
    const clicks = Array.from({ length: batch }, () => clickOf(clickedAt));
    await publishEvents(nats, clicks);
    tokens.push(...clicks.map(({ data }) => data.trackingToken));
  }
  return tokens;
}

/** From when a `PaymentPaid` was due to be published to when Meta had its Purchase, in ms. */
async function pay({ nats, meta }: ConversionsDesk, tokens: readonly string[]): Promise<Figures> {
  const payments = tokens.map(paymentOf);
  const { startedAtMs } = await loadSteadily({
    total: payments.length,
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
    payments: payments.length,
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
