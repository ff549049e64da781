/**
 * Goal: a click's fbc and fbp follow every rule of Meta's, whatever link, referer and cookies came
 * together: the URL before the referer before the cookie, one time for one click, byte for byte,
 * five-segment cookies kept whole, what is no click id left out.
 * Method: properties of the whole identity over generated visits; each rule is built into the
 * inputs, so that the expected value is known beforehand.
 */
import { createHash } from 'node:crypto';
import { headerTraits } from '@rastro/traffic';
import fc from 'fast-check';
import t from 'tap';
import { mintIdentity, type Visit } from '../../src/core/click.ts';

const digest = (name: string) => (text: string) => createHash(name).update(text).digest('hex');
const hashes = { sha256: digest('sha256'), md5: digest('md5') };
const nowMs = 1_762_902_353_123;
const mint = {
  trackingToken: '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
  visitorId: '7f0c1d52-6a3e-4b8e-9a57-0f4f1c9d2e11',
  nowMs,
  time: new Date(nowMs).toISOString(),
  random: 0.5,
};

function identify(visit: Partial<Visit>, subdomainIndex = 1) {
  const whole: Visit = {
    traits: headerTraits('GET', {}),
    url: '/go/promo',
    query: {},
    referrer: null,
    clientIp: null,
    language: null,
    cookies: {},
    ...visit,
  };
  const site = { publicOrigin: 'https://go.example.com', subdomainIndex };
  return mintIdentity(whole, site, mint, hashes);
}

// Every byte that a click id may hold in a URL and in a cookie, dots and percent signs too.
const idCharacter = fc.constantFrom(...'abcXYZ019-_.~%+!*()/:@=?'.split(''));
const fbclids = fc.oneof(
  fc.string({ unit: idCharacter, minLength: 1, maxLength: 40 }),
  fc.string({ unit: idCharacter, minLength: 460, maxLength: 500, size: 'max' }),
  fc.constantFrom('IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2_aem_AbC', 'a%2Bb', '.', 'a.AQ', '='),
);
const twoClicks = fc.tuple(fbclids, fbclids).filter(([a, b]) => !isLike(a, b) && !isLike(b, a));
/** With what the parameter builder appends, one may look like the other: not told apart by anyone. */
const isLike = (one: string, other: string): boolean =>
  one === other || one.startsWith(`${other}.`);
const times = fc.integer({ min: 1_500_000_000_000, max: 1_900_000_000_000 });
const indexes = fc.integer({ min: 0, max: 4 });
const appendices = fc.constantFrom(
  '',
  '.AQ',
  '.Bg',
  '.BA',
  '.AQQCAQMC',
  '.AQQAAQMC',
  '.AQQDAQMC.AQ',
);
const printable = fc.string({ unit: 'grapheme-ascii', maxLength: 60 });
const anyText = fc.string({ unit: 'binary', maxLength: 80 });
/** Parameters around the click id, some with names that only look like its own. */
const others = fc.array(
  fc.constantFrom(
    'utm_source=FB',
    'xfbclid=no',
    'fbclid2=no',
    'FBCLID=no',
    'fbclid',
    '',
    'a=fbclid',
  ),
  { maxLength: 4 },
);

const linkWith = (before: string[], fbclid: string, after: string[]): string =>
  `/go/promo?${[...before, `fbclid=${fbclid}`, ...after].join('&')}`;

await t.test('the URL’s click wins over referer and cookie, byte for byte', async (t) => {
  fc.assert(
    fc.property(
      twoClicks,
      others,
      others,
      fc.option(anyText),
      fc.record({ at: times, index: indexes, appendix: appendices }),
      indexes,
      ([fbclid, old], before, after, text, cookie, index) => {
        const referrer = text ?? `https://l.facebook.com/?fbclid=${old}`;
        const _fbc = `fb.${cookie.index}.${cookie.at}.${old}${cookie.appendix}`;
        const url = linkWith(before, fbclid, after);
        const identity = identify({ url, referrer, cookies: { _fbc } }, index);
        return identity.fbclid === fbclid && identity.fbc === `fb.${index}.${nowMs}.${fbclid}`;
      },
    ),
    { numRuns: 500 },
  );
  t.pass('held');
});

await t.test('the same click keeps its cookie whole: time, index and fifth segment', async (t) => {
  const cookies = fc.record({ at: times, index: indexes, appendix: appendices });
  fc.assert(
    fc.property(
      fbclids,
      cookies,
      indexes,
      others,
      (fbclid, { at, index, appendix }, now, around) => {
        const _fbc = `fb.${index}.${at}.${fbclid}${appendix}`;
        const byUrl = identify({ url: linkWith(around, fbclid, around), cookies: { _fbc } }, now);
        const referrer = `https://l.facebook.com/l.php?${around.join('&')}&fbclid=${fbclid}#fbclid=no`;
        const byReferrer = identify({ referrer, cookies: { _fbc } }, now);
        const organic = identify({ url: `/go/promo?${around.join('&')}`, cookies: { _fbc } }, now);
        return [byUrl, byReferrer, organic].every(({ fbc }) => fbc === _fbc);
      },
    ),
    { numRuns: 500 },
  );
  t.pass('held');
});

await t.test('a repeated parameter counts once: the first, never "a,b"', async (t) => {
  fc.assert(
    fc.property(fbclids, fc.array(fbclids, { minLength: 1, maxLength: 3 }), (first, more) => {
      const url = `/go/promo?${[first, ...more].map((id) => `fbclid=${id}`).join('&')}`;
      const query = { fbclid: [first, ...more] };
      return identify({ url, query }).fbc === `fb.1.${nowMs}.${first}`;
    }),
  );
  t.equal(identify({ url: '/go/promo?fbclid[]=abc&fbclid[0]=abc' }).fbc, null, 'not our spelling');
});

await t.test('500 characters are a click id, 501 are none, and neither is cut', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 490, max: 520 }), fc.boolean(), (length, isInReferrer) => {
      const fbclid = 'aZ09-_'.repeat(100).slice(0, length);
      const referrer = `https://l.facebook.com/?fbclid=${fbclid}`;
      const identity = identify(isInReferrer ? { referrer } : { url: `/go/x?fbclid=${fbclid}` });
      const expected = length <= 500 ? fbclid : null;
      return (
        identity.fbclid === expected &&
        identity.fbc === (expected === null ? null : `fb.1.${nowMs}.${expected}`)
      );
    }),
  );
  t.pass('held');
});

await t.test('a junk referer or cookie changes nothing and throws nothing', async (t) => {
  const junk = fc.oneof(
    anyText,
    printable,
    fc.constantFrom(
      'not a url',
      'http://[bad',
      'fbclid=abc',
      '?fbclid=',
      '?fbclid=a;b',
      '?fbclid=a b',
    ),
    fc.constantFrom('fb.1.1700000000.abc', 'fb.1.1700000000000', 'fb.1.1700000000000.', 'fb..1.a'),
    fc.constantFrom('fb.1.1700000000000.a"b', 'fb.1.1700000000000.a;b', 'fb.1.1700000000000.é'),
  );
  const isJunk = fc.tuple(junk, junk).filter(
    ([referrer, cookie]) =>
      // Chance may make a real one.
      !/\?(.*&)?fbclid=[^&#]/.test(referrer.replace(/fbclid=a[; ]b/, '')) &&
      !/^fb\.\d{1,2}\.\d{13}\.[!-~]+$/.test(cookie.replaceAll(/[";]/g, ' ')),
  );
  fc.assert(
    fc.property(isJunk, fc.option(fbclids), ([referrer, cookie], fbclid) => {
      const cookies = { _fbc: cookie, _fbp: cookie, rastro_vid: cookie };
      const url = fbclid === null ? '/go/promo' : linkWith([], fbclid, []);
      const identity = identify({ url, referrer, cookies });
      const fbc = fbclid === null ? null : `fb.1.${nowMs}.${fbclid}`;
      return identity.fbc === fbc && identity.fbp === `fb.1.${nowMs}.1073741823`;
    }),
    { numRuns: 500 },
  );
  t.pass('held');
});

await t.test('fbp: the cookie’s as it is, with a fifth segment too, else a new one', async (t) => {
  const randoms = fc.nat({ max: 2_147_483_647 });
  fc.assert(
    fc.property(times, indexes, randoms, appendices, indexes, (at, index, random, end, now) => {
      const _fbp = `fb.${index}.${at}.${random}${end}`;
      const minted = identify({ cookies: {} }, now).fbp;
      return (
        identify({ cookies: { _fbp } }, now).fbp === _fbp &&
        minted === `fb.${now}.${nowMs}.1073741823`
      );
    }),
  );
  t.pass('held');
});
