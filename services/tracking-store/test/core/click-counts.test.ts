/**
 * Goal: clicks are counted by workspace, UTC day, pool, bot and class, the same in any order and
 * however they are cut into batches.
 * Method: random clicks (fast-check), counted whole and in parts, against one at a time.
 */
import fc from 'fast-check';
import t from 'tap';
import { sampleEvent } from '@rastro/testing';
import { type ClickCount, clickCountsOf } from '../../src/core/click-counts.ts';

const classes = ['human', 'bot', 'preview', 'prefetch', 'unknown'] as const;

const anyClick = fc
  .record({
    botId: fc.constantFrom('bot-a', 'bot-b'),
    poolId: fc.constantFrom('promo', 'promo-2'),
    trafficClass: fc.constantFrom(...classes),
    clickedAt: fc.constantFrom('2026-11-20T23:59:59.999Z', '2026-11-21T00:00:00.000Z'),
    workspaceid: fc.constantFrom('demo', 'other'),
  })
  .map(({ workspaceid, ...data }) => sampleEvent('ClickTracked', data, { workspaceid }));

const keyOf = ({ clicks: _clicks, ...key }: ClickCount): string => JSON.stringify(key);

function sumOf(parts: readonly ClickCount[][]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const count of parts.flat())
    sums.set(keyOf(count), (sums.get(keyOf(count)) ?? 0) + count.clicks);
  return sums;
}

const sorted = (sums: Map<string, number>): [string, number][] =>
  [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1));

await t.test('what is counted, and by what', async (t) => {
  const late = { clickedAt: '2026-11-20T23:59:59.999Z', trafficClass: 'bot' } as const;
  const events = [
    sampleEvent('ClickTracked'),
    sampleEvent('ClickTracked', late, { time: '2026-11-21T00:00:00.000Z' }),
    sampleEvent('ClickTracked'),
    sampleEvent('ClickRefused'),
    sampleEvent('PaymentPaid'),
  ];
  const row = { workspace_id: 'demo', day: '2026-11-20', pool_id: 'promo', bot_id: 'bot-a' };
  t.same(clickCountsOf(events), [
    { ...row, traffic_class: 'bot', clicks: 1 },
    { ...row, traffic_class: 'human', clicks: 2 },
  ]);
  t.same(clickCountsOf([]), []);
});

await t.test('order and cut mean nothing, and rows come in order of their keys', async (t) => {
  const parted = fc.array(anyClick, { maxLength: 40 }).chain((events) =>
    fc.record({
      events: fc.constant(events),
      order: fc.shuffledSubarray(events, { minLength: events.length }),
      cut: fc.nat({ max: events.length }),
    }),
  );
  fc.assert(
    fc.property(parted, ({ events, order, cut }) => {
      const whole = clickCountsOf(events);
      const parts = [order.slice(0, cut), order.slice(cut)].map(clickCountsOf);
      const single = events.map((event) => clickCountsOf([event]));
      t.same(sorted(sumOf(parts)), sorted(sumOf([whole])));
      t.same(sorted(sumOf(single)), sorted(sumOf([whole])));
      const keys = whole.map((count) => Object.values(count).slice(0, -1).join(' '));
      t.same(keys, keys.toSorted());
    }),
    { numRuns: 100 },
  );
});
