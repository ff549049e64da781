/**
 * Goal: a click's event says what the link, the browser and the pool said, in the shape that
 * everybody agreed on, whatever hostile text came with it.
 * Method: visits built by hand against the expected data; then any text anywhere, decoded with the
 * event's own schema.
 */
import { createHash } from 'node:crypto';
import type { CatalogItem } from '@rastro/events';
import { decodeEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { sampleCatalog } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import { readBeacon } from '../../src/core/beacon.ts';
import { evolveHealth, isHealthy } from '../../src/core/bot-health.ts';
import { bridgePixel } from '../../src/core/bridge.ts';
import { clickTracked, mintIdentity, type Visit } from '../../src/core/click.ts';
import { refusalReason } from '../../src/core/gate.ts';
import { classify } from '../../src/core/traffic.ts';
import { wrapped } from '../../src/click-desk.ts';

const digest = (name: string) => (text: string) => createHash(name).update(text).digest('hex');
const hashes = { sha256: digest('sha256'), md5: digest('md5') };
const pool = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as CatalogItem<'pool'>;
const phone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) [FBAN/FBIOS;FBAV/490.0]';
const site = { publicOrigin: 'https://go.example.com', subdomainIndex: 1 };
const mint = {
  trackingToken: '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
  visitorId: '7f0c1d52-6a3e-4b8e-9a57-0f4f1c9d2e11',
  nowMs: 1_762_902_353_123,
  time: '2025-11-11T23:05:53.123Z',
  random: 0.5,
};

const visitWith = (rest: Partial<Visit> = {}): Visit => ({
  method: 'GET',
  url: '/go/promo',
  query: {},
  userAgent: phone,
  isKnownBot: false,
  purpose: null,
  referrer: null,
  clientIp: '177.10.20.30',
  language: 'pt-BR',
  cookies: {},
  ...rest,
});

function track(visit: Visit) {
  const identity = mintIdentity(visit, site, mint, hashes);
  return clickTracked({ visit, site, pool, botId: 'bot-a', identity, clickedAt: mint.time });
}

await t.test('all that a link says', async (t) => {
  const url =
    '/go/promo?fbclid=AbC_-d&utm_source=FB&utm_campaign=C%7C1&src=s&sck=k&grim=x1&xcod=a&xcod=b';
  const query = {
    fbclid: 'AbC_-d',
    utm_source: 'FB',
    utm_campaign: 'C|1',
    src: 's',
    sck: 'k',
    grim: 'x1',
    xcod: ['a', 'b'],
  };
  const { data } = track(visitWith({ url, query, referrer: 'https://l.facebook.com/' }));
  t.match(data, {
    rootEventId: 'evt_5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
    landingUrl: `https://go.example.com${url}`,
    fbclid: 'AbC_-d',
    fbc: 'fb.1.1762902353123.AbC_-d',
    fbp: 'fb.1.1762902353123.1073741823',
    utm: { source: 'FB', medium: null, campaign: 'C|1', content: null, term: null },
    src: 's',
    sck: 'k',
    trafficClass: 'human',
    classReasons: [],
    consent: 'not_required',
  });
  t.same(data.params, { grim: 'x1', xcod: 'a' });
  t.same(data.externalIds, [hashes.sha256('AbC_-d'), hashes.sha256(mint.visitorId)]);
});

await t.test('who a visitor is', async (t) => {
  const long = 'x'.repeat(81);
  const known = '00000000-0000-4000-8000-000000000001';
  const { data } = track(
    visitWith({ url: `/go/promo?fbclid=${long}`, cookies: { rastro_vid: known } }),
  );
  t.equal(data.visitorId, known);
  t.equal(data.externalIds[0], hashes.sha256(hashes.md5(long)), 'a long click id by its MD5');
  const forged = track(visitWith({ cookies: { rastro_vid: '<script>' } }));
  t.equal(forged.data.visitorId, mint.visitorId);
  t.equal(forged.data.externalIds.length, 1, 'no click id, one external id');
});

await t.test('classes of traffic, with every reason', async (t) => {
  const classOf = (rest: Partial<Visit>) => {
    const { trafficClass, classReasons } = classify(visitWith(rest));
    return [trafficClass, ...classReasons];
  };
  t.same(classOf({}), ['human']);
  t.same(classOf({ method: 'HEAD' }), ['bot', 'head_request']);
  t.same(classOf({ userAgent: null }), ['unknown', 'no_user_agent']);
  t.same(classOf({ purpose: 'prefetch;prerender' }), ['prefetch', 'purpose_prefetch']);
  t.same(classOf({ purpose: 'preview' }), ['preview', 'purpose_preview']);
  const google = { userAgent: 'Googlebot/2.1', isKnownBot: true };
  t.same(classOf(google), ['bot', 'known_bot_agent']);
  t.same(classOf({ ...google, method: 'HEAD' }), ['bot', 'known_bot_agent', 'head_request']);
  const whatsApp = { userAgent: 'WhatsApp/2.23', isKnownBot: true };
  t.same(classOf(whatsApp), ['preview', 'link_preview_agent']);
});

await t.test('gate, consent, health and beacon', async (t) => {
  const gate = { enabled: true, param: 'grim', value: 'secret' };
  const isSame = (a: string, b: string) => a === b;
  t.equal(refusalReason({ ...gate, enabled: false }, {}, isSame), null);
  t.equal(refusalReason(gate, {}, isSame), 'gate_parameter_missing');
  t.equal(refusalReason(gate, { grim: ['no', 'secret'] }, isSame), 'gate_parameter_wrong');
  t.equal(refusalReason(gate, { grim: 'secret' }, isSame), null);

  const identity = { rootEventId: 'evt_x', externalIds: ['y'] };
  t.same(bridgePixel(pool, identity), { id: '1234567890', eventId: 'evt_x', externalIds: ['y'] });
  t.equal(bridgePixel({ ...pool, consent: 'required' }, identity), null, 'nobody was asked');
  const off = { ...pool.meta, events: { pageView: false, purchase: true } };
  t.equal(bridgePixel({ ...pool, meta: off }, identity), null);

  const sick = { botId: 'a', health: 'unhealthy', changedAt: '2026-01-02T00:00:00.000Z' } as const;
  const late = { botId: 'a', health: 'healthy', changedAt: '2026-01-01T00:00:00.000Z' } as const;
  t.equal(isHealthy(evolveHealth(evolveHealth(new Map(), sick), late), 'a'), false);
  t.equal(isHealthy(new Map(), 'a'), true);

  const publicIp = (address: string) => (address.startsWith('10.') ? null : address);
  const fields = { tracking_token: mint.trackingToken, _fbp: 'bad', _fbc: 'fb.1.1700000000000.a' };
  const reading = readBeacon({ ...fields, _fbi: '10.0.0.1.AQQAAQMC', slug: 3 }, publicIp);
  const read = {
    pageType: 'bridge',
    fbp: null,
    fbc: 'fb.1.1700000000000.a',
    fbi: null,
    slug: null,
  };
  t.match(reading, { ok: true, beacon: read }, 'what is wrong is dropped, the rest stays');
  t.equal(readBeacon({ tracking_token: 'ABC' }, publicIp).ok, false);
  t.equal(readBeacon({ ...fields, page_type: 'other' }, publicIp).ok, false);
});

await t.test('any text at all still makes a valid event that a database can store', async (t) => {
  const wild = fc.string({ unit: 'binary', maxLength: 1_500 });
  const queries = fc.dictionary(
    fc.oneof(wild, fc.constantFrom('utm_source', 'src', 'sck', '__proto__', 'fbclid')),
    fc.oneof(wild, fc.array(wild, { maxLength: 3 })),
    { maxKeys: 50 },
  );
  fc.assert(
    fc.property(
      wild,
      queries,
      fc.option(wild),
      fc.option(wild),
      wild,
      (url, query, a, b, cookie) => {
        const cookies = { rastro_vid: cookie, _fbp: cookie, _fbc: cookie };
        const visit = visitWith({ url, query, referrer: a, userAgent: b, language: b, cookies });
        const event = wrapped(track(visit), 'demo', mint.trackingToken, mint.time);
        const decoded = decodeEvent(JSON.parse(JSON.stringify({ ...event, id: newId() })));
        const text = JSON.stringify(event);
        const isStorable = !text.includes('\\u0000') && !/\\ud[89a-f]/i.test(text);
        return decoded.ok && isStorable && Object.keys(event.data.params).length <= 32;
      },
    ),
    { numRuns: 300 },
  );
  t.pass('held');
});
