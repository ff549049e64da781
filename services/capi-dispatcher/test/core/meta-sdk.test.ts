/**
 * Goal: what Meta gets from us is what its own SDK would have sent for the same facts, but for the
 * differences that are listed here with their reasons.
 * Method: both make the event; the results are compared deeply. A listed difference is asserted on
 * both sides, so that one which disappears with a newer SDK shows.
 * @see docs/decisions/027-a-normaliser-of-our-own.md
 */
import { deepStrictEqual } from 'node:assert/strict';
import { sampleEvent } from '@rastro/testing';
import { sha256Hex } from '@rastro/runtime';
import { EventRequest } from 'facebook-nodejs-business-sdk';
import fc from 'fast-check';
import t from 'tap';
import { userDataTools as tools } from '../../src/adapters/user-data-tools.ts';
import {
  type CustomerInformation,
  type CustomerKey,
  hashedCustomer,
} from '../../src/core/customer-information.ts';
import { evolveJourney, initialJourney, type Journey } from '../../src/core/journey.ts';
import { evolveViewed, type Order, paidOf } from '../../src/core/order.ts';
import {
  pageViewEvent,
  purchaseEvent,
  requestBody,
  type ServerEvent,
} from '../../src/core/server-event.ts';
import { userData } from '../../src/core/user-data.ts';
import { type Facts, sdkEvent, sdkUserData } from './sdk-event.ts';

const click = sampleEvent('ClickTracked');
const signals = sampleEvent('BrowserSignalsCaptured');
const started = sampleEvent('FunnelStarted');
const payment = sampleEvent('PaymentPaid').data;
const view = sampleEvent('DeliveryViewed', { clientIp: '2804:14c::9' });
const deliveryUrl = 'https://go.example.com/delivery/';
const stamp = { eventId: 'an_id', eventTimeSeconds: 1_763_640_060, deliveryUrl };
const clicked = evolveJourney(initialJourney, click, 0) as Journey & {
  readonly click: NonNullable<Journey['click']>;
};
const full = [signals, started].reduce(
  (journey: Journey, event) => evolveJourney(journey, event, 1),
  clicked,
) as typeof clicked;
const { data } = click;
const telegramId = sha256Hex('telegram');

function orderOf(sale: Partial<NonNullable<Facts['sale']>> = {}) {
  const known = { paidAtMs: 0, seenAtMs: 0, telegramExternalId: telegramId };
  const paid = paidOf({ ...payment, ...sale }, known);
  const { paymentId, trackingToken } = payment;
  return { paymentId, trackingToken, paid, viewed: null } satisfies Order;
}

await t.test('PageView: all that a click and its page tell', async (t) => {
  const facts: Facts = {
    name: 'PageView',
    id: 'an_id',
    seconds: stamp.eventTimeSeconds,
    url: data.landingUrl,
    user: {
      client_ip_address: data.clientIp,
      client_user_agent: data.userAgent,
      fbc: full.bridge?.fbc?.value.includes(data.fbclid ?? '') ? full.bridge.fbc.value : data.fbc,
      fbp: signals.data.fbp,
      external_id: [...data.externalIds, started.data.externalId],
    },
  };
  t.strictSame(pageViewEvent(full, stamp, tools), sdkEvent(facts).normalize());
});

await t.test('PageView: hardly anything known', async (t) => {
  const sparse = { ...clicked.click, fbc: null, fbclid: null, userAgent: null, externalIds: [] };
  const user = { client_ip_address: data.clientIp, fbp: data.fbp };
  const { eventId: id, eventTimeSeconds: seconds } = stamp;
  const facts: Facts = { name: 'PageView', id, seconds, url: data.landingUrl, user };
  const event = pageViewEvent({ ...clicked, click: sparse }, stamp, tools);
  t.strictSame(event, sdkEvent(facts).normalize());
});

const { currency, amountCents, productId, productName, paymentId } = payment;
const sale = { currency, amountCents, productId, productName, paymentId };
const ofClick = {
  client_ip_address: data.clientIp,
  client_user_agent: data.userAgent,
  fbc: data.fbc,
  fbp: data.fbp,
  external_id: [...data.externalIds, telegramId],
};
const purchase = { name: 'Purchase', id: 'an_id', seconds: stamp.eventTimeSeconds, sale } as const;

await t.test(
  'Purchase: before the delivery page was opened, after it, without a click',
  async (t) => {
    const before = purchaseEvent(orderOf(), clicked, stamp, tools);
    const beforeFacts = { ...purchase, url: data.landingUrl, user: ofClick };
    t.strictSame(before, sdkEvent(beforeFacts).normalize());

    const viewed = evolveViewed(null, view.data, 1);
    const after = purchaseEvent({ ...orderOf(), viewed }, clicked, stamp, tools);
    const { clientIp, userAgent, fbp, fbc } = view.data;
    const user = {
      ...ofClick,
      client_ip_address: clientIp,
      client_user_agent: userAgent ?? data.userAgent,
      fbp: fbp ?? data.fbp,
      fbc: fbc ?? data.fbc,
    };
    t.strictSame(after, sdkEvent({ ...purchase, url: deliveryUrl, user }).normalize());

    const organic = purchaseEvent({ ...orderOf(), trackingToken: null }, null, stamp, tools);
    const alone = { ...purchase, url: deliveryUrl, user: { external_id: [telegramId] } };
    t.strictSame(organic, sdkEvent(alone).normalize());
  },
);

await t.test('the request around the events', async (t) => {
  const event = sdkEvent({ ...purchase, url: deliveryUrl, user: ofClick });
  let sent: Record<string, unknown> = {};
  const service = {
    executeRequest: async (_url: string, _method: string, _headers: object, params: object) => {
      sent = { ...params };
      return {};
    },
  };
  const request = new EventRequest('token', '123', [event])
    .setPartnerAgent('rastro')
    .setTestEventCode('TEST1')
    .setHttpService(service as never);
  await request.execute();
  const { access_token: token, namespace_id, upload_id, upload_tag, upload_source, ...rest } = sent;
  t.strictSame(JSON.parse(requestBody([JSON.stringify(event.normalize())], 'TEST1')), rest);
  t.equal(token, 'token', 'theirs travels in the body; ours in the Authorization header alone');
  const unset = { namespace_id, upload_id, upload_tag, upload_source };
  t.strictSame(new Set(Object.values(unset)), new Set([null]), 'theirs says what it does not say');
});

type Theirs = readonly string[] | 'throws';
const h = sha256Hex;

await t.test(
  'customer information: where the two agree, and each difference with its reason',
  async (t) => {
    const nameless = 'Meta asks for no blanks and punctuation; its newest library agrees with us';
    const table: [CustomerKey, string, string[], Theirs, string?][] = [
      ['em', ' John_Smith@gmail.com ', ['john_smith@gmail.com'], ['john_smith@gmail.com']],
      ['ph', '+55 (11) 91234-5678', ['5511912345678'], ['5511912345678']],
      ['ph', '5511912345678', ['5511912345678'], ['5511912345678']],
      ['fn', ' Mary ', ['mary'], ['mary']],
      ['fn', 'João', ['joão'], ['joão']],
      ['ge', 'Male', ['m'], ['m']],
      ['ge', 'F', ['f'], ['f']],
      ['db', '19970216', ['19970216'], ['19970216']],
      ['ct', 'New York', ['newyork'], ['newyork']],
      ['st', 'SP', ['sp'], ['sp']],
      ['zp', '94035-1234', ['94035'], ['94035']],
      ['zp', '01310100', ['01310100'], ['01310100']],
      ['country', 'BR', ['br'], ['br']],
      ['fn', 'José Carlos', ['josécarlos'], ['josé carlos'], nameless],
      ['fn', "D'Angelo-Silva", ['dangelosilva'], ["d'angelo-silva"], nameless],
      ['ln', 'da Silva Jr.', ['dasilvajr'], ['da silva jr.'], nameless],
      ['ct', 'São Paulo', ['saopaulo', 'sãopaulo'], ['sãopaulo'], 'both spellings; theirs is one'],
      ['st', 'São Paulo', ['sp'], ['sãopaulo'], 'two letters, as for the USA'],
      ['st', 'Minas Gerais', ['mg'], ['minasgerais'], 'the same'],
      ['st', 'California', ['ca'], ['california'], "Meta's own page asks for the two letters"],
      [
        'zp',
        '01310-100',
        ['01310100'],
        ['01310'],
        'a CEP has eight digits; only the USA has ZIP+4',
      ],
      ['country', 'Brazil', ['br'], 'throws', 'a name is enough to know the code'],
      ['country', 'Brasil', ['br'], 'throws', 'the same'],
      ['country', 'Atlantis', [], 'throws', 'the event is worth more than one key of it'],
      ['em', 'not-an-email', [], 'throws', 'the same'],
      ['ph', '1234', [], 'throws', 'the same'],
      [
        'ph',
        '(11) 91234-5678',
        ['5511912345678'],
        ['11912345678'],
        'the country code is mandatory',
      ],
      ['db', '16/02/1997', ['19970216'], ['16/02/1997'], 'theirs hashes a date as it comes'],
      ['db', '31/02/1997', [], ['31/02/1997'], 'no date'],
    ];
    for (const [key, text, ours, theirs, reason] of table) {
      t.strictSame(hashedCustomer({ [key]: text }, tools)[key] ?? [], ours.map(h), text);
      const make = () => sdkUserData({ [key]: text }).normalize() as Record<string, string[]>;
      if (theirs === 'throws') t.throws(make, `${key} ${text}: ${reason}`);
      else t.strictSame(make()[key], theirs.map(h), `${key} ${text}: ${reason ?? 'the same'}`);
      t.equal(reason === undefined, JSON.stringify(ours) === JSON.stringify(theirs), 'is listed');
    }
  },
);

await t.test('user_data otherwise: theirs passes on what Meta refuses or ignores', async (t) => {
  const american = { country: 'us', zp: '940351234' };
  t.strictSame(sdkUserData(american).normalize().zp, [h('940351234')], 'theirs: without a dash');
  t.strictSame(userData(american, tools).zp, [h('94035')], 'ours: five digits either way');
  t.strictSame(sdkUserData({ ge: 'other' }).normalize(), { ge: [null] }, 'theirs: null');
  t.strictSame(userData({ ge: 'other' }, tools), {}, 'ours: no key');
  t.strictSame(sdkUserData({ external_id: '123' }).normalize(), { external_id: ['123'] });
  t.strictSame(
    userData({ external_id: '123' }, tools),
    { external_id: [h('123')] },
    'as the Pixel',
  );
  const md5 = '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c';
  t.strictSame(sdkUserData({ em: md5 }).normalize(), { em: [md5] }, 'theirs: an MD5 passes');
  t.strictSame(userData({ em: md5 }, tools), {}, 'ours: Meta takes SHA-256 alone');
  const wrong = { fbc: 'nonsense', fbp: 'nonsense', client_ip_address: '10.0.0.1' };
  t.strictSame(sdkUserData(wrong).normalize(), wrong, 'theirs: whatever it is given');
  t.strictSame(userData(wrong, tools), {}, 'ours: one malformed fbc refuses its batch');
});

await t.test(
  'a product that costs nothing: theirs leaves its price out, ours says 0',
  async (t) => {
    const free = { ...sale, amountCents: 0 };
    const theirs = sdkEvent({
      ...purchase,
      sale: free,
      url: deliveryUrl,
      user: ofClick,
    }).normalize();
    const ours = purchaseEvent(orderOf(free), clicked, stamp, tools);
    t.strictSame(theirs.custom_data?.contents, [{ id: productId, quantity: 1 }]);
    t.strictSame(ours.custom_data?.contents, [{ id: productId, quantity: 1, item_price: 0 }]);
    t.equal(ours.custom_data?.value, theirs.custom_data?.value);
  },
);

await t.test('property: the same events for all that both can read', async () => {
  const word = fc.stringMatching(/^[a-zA-Z]{1,12}$/);
  const some = <T>(value: fc.Arbitrary<T>) => fc.option(fc.array(value, { maxLength: 3 }));
  const mail = fc.tuple(word, word).map(([name, host]) => ` ${name}@${host}.com.br`);
  const phone = fc
    .tuple(fc.constantFrom('11', '21', '85'), fc.stringMatching(/^\d{7}$/))
    .map(([ddd, rest]) => `+55 (${ddd}) 99${rest.slice(0, 3)}-${rest.slice(3)}`);
  const customer: fc.Arbitrary<CustomerInformation> = fc.record({
    em: some(mail),
    ph: some(phone),
    fn: some(word.map((name) => ` ${name} `)),
    ln: some(word),
    db: some(fc.constantFrom('19970216', '20000229')),
    ge: some(fc.constantFrom('m', 'F', ' female', 'Male')),
    ct: some(fc.tuple(word, word).map((words) => words.join(' '))),
    st: some(fc.constantFrom('SP', 'mg', ' ba ')),
    zp: some(fc.stringMatching(/^\d{8}$/)),
    country: some(fc.constantFrom('br', 'BR', ' pt')).map((codes) => codes?.slice(0, 1)),
    external_id: fc.array(fc.stringMatching(/^[0-9a-f]{64}$/)),
  });
  const amount = fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 1e11 }));
  const product = fc.record({
    productId: fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,20}$/),
    productName: fc.string({ minLength: 1, unit: 'grapheme' }),
    currency: fc.constantFrom('BRL', 'USD', 'EUR'),
  });
  fc.assert(
    fc.property(customer, amount, product, (known, cents, { currency: code, ...goods }) => {
      const sold = { ...sale, ...goods, amountCents: cents, currency: code };
      const event: ServerEvent = {
        ...purchaseEvent(orderOf(sold), clicked, stamp, tools),
        user_data: userData({ ...ofClick, ...known }, tools),
      };
      const facts = {
        ...purchase,
        sale: sold,
        url: data.landingUrl,
        user: { ...ofClick, ...known },
      };
      const theirs = sdkEvent(facts).normalize();
      deepStrictEqual(event, theirs);
    }),
    { numRuns: 200 },
  );
});
