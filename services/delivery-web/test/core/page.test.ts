/**
 * Goal: the right pool's Pixel fires with the server's values, and stays silent when it must.
 * Method: one delivery as the base, changed in one point per case.
 */
import { sampleCatalog } from '@rastro/testing';
import { type Headers, headerTraits } from '@rastro/traffic';
import t from 'tap';
import { accessAfter, accessOf } from '../../src/core/access.ts';
import { metaCookies } from '../../src/core/meta-cookies.ts';
import { type Delivery, type Offer, type Opening, pageOf } from '../../src/core/page.ts';
import { choosePool, type Pool } from '../../src/core/pool.ts';
import { visitorOf } from '../../src/core/visitor.ts';
import { pixelWindowMs } from '../../src/core/purchase-pixel.ts';
import { sampleDelivery } from '../sample-delivery.ts';

const promo = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as Pool;
const pool = (id: string, bots = ['bot-a']): Pool => ({
  ...promo,
  id,
  bots: bots.map((bot) => ({ bot, weight: 1, priority: 0 })),
});
const meta = (changes: Partial<Pool['meta']>): Pool => ({
  ...promo,
  meta: { ...promo.meta, ...changes },
});
const hash = (digit: string): string => digit.repeat(64);
const nowMs = Date.parse('2026-11-20T12:00:00.000Z');

const base = sampleDelivery;
const person: Opening = { visitor: 'person', cookies: { fbp: null, fbc: null }, nowMs };
const offer: Offer = {
  pools: [promo],
  accessUrl: 'https://example.com/now',
  accessAfterRefund: 'ends',
};

function pixelOf(changes: Partial<Delivery>, with_: Partial<Offer & Opening> = {}) {
  return pageOf({ ...base, ...changes }, { ...offer, ...with_ }, { ...person, ...with_ }).pixel;
}

await t.test('the Pixel says what the server says', async (t) => {
  t.same(pixelOf({}), {
    pixelId: '1234567890',
    externalIds: [hash('a'), hash('b'), hash('c')],
    eventId: `purchase_${base.paymentId}`,
    customData: {
      value: 19.9,
      currency: 'BRL',
      content_type: 'product',
      content_name: 'E-book',
      content_ids: ['ebook'],
      contents: [{ id: 'ebook', quantity: 1, item_price: 19.9 }],
      order_id: base.paymentId,
    },
    trackingToken: base.trackingToken,
    slug: 'promo',
    fireWithinMs: pixelWindowMs,
  });
  t.same(pixelOf({ click: null, trackingToken: null })?.externalIds, [hash('c')], 'organic');
  t.same(pixelOf({ leadExternalId: hash('a') })?.externalIds, [hash('a'), hash('b')], 'no doubles');
});

await t.test('it stays silent where it must', async (t) => {
  t.equal(pixelOf({}, { pools: [meta({ enabled: false })] }), null, 'Meta switched off');
  t.equal(pixelOf({}, { pools: [meta({ pixelId: null })] }), null, 'no pixel');
  t.equal(
    pixelOf({}, { pools: [meta({ events: { pageView: true, purchase: false } })] }),
    null,
    'purchase switched off',
  );
  t.equal(pixelOf({}, { pools: [] }), null, 'no pool');
  t.equal(pixelOf({}, { visitor: 'bot' }), null, 'a link preview');
  t.equal(pixelOf({}, { visitor: 'prefetch' }), null, 'a page that asks again when it is shown');
  const withConsent = (consent: string) =>
    pixelOf({ click: { poolId: 'promo', consent, externalIds: [] } }) !== null;
  t.same(['granted', 'not_required', 'denied', 'unknown'].map(withConsent), [
    true,
    true,
    false,
    false,
  ]);
  const asking = { pools: [{ ...promo, consent: 'required' } satisfies Pool] };
  t.equal(pixelOf({ click: null }, asking), null, 'nobody was asked, and somebody had to be');
  t.ok(pixelOf({ click: null }), 'nobody was asked, and nobody had to be');
});

await t.test('47 h after the first report it is too late', async (t) => {
  t.equal(pixelOf({ firstReportMs: nowMs - pixelWindowMs + 1 })?.fireWithinMs, 1);
  t.equal(pixelOf({ firstReportMs: nowMs - pixelWindowMs }), null);
  t.equal(pixelWindowMs, 47 * 60 * 60 * 1000);
});

await t.test("the pool: the click's, else the payment's, else the bot's first", async (t) => {
  const pools = [pool('z'), pool('m', ['bot-b', 'bot-a']), pool('a', ['bot-b'])];
  const order = { poolId: 'z', botId: 'bot-a' };
  t.equal(choosePool(order, 'a', pools)?.id, 'a');
  t.equal(choosePool(order, 'removed', pools)?.id, 'z');
  t.equal(choosePool(order, null, pools)?.id, 'z');
  t.equal(choosePool({ ...order, poolId: null }, null, pools)?.id, 'm');
  t.equal(choosePool({ poolId: 'removed', botId: 'bot-c' }, null, pools), null);
  t.equal(choosePool({ poolId: 'removed', botId: 'bot-a' }, 'removed', pools)?.id, 'm');
  const silent = { ...pool('a'), meta: { ...promo.meta, enabled: false } };
  const click = { poolId: 'a', consent: 'granted', externalIds: [] };
  t.equal(pixelOf({ click, poolId: 'z' }, { pools: [silent, pool('z')] }), null, 'no other pixel');
});

await t.test('cookies and access address', async (t) => {
  const open = (changes: Partial<Opening>, offered: Offer = offer) =>
    pageOf(base, offered, { ...person, ...changes });
  t.same(open({}).newCookies, base.cookies, 'another browser than the one of the click');
  const own = { fbp: 'fb.1.1763640000001.2', fbc: null };
  t.same(open({ cookies: own }).newCookies, { fbp: null, fbc: base.cookies.fbc });
  t.same(open({}, { ...offer, pools: [] }).newCookies, { fbp: null, fbc: null }, 'no Pixel');
  t.equal(open({}).accessUrl, 'https://example.com/now', 'a mended link reaches old orders');
  t.equal(open({}, { ...offer, accessUrl: undefined }).accessUrl, base.accessUrl);
  t.equal(open({}, { ...offer, accessUrl: null }).accessUrl, null);
  t.same(metaCookies({ fbp: 'fb.1.1763640000.5', fbc: 'fb.1.1763640000000.a b' }), {
    fbp: null,
    fbc: null,
  });
  t.same(metaCookies({ fbp: 'fb.1.1763640000000.\u0000', fbc: 'fb.1.1763640000000.é' }), {
    fbp: null,
    fbc: null,
  });
  t.same(metaCookies({ fbp: `fb.1.1763640000000.${'5'.repeat(200)}` }), { fbp: null, fbc: null });
});

await t.test('who may open, and who counts as a person', async (t) => {
  const access = (changes: Partial<Delivery>, afterRefund: 'ends' | 'stays' = 'ends') =>
    accessOf({ ...base, ...changes }, afterRefund);
  t.equal(access({}), 'open');
  t.equal(access({ isDisputed: true }), 'unconfirmed');
  t.equal(access({ isPaid: false }), 'unconfirmed');
  t.equal(access({ isRefunded: true, isDisputed: true }), 'revoked');
  t.equal(access({ isChargedBack: true }), 'revoked');
  const answers = ['paid', 'partially_refunded', 'disputed', 'pending', 'refunded', 'charged_back'];
  t.same(
    answers.map((status) => accessAfter(status as Parameters<typeof accessAfter>[0], 'ends')),
    ['open', 'open', 'unconfirmed', 'unconfirmed', 'revoked', 'revoked'],
  );
  t.equal(access({ isRefunded: true }, 'stays'), 'open', 'as the seller wants it');
  t.equal(accessAfter('refunded', 'stays'), 'open');
  t.equal(access({ isRefunded: true, isDisputed: true }, 'stays'), 'unconfirmed');
  t.equal(access({ isRefunded: true, isChargedBack: true }, 'stays'), 'revoked', 'not given back');
  t.equal(accessAfter('charged_back', 'stays'), 'revoked');
  const chrome =
    'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36';
  const visitor = (headers: Headers, method = 'GET') =>
    visitorOf(headerTraits(method, { 'user-agent': chrome, ...headers }));
  t.equal(visitor({}), 'person');
  t.equal(visitor({ 'sec-fetch-dest': 'iframe' }), 'person', 'odd, but with the secret address');
  t.equal(visitor({}, 'HEAD'), 'bot');
  t.equal(visitor({ 'user-agent': 'Googlebot/2.1' }), 'bot');
  t.equal(visitor({ 'user-agent': 'WhatsApp/2.23.20.0' }), 'bot');
  t.equal(visitor({ 'user-agent': undefined }), 'bot');
  t.equal(visitor({ 'sec-purpose': 'prefetch;prerender' }), 'prefetch');
  t.equal(visitor({ 'x-purpose': 'preview' }), 'prefetch');
  t.equal(visitor({ purpose: 'prefetch' }, 'HEAD'), 'bot');
});
