/**
 * Goal: whether and when an event goes is decided by the pool's settings and what is known, alike
 * for every order in which it becomes known.
 * Method: examples per rule; a property that folds every permutation into the same final plan.
 */
import type { CatalogItem } from '@rastro/events';
import { sampleCatalog, sampleEvent } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import {
  evolveJourney,
  initialJourney,
  type Journey,
  type JourneyEvent,
} from '../../src/core/journey.ts';
import { evolveViewed, type Order, paidOf } from '../../src/core/order.ts';
import {
  choosePool,
  planPageView,
  planPurchase,
  type Pool,
  reasonToWithdraw,
} from '../../src/core/plan.ts';
import { changeOf, type Entry } from '../../src/core/schedule.ts';

const sample = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as CatalogItem<'pool'>;
const pool = (meta: Partial<Pool['meta']> = {}, rest: Partial<Pool> = {}): Pool => ({
  ...sample,
  ...rest,
  meta: { ...sample.meta, ...meta },
});
const pools = [pool()];

const clickEvent = sampleEvent('ClickTracked');
const clickedAtMs = Date.parse(clickEvent.data.clickedAt);
const evolve = (journey: Journey, event: JourneyEvent) =>
  evolveJourney(journey, event, clickedAtMs);
const clicked = evolve(initialJourney, clickEvent as JourneyEvent) as Parameters<
  typeof planPageView
>[0];
const spoken = evolve(
  clicked,
  sampleEvent('BrowserSignalsCaptured') as JourneyEvent,
) as typeof clicked;

const paidEvent = sampleEvent('PaymentPaid');
const paidAtMs = Date.parse(paidEvent.data.paidAt);
const paid = paidOf(paidEvent.data, {
  paidAtMs,
  seenAtMs: paidAtMs + 900,
  telegramExternalId: null,
});
const { paymentId, trackingToken } = paidEvent.data;
const order = { paymentId, trackingToken, paid, viewed: null } satisfies Order;
const view = sampleEvent('DeliveryViewed');
const viewedAtMs = Date.parse(view.data.viewedAt);
const viewed = { ...order, viewed: evolveViewed(null, view.data, viewedAtMs) };

await t.test('PageView: due with the signals, else after the hold', async (t) => {
  t.match(planPageView(clicked, pools, clickedAtMs + 100), {
    dueAtMs: clickedAtMs + 2_000,
    eventTimeMs: clickedAtMs,
    pixelId: '1234567890',
    skippedReason: null,
  });
  t.equal(planPageView(spoken, pools, clickedAtMs + 100).dueAtMs, clickedAtMs + 100);
  const early = planPageView(clicked, pools, clickedAtMs - 5_000);
  t.equal(
    early.eventTimeMs,
    clickedAtMs - 5_000,
    'a clock ahead of ours never makes a future event',
  );
});

await t.test('PageView: every reason to skip', async (t) => {
  const reasonFor = (click: Partial<typeof clicked.click>, list: readonly Pool[] = pools) =>
    planPageView({ ...clicked, click: { ...clicked.click, ...click } }, list, clickedAtMs)
      .skippedReason;
  for (const trafficClass of ['bot', 'preview', 'prefetch', 'unknown'] as const) {
    t.equal(reasonFor({ trafficClass }), 'not_human');
  }
  t.equal(reasonFor({}, []), 'unknown_pool');
  t.equal(reasonFor({}, [pool({ enabled: false })]), 'meta_disabled');
  t.equal(reasonFor({ pixelId: null }), 'no_pixel');
  t.equal(reasonFor({}, [pool({ events: { pageView: false, purchase: true } })]), 'event_off');
  for (const consent of ['denied', 'unknown'] as const)
    t.equal(reasonFor({ consent }), 'no_consent');
  t.equal(reasonFor({ consent: 'granted' }), null);
  t.equal(reasonFor({}, [pool({ accessToken: null })]), 'no_access_token');
});

await t.test('Purchase: at once, at the view, at the end of the grace, or never', async (t) => {
  const plan = (
    knownOrder: typeof order | typeof viewed,
    meta: Partial<Pool['meta']>,
    nowMs: number,
    browserFirstHoldMs = 0,
  ) =>
    planPurchase(
      {
        order: knownOrder,
        journey: spoken,
        pools: [pool(meta)],
        missingClickHoldMs: 30_000,
        browserFirstHoldMs,
      },
      nowMs,
    );
  const nowMs = paidAtMs + 1_000;
  t.equal(plan(order, { purchaseTrigger: 'paid' }, nowMs).dueAtMs, nowMs);
  t.equal(plan(order, {}, nowMs).dueAtMs, paidAtMs + 600_000);
  t.equal(plan(order, {}, paidAtMs + 700_000).dueAtMs, paidAtMs + 700_000, 'the grace is over');
  t.equal(plan(viewed, {}, nowMs).dueAtMs, nowMs);
  const held = (atMs: number, meta: Partial<Pool['meta']> = {}) =>
    plan(viewed, meta, atMs, 1_500).dueAtMs;
  t.equal(held(viewedAtMs), viewedAtMs + 1_500, "the browser's copy goes first");
  t.equal(held(viewedAtMs + 9_000), viewedAtMs + 9_000, 'it had its time');
  t.equal(held(viewedAtMs, { purchaseTrigger: 'paid' }), viewedAtMs, 'no page is waited for');
  const graceMs = (viewedAtMs - paidAtMs) / 60_000;
  t.equal(held(viewedAtMs, { purchaseGraceMinutes: graceMs }), viewedAtMs, 'nor beyond the grace');
  t.equal(plan(viewed, { purchaseTrigger: 'off' }, nowMs).skippedReason, 'trigger_off');
  t.equal(plan(order, {}, nowMs).eventTimeMs, paidAtMs);
});

await t.test('Purchase: a click not yet seen is waited for, not an organic one', async (t) => {
  const nowMs = paidAtMs + 1_000;
  const plan = (trackingTokenKnown: string | null, consent: Pool['consent'] = 'not_required') =>
    planPurchase(
      {
        order: { ...order, trackingToken: trackingTokenKnown },
        journey: trackingTokenKnown === null ? null : initialJourney,
        pools: [pool({ purchaseTrigger: 'paid' }, { consent })],
        missingClickHoldMs: 30_000,
        browserFirstHoldMs: 0,
      },
      nowMs,
    );
  t.equal(plan(trackingToken).dueAtMs, paid.seenAtMs + 30_000);
  t.equal(plan(null).dueAtMs, nowMs);
  t.equal(plan(trackingToken, 'required').skippedReason, 'no_consent', 'until the click says so');
});

await t.test("the pool is the click's, the payment's, or the first with the bot", async (t) => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => pool({}, { id, bots: [] }));
  const list = [c, b, a].filter((each) => each !== undefined);
  const withBot = list.map((each) => ({ ...each, bots: sample.bots }));
  const choose = (known: { poolId: string | null }, click: string | null, among = list) =>
    choosePool(among, {
      click: click === null ? null : { ...clicked.click, poolId: click },
      botId: 'bot-a',
      ...known,
    })?.id;
  t.equal(choose({ poolId: 'b' }, 'c'), 'c');
  t.equal(choose({ poolId: 'b' }, 'gone'), 'b');
  t.equal(choose({ poolId: null }, null, withBot), 'a');
  t.equal(choose({ poolId: null }, null), undefined);
});

await t.test('the ledger changes only what has not been attempted', async (t) => {
  const plan = planPageView(spoken, pools, clickedAtMs);
  const entry = (changes: Partial<Entry>): Entry => ({
    state: 'waiting',
    attempts: 0,
    pixelId: '1234567890',
    poolId: 'promo',
    dueAtMs: clickedAtMs + 2_000,
    ...changes,
  });
  const change = (known: Entry | null, isReopened = false, changed = plan) =>
    changeOf(known, changed, { nowMs: clickedAtMs, isReopened });
  t.same(change(null), { kind: 'insert', state: 'due' });
  t.same(change(entry({})), { kind: 'replan', state: 'due', isAnnounced: false });
  for (const state of ['due', 'sending', 'accepted', 'rejected', 'unconfirmed', 'dead'] as const) {
    t.same(change(entry({ state })), { kind: 'none' }, state);
  }
  t.same(change(entry({ attempts: 1 })), { kind: 'none' });
  t.same(change(entry({ state: 'skipped' })), { kind: 'none' });
  t.same(change(entry({ state: 'skipped' }), true), {
    kind: 'replan',
    state: 'due',
    isAnnounced: true,
  });
  const skipped = { ...plan, skippedReason: 'no_consent' } as const;
  t.match(change(entry({}), false, skipped), {
    kind: 'replan',
    state: 'skipped',
    isAnnounced: true,
  });
});

await t.test('what was planned is withdrawn by a switch, and by no other change', async (t) => {
  const reasons = (changed: Pool | undefined) =>
    (['PageView', 'Purchase'] as const).map((eventName) =>
      reasonToWithdraw({ eventName, pixelId: '1234567890' }, changed),
    );
  t.same(reasons(pool()), [null, null]);
  t.same(reasons(undefined), ['unknown_pool', 'unknown_pool']);
  t.same(reasons(pool({ enabled: false })), ['meta_disabled', 'meta_disabled']);
  t.same(reasons(pool({ events: { pageView: false, purchase: true } })), ['event_off', null]);
  t.same(reasons(pool({ events: { pageView: true, purchase: false } })), [null, 'event_off']);
  t.same(reasons(pool({ purchaseTrigger: 'off' })), [null, 'trigger_off']);
  const others = pool({ accessToken: null, pixelId: '9', purchaseTrigger: 'paid' });
  t.same(reasons(others), [null, null]);
  t.same(reasons(pool({}, { consent: 'required' })), [null, null]);
});

await t.test('property: every order of arrival ends in the same plan', async () => {
  const facts = ['click', 'bridge', 'started', 'paid', 'viewed'] as const;
  const any = fc.shuffledSubarray([...facts], { minLength: facts.length });
  const settings = fc.record({
    purchaseTrigger: fc.constantFrom('delivery' as const, 'paid' as const, 'off' as const),
    purchaseGraceMinutes: fc.constantFrom(0, 10),
  });
  const events = {
    click: clickEvent,
    bridge: sampleEvent('BrowserSignalsCaptured'),
    started: sampleEvent('FunnelStarted'),
  };
  const nowMs = paidAtMs + 1_000;
  fc.assert(
    fc.property(any, settings, (sequence, meta) => {
      let journey: Journey = initialJourney;
      let known: Order = { paymentId, trackingToken, paid: null, viewed: null };
      let entry: Entry | null = null;
      for (const fact of sequence) {
        if (fact === 'paid') known = { ...known, paid };
        else if (fact === 'viewed') known = { ...known, viewed: viewed.viewed };
        else journey = evolve(journey, events[fact] as JourneyEvent);
        if (!known.paid) continue;
        const knowledge = { order: { ...known, paid }, journey, pools: [pool(meta)] };
        const plan = planPurchase(
          { ...knowledge, missingClickHoldMs: 30_000, browserFirstHoldMs: 0 },
          nowMs,
        );
        const change = changeOf(entry, plan, { nowMs, isReopened: fact === 'click' });
        if (change.kind === 'none') continue;
        const { pixelId, poolId, dueAtMs } = plan;
        entry = { state: change.state, attempts: 0, pixelId: pixelId ?? '', poolId, dueAtMs };
      }
      const expected = meta.purchaseTrigger === 'off' ? 'skipped' : 'due';
      if (entry?.state !== expected) throw new Error(`${entry?.state}, not ${expected}`);
    }),
  );
});
