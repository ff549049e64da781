/**
 * Goal: a session is the same whatever the order in which its events arrive, however often they
 * are repeated and however they are cut into batches; and it tells what the events said.
 * Method: random journeys of all event types (fast-check), shuffled, against the same in order.
 */
import fc from 'fast-check';
import t from 'tap';
import { type EventType, eventTypes, type RastroEvent } from '@rastro/events';
import { sampleEvent } from '@rastro/testing';
import { journeyEntry, mask } from '../../src/core/journey.ts';
import { metaRow, ownerOf, sessionRow } from '../../src/core/rows.ts';
import { mergeSessions, type SessionState } from '../../src/core/session.ts';
import { sessionOf } from '../../src/core/session-of.ts';
import { viewSession } from '../../src/core/session-view.ts';

const token = '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c';
const withToken: EventType[] = eventTypes.filter((type) => sessionOf(sampleEvent(type)) !== null);

const at = (second: number): string =>
  new Date(Date.UTC(2026, 10, 20, 12, 0, second)).toISOString();
const payment = (n: number): string => `019aa0f0-0000-7000-8000-00000000010${n}`;

/** An event of the journey with times, payments and cookies that collide on purpose. */
const anyEvent: fc.Arbitrary<RastroEvent> = fc
  .record({
    type: fc.constantFrom(...withToken),
    second: fc.integer({ min: 0, max: 5 }),
    which: fc.integer({ min: 1, max: 2 }),
    flag: fc.boolean(),
    cookie: fc.constantFrom(null, '', 'fb.1.1763640000000.1', 'fb.1.1763640000000.2'),
    id: fc.uuid({ version: 7 }),
  })
  .map(({ type, second, which, flag, cookie, id }) => {
    const candidates: Record<string, unknown> = {
      paymentId: payment(which),
      isOpen: flag,
      isPartial: flag,
      isBlocked: flag,
      totalRefundedCents: which * 100,
      fbc: cookie,
      pageType: flag ? 'bridge' : 'delivery',
      skippedReason: flag ? 'no_consent' : null,
      attempts: which,
      stepId: `step-${second}`,
      eventId: flag ? `evt_${token}` : `purchase_${payment(which)}`,
      eventName: flag ? 'PageView' : 'Purchase',
    };
    const golden = sampleEvent(type);
    const data = Object.fromEntries(
      Object.entries(candidates).filter(([name]) => name in golden.data),
    );
    return sampleEvent(type, { ...data, trackingToken: token } as never, { id, time: at(second) });
  });

const fold = (events: readonly RastroEvent[]): SessionState =>
  events
    .map((event) => sessionOf(event))
    .filter((state) => state !== null)
    // As it happens between two batches: the state goes through the database as JSON.
    .reduce((a, b) => JSON.parse(JSON.stringify(mergeSessions(a, b))) as SessionState);

const text = (state: SessionState): string =>
  JSON.stringify([mergeSessions(state, state), sessionRow(state), metaRow(state)]);

await t.test('every order, repetition and cut gives the same session', async (t) => {
  const journeys = fc.uniqueArray(anyEvent, { minLength: 1, maxLength: 14, selector: (e) => e.id });
  const shuffled = journeys.chain((events) =>
    fc.record({
      events: fc.constant(events),
      order: fc.shuffledSubarray(events, { minLength: events.length }),
      again: fc.subarray(events),
      cut: fc.nat({ max: events.length }),
    }),
  );
  fc.assert(
    fc.property(shuffled, ({ events, order, again, cut }) => {
      const expected = text(fold(events));
      const repeated = [...order, ...again];
      const parts = [repeated.slice(0, cut), repeated.slice(cut)].filter((p) => p.length > 0);
      const joined = parts.map(fold).reduce(mergeSessions);
      t.equal(text(joined), expected);
    }),
    { numRuns: 500 },
  );
});

await t.test('a known value is never replaced by an empty one', async (t) => {
  const fbp = 'fb.1.1763640000000.1073741823';
  const known = sampleEvent('BrowserSignalsCaptured', { fbp, fbc: 'fb.1.1763640000000.x' });
  const empty = sampleEvent(
    'BrowserSignalsCaptured',
    { fbp: null, fbc: '' },
    { time: '2026-11-20T13:00:00.000Z' },
  );
  const row = metaRow(fold([known, empty]));
  t.match(row, { fbp, fbc: 'fb.1.1763640000000.x' });

  const click = sampleEvent('ClickTracked');
  const withClick = metaRow(fold([known, empty, click]));
  t.equal(withClick.fbc, click.data.fbc, "the click's own fbc wins");
  const without = sampleEvent('ClickTracked', { fbc: null, fbclid: null });
  t.equal(metaRow(fold([without, known])).fbc, 'fb.1.1763640000000.x', 'the bridge fills in');
});

await t.test('what one click left empty another one fills, whatever came first', async (t) => {
  const utm = (source: string | null) => ({
    source,
    medium: null,
    campaign: null,
    content: null,
    term: null,
  });
  const clicks = [
    sampleEvent('ClickTracked', { fbc: null, referrer: 'a', utm: utm(null) }, { time: at(1) }),
    sampleEvent('ClickTracked', { fbc: 'fb.1.2.x', src: null, utm: utm('two') }, { time: at(2) }),
    sampleEvent('ClickTracked', { fbc: 'fb.1.3.x', src: 's', utm: utm('three') }, { time: at(3) }),
  ];
  const [a, b, c] = clicks as [RastroEvent, RastroEvent, RastroEvent];
  const expected = { fbc: 'fb.1.2.x', referrer: 'a', src: 's', utm: { source: 'two' } };
  const texts = new Set<string>();
  for (const order of [
    [a, b, c],
    [c, b, a],
    [a, c, b],
    [b, c, a, b],
    [c, a, b, c],
  ]) {
    const state = fold(order);
    t.match(viewSession(state).click, expected);
    texts.add(text(state));
  }
  t.equal(texts.size, 1);
});

await t.test('pageview_sent is true once Meta accepted the PageView, never before', async (t) => {
  const click = sampleEvent('ClickTracked');
  const scheduled = sampleEvent('ConversionScheduled', {
    eventName: 'PageView',
    eventId: `evt_${token}`,
  });
  const unconfirmed = sampleEvent('ConversionUnconfirmed', {
    eventName: 'PageView',
    eventId: `evt_${token}`,
  });
  const purchase = sampleEvent('ConversionAccepted', {
    eventName: 'Purchase',
    eventId: `purchase_${payment(1)}`,
    paymentId: payment(1),
  });
  const before = metaRow(fold([click, scheduled, unconfirmed, purchase]));
  t.match(before, { pageview_sent: false, pageview_sent_at: null });
  const accepted = sampleEvent('ConversionAccepted');
  const after = metaRow(fold([accepted, click, unconfirmed, scheduled]));
  t.match(after, { pageview_sent: true, pageview_sent_at: accepted.data.acceptedAt });
});

await t.test('the payment that matters is the one that was paid', async (t) => {
  const about = (n: number) => ({ paymentId: payment(n) });
  const time = (second: number) => ({ time: at(second) });
  const paid = [
    sampleEvent('PaymentCreated', { ...about(1), createdAt: at(1) }, time(1)),
    sampleEvent('PaymentExpired', about(1), time(2)),
    sampleEvent('PaymentPaid', about(1), time(3)),
    sampleEvent('PaymentCreated', { ...about(2), createdAt: at(4) }, time(4)),
  ];
  t.match(sessionRow(fold(paid)), {
    payment_id: payment(1),
    payment_status: 'paid',
    amount_cents: 1990,
  });
  const statusAfter = (...events: RastroEvent[]) =>
    viewSession(fold([...paid, ...events])).payment?.status;
  const disputed = (isOpen: boolean, second: number) =>
    sampleEvent('PaymentDisputed', { ...about(1), isOpen }, time(second));
  t.equal(statusAfter(disputed(true, 5)), 'disputed');
  t.equal(statusAfter(disputed(true, 5), disputed(false, 6)), 'paid');
  const refunded = (isPartial: boolean) =>
    sampleEvent('PaymentRefunded', { ...about(1), isPartial });
  t.equal(statusAfter(refunded(true)), 'partially_refunded');
  t.equal(statusAfter(refunded(false), disputed(true, 5)), 'refunded');
  t.equal(statusAfter(refunded(true), sampleEvent('PaymentChargedBack', about(1))), 'charged_back');
});

await t.test('the owner of a token is the one with the click', async (t) => {
  const click = sampleEvent('ClickTracked');
  const mine = fold([click]);
  const theirs = fold([sampleEvent('FunnelStarted', {}, { workspaceid: 'a', time: at(0) })]);
  t.equal(ownerOf([theirs, mine]), mine);
  t.equal(metaRow(mine).id, '5f2b8c1e-9d4a-4f0b-8a7c-6d5e4f3a2b1c');
});

await t.test(
  'a click is classified anew, and its ad is named, also of an older event',
  async (t) => {
    const older = fold([sampleEvent('ClickTracked', { trafficClass: 'bot', classReasons: ['x'] })]);
    t.match(sessionRow(older), {
      traffic_class: 'bot',
      class_reasons: ['x'],
      campaign_name: 'Campanha',
      campaign_id: '120330000000000001',
      adset_name: 'Conjunto 1',
      adset_id: '120330000000000002',
      ad_name: 'Anuncio',
      ad_id: '120330000000000003',
      placement: 'Instagram_Stories',
    });
    const asked = { method: 'GET', purpose: null, accept: 'text/html', hasLanguage: true };
    const fetched = { fetchSite: null, fetchMode: null, fetchDest: null, hasClientHints: false };
    const traits = { ...asked, ...fetched, requestedWith: null, recentFromAddress: 1 };
    const classAfter = (changes: object, userAgent: string) => {
      const said = { trafficClass: 'unknown' as const, classReasons: ['a_rule_of_old'] };
      const click = { ...said, userAgent, traits: { ...traits, ...changes } };
      const { traffic_class, class_reasons } = sessionRow(
        fold([sampleEvent('ClickTracked', click)]),
      );
      return [traffic_class, ...(class_reasons ?? [])];
    };
    const phone = sampleEvent('ClickTracked').data.userAgent ?? '';
    t.same(classAfter({}, phone), ['human']);
    t.same(classAfter({}, 'Googlebot/2.1'), ['bot', 'known_bot_agent']);
    t.same(classAfter({ recentFromAddress: 121 }, phone), ['unknown', 'address_burst']);
    const view = viewSession(older).click;
    t.match(view, { trafficClass: 'bot', ad: { campaign: { name: 'Campanha' } } });
  },
);

await t.test('secrets are hidden in a journey, everything else is shown', async (t) => {
  const issued = journeyEntry(sampleEvent('DeliveryIssued'));
  t.equal(issued.data['deliveryToken'], mask);
  t.equal(issued.data['productId'], 'ebook');
  const click = journeyEntry(sampleEvent('ClickTracked', { params: { token: 'x', grim: 'x1' } }));
  t.match(click.data, { params: { token: mask, grim: 'x1' }, trackingToken: token });
});
