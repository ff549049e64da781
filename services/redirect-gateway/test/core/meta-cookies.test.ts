/**
 * Goal: `_fbc` and `_fbp` follow Meta's rules: the click id byte for byte, the URL before the
 * cookie, one time for one click, and nothing ill-formed ever kept.
 * Method: the recorded vectors of Meta's parameter builder (example.com, so index 1; random 0.5)
 * without its appendix, then the same rules as properties over generated ids and cookies.
 */
import { wellFormedFbc, wellFormedFbp } from '@rastro/events';
import fc from 'fast-check';
import t from 'tap';
import { addressInFbi, fbcOf, fbclidIn, fbpOf } from '../../src/core/meta-cookies.ts';

const nowMs = 1_762_902_353_123;
const F = 'IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk';

function fbc(query: string | null, referrer: string | null, cookie?: string): string | null {
  const fbclid = fbclidIn(query === null ? null : `/go/promo?${query}`) ?? fbclidIn(referrer);
  return fbcOf({ fbclid, cookie, subdomainIndex: 1, nowMs });
}

await t.test('vectors of the parameter builder', async (t) => {
  t.equal(fbc(`fbclid=${F}`, null), `fb.1.1762902353123.${F}`, '1: from the URL');
  t.equal(fbc('utm_source=x', `https://l.facebook.com/?fbclid=${F}`), `fb.1.${nowMs}.${F}`, '2');
  t.equal(fbc('fbclid=abc', null, 'fb.1.1700000000000.abc'), 'fb.1.1700000000000.abc', '4');
  t.equal(fbc('fbclid=def', null, 'fb.1.1700000000000.abc'), `fb.1.${nowMs}.def`, '7');
  t.equal(fbc('', null, 'fb.1.1700000000000'), null, '9: three parts are no click');
  t.equal(fbc('', null, 'fb.1.1700000000.abc'), null, '11: seconds are refused');
  for (const junk of ['not a url', 'http://[bad', 'fbclid=x', '?', ''])
    t.equal(fbc('', junk), null, `23: ${junk}`);
  t.equal(
    fbpOf({ cookie: undefined, subdomainIndex: 1, nowMs, random: 0.5 }),
    'fb.1.1762902353123.1073741823',
    '25',
  );
});

await t.test('what the builder gets wrong, or leaves open', async (t) => {
  const five = `fb.1.1700000000000.${F}.AQQCAQMC`;
  t.equal(fbc(`fbclid=${F}`, null, five), five, 'a fifth segment is not part of the click');
  t.equal(fbc('fbclid=a.b', null, 'fb.2.1700000000000.a.b'), 'fb.2.1700000000000.a.b', 'a dot is');
  const odd = 'fb.1.1700000000000.a.AQ.BA';
  t.equal(fbc('fbclid=a.AQ', null, odd), odd, 'an id that ends like an appendix, with another one');
  t.equal(fbc('fbclid=abc&fbclid=def', null), `fb.1.${nowMs}.abc`, 'the first of several');
  t.equal(fbc('x=1&fbclid=A%2Bb+c', null), `fb.1.${nowMs}.A%2Bb+c`, 'not decoded');
  t.equal(fbc('xfbclid=abc', null), null, 'not another parameter');
  t.equal(fbc('fbclid=', null, 'fb.1.1700000000000.abc'), 'fb.1.1700000000000.abc', 'empty');
  t.equal(fbc(`fbclid=${'x'.repeat(500)}`, null)?.length, 500 + 'fb.1.1762902353123.'.length);
  t.equal(fbc(`fbclid=${'x'.repeat(501)}`, null), null, 'too long is no click id');
  t.equal(fbc('fbclid=a;b', null), null, 'would end the cookie');
  t.equal(fbc('fbclid=abc#fbclid=def', null), `fb.1.${nowMs}.abc`);
  t.equal(wellFormedFbp('fb.1.1700000000000.123.AQQCAQMC'), 'fb.1.1700000000000.123.AQQCAQMC');
  t.equal(wellFormedFbp('fb.1.1700000000.123'), null, 'seconds');
  t.equal(wellFormedFbc(`fb.1.1700000000000.${'x'.repeat(600)}`), null, 'too long');
  t.equal(addressInFbi('177.10.20.30.AQQAAQMC.AQQAAQMC.AQ'), '177.10.20.30');
  t.equal(addressInFbi('2804:14c::1.AQQAAQMC'), '2804:14c::1');
  t.equal(addressInFbi('177.10.20.30'), '177.10.20.30');
});

const idCharacter = fc.constantFrom('a', 'b', 'X', 'Y', '0', '9', '-', '_');
const fbclids = fc.string({ unit: idCharacter, minLength: 1, maxLength: 500 });
const times = fc.integer({ min: 1_500_000_000_000, max: 1_900_000_000_000 });
const anyText = fc.string({ unit: 'binary', maxLength: 80 });

await t.test('properties', async (t) => {
  fc.assert(
    fc.property(fbclids, fc.option(anyText), times, (fbclid, cookie, nowMs) => {
      const value = fbcOf({ fbclid, cookie: cookie ?? undefined, subdomainIndex: 2, nowMs });
      return value === `fb.2.${nowMs}.${fbclid}` || value === cookie;
    }),
  );
  fc.assert(
    fc.property(fbclids, times, times, (fbclid, firstMs, laterMs) => {
      const first = fbcOf({ fbclid, cookie: undefined, subdomainIndex: 1, nowMs: firstMs });
      const cookie = first ?? undefined;
      const again = fbcOf({ fbclid, cookie, subdomainIndex: 1, nowMs: laterMs });
      const organic = fbcOf({ fbclid: null, cookie, subdomainIndex: 1, nowMs: laterMs });
      return again === first && organic === first;
    }),
  );
  fc.assert(
    fc.property(fbclids, anyText, (fbclid, prefix) => {
      const url = `/go/x?${encodeURIComponent(prefix.toWellFormed())}=1&fbclid=${fbclid}&b=2`;
      return prefix === 'fbclid' || fbclidIn(url) === fbclid;
    }),
  );
  fc.assert(
    fc.property(anyText, times, fc.double({ min: 0, max: 0.999_999, noNaN: true }), (c, at, r) => {
      const value = fbpOf({ cookie: c, subdomainIndex: 1, nowMs: at, random: r });
      return wellFormedFbp(value) === value;
    }),
  );
  t.pass('held');
});
