/**
 * Goal: a click's event says what the link, the browser and the pool said, in the shape that
 * everybody agreed on, whatever hostile text came with it.
 * Method: visits built by hand against the expected data; then any text anywhere, decoded with the
 * event's own schema.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { CatalogItem } from '@rastro/events';
import { decodeEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { sampleCatalog } from '@rastro/testing';
import { agentFacts, classify, type Headers, headerTraits } from '@rastro/traffic';
import fc from 'fast-check';
import t from 'tap';
import { readBeacon } from '../../src/core/beacon.ts';
import { evolveHealth, isHealthy } from '../../src/core/bot-health.ts';
import { bridgePixel } from '../../src/core/bridge.ts';
import { clickTracked, mintIdentity, type Visit } from '../../src/core/click.ts';
import { refusalReason } from '../../src/core/gate.ts';
import { wrapped } from '../../src/click-desk.ts';

const digest = (name: string) => (text: string) => createHash(name).update(text).digest('hex');
const hashes = { sha256: digest('sha256'), md5: digest('md5') };
const pool = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as CatalogItem<'pool'>;
const phone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 [FBAN/FBIOS;FBAV/490.0]';
const site = { publicOrigin: 'https://go.example.com', subdomainIndex: 1 };
const mint = {
  trackingToken: '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
  visitorId: '7f0c1d52-6a3e-4b8e-9a57-0f4f1c9d2e11',
  nowMs: 1_762_902_353_123,
  time: '2025-11-11T23:05:53.123Z',
  random: 0.5,
};

const phoneHeaders = {
  'user-agent': phone,
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language': 'pt-BR',
};
const visitWith = (rest: Partial<Visit> = {}, headers: Headers = phoneHeaders): Visit => ({
  traits: headerTraits('GET', headers),
  url: '/go/promo',
  query: {},
  referrer: null,
  clientIp: '177.10.20.30',
  language: 'pt-BR',
  cookies: {},
  ...rest,
});

function track(visit: Visit, recentFromAddress = 1) {
  const identity = mintIdentity(visit, site, mint, hashes);
  const { time: clickedAt } = mint;
  const known = { visit, site, pool, botId: 'bot-a', identity, clickedAt };
  return clickTracked({ ...known, recentFromAddress, agentFacts });
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

await t.test('the ad is named, and the pool’s own parameter outlasts every bound', async (t) => {
  const utm = { utm_campaign: 'Julho|Mulheres|12', utm_medium: 'S|3', utm_term: '{{placement}}' };
  const crowd = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`p${n}`, `${n}`]));
  const { data } = track(visitWith({ query: { ...utm, ...crowd, grim: 'x1' } }));
  t.same(data.ad, {
    campaign: { name: 'Julho|Mulheres', id: '12' },
    adset: { name: 'S', id: '3' },
    ad: { name: null, id: null },
    placement: null,
  });
  t.equal(data.utm.campaign, 'Julho|Mulheres|12', 'as it stood in the link');
  t.equal(Object.keys(data.params).length, 32);
  t.equal(data.params['grim'], 'x1');
});

await t.test('the event says what its class was drawn from', async (t) => {
  const { data } = track(visitWith());
  t.match(data, { trafficClass: 'human', classReasons: [], userAgent: phone });
  t.match(data.traits, { method: 'GET', accept: /text\/html/, hasLanguage: true });
  t.notOk('userAgent' in (data.traits ?? {}), 'it stands in the event already');
  const bare = track(visitWith({}, { 'user-agent': phone })).data;
  t.match(bare, {
    trafficClass: 'unknown',
    classReasons: ['missing_headers', 'accept_without_html'],
  });
  const crowd = track(visitWith(), 121).data;
  t.match(crowd, { trafficClass: 'unknown', classReasons: ['address_burst'] });
  t.equal(crowd.traits?.recentFromAddress, 121);
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

await t.test(
  'any text at all still makes a valid event, to be stored and classified anew',
  async (t) => {
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
          const headers = { 'user-agent': b ?? undefined, accept: url, purpose: cookie };
          const visit = visitWith({ url, query, referrer: a, language: b, cookies }, headers);
          const event = wrapped(track(visit), 'demo', mint.trackingToken, mint.time);
          const { traits, userAgent, trafficClass, classReasons } = event.data;
          if (!traits) return false;
          const redrawn = classify({ ...traits, userAgent });
          assert.deepEqual(redrawn, { trafficClass, classReasons });
          const decoded = decodeEvent(JSON.parse(JSON.stringify({ ...event, id: newId() })));
          const text = JSON.stringify(event);
          const isStorable = !text.includes('\\u0000') && !/\\ud[89a-f]/i.test(text);
          return decoded.ok && isStorable && Object.keys(event.data.params).length <= 32;
        },
      ),
      { numRuns: 300 },
    );
    t.pass('held');
  },
);
