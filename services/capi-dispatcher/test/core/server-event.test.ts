/**
 * Goal: the JSON that Meta gets is exactly what its documentation asks for, built from the freshest
 * that is known, whatever order it came in.
 * Method: golden payloads, and properties over shuffled events.
 */
import type { DataOf } from '@rastro/events';
import { sampleEvent } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import { userDataTools as tools } from '../../src/adapters/user-data-tools.ts';
import {
  evolveJourney,
  initialJourney,
  type Journey,
  type JourneyEvent,
} from '../../src/core/journey.ts';
import { evolveViewed, type Order, paidOf } from '../../src/core/order.ts';
import { pageViewEvent, purchaseEvent, requestBody } from '../../src/core/server-event.ts';
import { hasMatchKeys, pageViewUserData, purchaseUserData } from '../../src/core/user-data.ts';

type Clicked = Journey & { readonly click: NonNullable<Journey['click']> };

const clickEvent = sampleEvent('ClickTracked');
const clickedAtMs = Date.parse(clickEvent.data.clickedAt);
const ownFbclid = clickEvent.data.fbclid ?? '';

function signals(data: Partial<DataOf<'BrowserSignalsCaptured'>>, atMs: number) {
  const event = sampleEvent('BrowserSignalsCaptured', data);
  return { event: event as JourneyEvent, atMs: clickedAtMs + atMs };
}

function journeyWith(...events: { event: JourneyEvent; atMs: number }[]): Clicked {
  const first = { event: clickEvent as JourneyEvent, atMs: clickedAtMs };
  return [first, ...events].reduce(
    (journey, { event, atMs }) => evolveJourney(journey, event, atMs),
    initialJourney,
  ) as Clicked;
}

const paidEvent = sampleEvent('PaymentPaid');
const paidAtMs = Date.parse(paidEvent.data.paidAt);
const paid = paidOf(paidEvent.data, {
  paidAtMs,
  seenAtMs: paidAtMs,
  telegramExternalId: 'd'.repeat(64),
});
const { paymentId, trackingToken } = paidEvent.data;
const order = { paymentId, trackingToken, paid, viewed: null } satisfies Order;
const viewed = evolveViewed(
  null,
  sampleEvent('DeliveryViewed', { clientIp: '2804:14c::9', fbp: 'fb.1.1763640070000.9' }).data,
  paidAtMs + 10_000,
);
const stamp = { eventId: 'purchase_x', eventTimeSeconds: 1_763_640_060 };
const deliveryUrl = 'https://go.example.com/delivery/';

await t.test('golden: PageView', async (t) => {
  const started = {
    event: sampleEvent('FunnelStarted') as JourneyEvent,
    atMs: clickedAtMs + 5_000,
  };
  const journey = journeyWith(signals({ fbp: 'fb.2.1763640000500.42' }, 400), started);
  const eventId = clickEvent.data.rootEventId;
  t.strictSame(pageViewEvent(journey, { eventId, eventTimeSeconds: 1_763_640_000 }, tools), {
    event_name: 'PageView',
    event_time: 1_763_640_000,
    event_id: 'evt_5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
    action_source: 'website',
    event_source_url: clickEvent.data.landingUrl,
    user_data: {
      client_ip_address: '177.10.20.30',
      client_user_agent: clickEvent.data.userAgent,
      fbc: `fb.2.1763640000000.${ownFbclid}`,
      fbp: 'fb.2.1763640000500.42',
      external_id: ['a', 'b', 'c'].map((digit) => digit.repeat(64)),
    },
    data_processing_options: [],
  });
});

await t.test('golden: Purchase, before and after the delivery page was opened', async (t) => {
  const journey = journeyWith();
  const event = purchaseEvent(order, journey, { ...stamp, deliveryUrl }, tools);
  t.strictSame(event, {
    event_name: 'Purchase',
    event_time: 1_763_640_060,
    event_id: 'purchase_x',
    action_source: 'website',
    event_source_url: clickEvent.data.landingUrl,
    user_data: {
      client_ip_address: '177.10.20.30',
      client_user_agent: clickEvent.data.userAgent,
      fbc: `fb.2.1763640000000.${ownFbclid}`,
      fbp: 'fb.2.1763640000000.1073741823',
      external_id: ['a', 'b', 'd'].map((digit) => digit.repeat(64)),
    },
    custom_data: {
      currency: 'BRL',
      value: 19.9,
      content_ids: ['ebook'],
      content_name: 'E-book',
      content_type: 'product',
      contents: [{ id: 'ebook', quantity: 1, item_price: 19.9 }],
      order_id: paymentId,
    },
    data_processing_options: [],
  });
  const after = purchaseEvent({ ...order, viewed }, journey, { ...stamp, deliveryUrl }, tools);
  t.equal(after.event_source_url, deliveryUrl);
  t.match(after.user_data, {
    client_ip_address: '2804:14c::9',
    client_user_agent: 'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36',
    fbp: 'fb.1.1763640070000.9',
    fbc: `fb.2.1763640000000.${ownFbclid}`,
  });
  const organic = purchaseEvent(
    { ...order, trackingToken: null },
    null,
    { ...stamp, deliveryUrl },
    tools,
  );
  t.equal(organic.event_source_url, deliveryUrl);
  t.strictSame(organic.user_data, { external_id: ['d'.repeat(64)] });
});

await t.test('what the browser said later is told of a Purchase that nobody viewed', async (t) => {
  const spoken = signals(
    { fbp: 'fb.2.1763640000500.42', fbc: `fb.1.1763640000700.${ownFbclid}` },
    400,
  );
  const bare = purchaseEvent(order, journeyWith(), { ...stamp, deliveryUrl }, tools);
  const event = purchaseEvent(order, journeyWith(spoken), { ...stamp, deliveryUrl }, tools);
  t.match(event.user_data, {
    fbp: 'fb.2.1763640000500.42',
    fbc: `fb.1.1763640000700.${ownFbclid}`,
  });
  t.not(bare.user_data.fbp, event.user_data.fbp, "and not the click's");
  t.not(bare.user_data.fbc, event.user_data.fbc);
  t.equal(event.event_source_url, clickEvent.data.landingUrl, 'of the page that was seen');
});

await t.test('the body of a request is made of the frozen texts', async (t) => {
  const body = requestBody(['{"a":1}', '{"b":2}'], 'TEST1');
  t.equal(body, '{"data":[{"a":1},{"b":2}],"partner_agent":"rastro","test_event_code":"TEST1"}');
  t.strictSame(JSON.parse(requestBody(['{}'], null)), { data: [{}], partner_agent: 'rastro' });
});

await t.test(
  "a cookie wins over the click's value, unless it is of another click or broken",
  async (t) => {
    const marked = `fb.1.1763640000700.${ownFbclid}.AQQCAQMC`;
    const fbcAfter = (fbc: string | null) =>
      pageViewUserData(journeyWith(signals({ fbc }, 400)), tools).fbc;
    t.equal(fbcAfter(marked), marked);
    for (const fbc of [
      null,
      '',
      'fb.1.1763640000700.AnotherClick',
      `fb.1.1763640000.${ownFbclid}`,
    ]) {
      t.equal(fbcAfter(fbc), clickEvent.data.fbc, String(fbc));
    }
    const broken = {
      ...journeyWith().click,
      fbc: 'nonsense',
      fbp: 'x',
      clientIp: null,
      userAgent: '',
    };
    const unknown = { ...journeyWith(), click: { ...broken, externalIds: [''] } };
    const data = pageViewUserData(unknown, tools);
    t.strictSame(data, {}, 'nothing invalid, nothing empty');
    t.notOk(hasMatchKeys(data));
    t.notOk(hasMatchKeys({ client_user_agent: 'too broad alone' }));
    t.ok(hasMatchKeys({ fbp: 'fb.1.1763640000700.1' }));
  },
);

await t.test('property: the order of events changes nothing, and repeating none', async () => {
  const cookie = fc.constantFrom(null, '', 'fb.1.1763640000100.1', 'fb.1.1763640000200.2');
  const anySignals = fc
    .record({
      pageType: fc.constantFrom('bridge' as const, 'delivery' as const),
      fbp: cookie,
      fbc: cookie,
      clientIp: fc.constantFrom(null, '177.10.20.30', '2804:14c::1'),
      userAgent: fc.constantFrom(null, 'one', 'other'),
    })
    .chain((data) => fc.nat(3).map((atMs) => signals(data, atMs)));
  const started = fc.nat(3).map((atMs) => ({
    event: sampleEvent('FunnelStarted', { externalId: String(atMs).repeat(64) }) as JourneyEvent,
    atMs,
  }));
  const click = fc.constant({ event: clickEvent as JourneyEvent, atMs: clickedAtMs });
  const history = fc.array(fc.oneof(anySignals, started, click), { maxLength: 8 });
  const shuffled = history.chain((events) =>
    fc.tuple(
      fc.constant(events),
      fc.shuffledSubarray([...events, ...events], { minLength: events.length * 2 }),
    ),
  );
  const fold = (events: { event: JourneyEvent; atMs: number }[]): Journey =>
    events.reduce(
      (journey, { event, atMs }) => evolveJourney(journey, event, atMs),
      initialJourney,
    );
  fc.assert(
    fc.property(shuffled, ([events, again]) => {
      const [one, other] = [fold(events), fold(again)];
      if (JSON.stringify(one) !== JSON.stringify(other)) throw new Error('differs');
      const known = events.some(
        ({ event }) => event.type === 'BrowserSignalsCaptured' && event.data.fbp,
      );
      const fbp = one.bridge?.fbp ?? one.delivery?.fbp;
      if (known !== Boolean(fbp)) throw new Error('a known value was replaced by an empty one');
      purchaseUserData({ ...order, viewed }, one, tools);
    }),
  );
});
