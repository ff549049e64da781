/**
 * Goal: the page's headers, escaping and refusals, and who is counted as having opened it. Method:
 * the real routes over injected requests, with plain functions for adapters.
 */
import { mock } from 'node:test';
import { formatMoney } from '@rastro/events';
import { createLogger } from '@rastro/runtime';
import { eventually } from '@rastro/testing';
import t from 'tap';
import type { Delivery } from '../src/core/page.ts';
import { pixelWindowMs } from '../src/core/purchase-pixel.ts';
import type { RouteParts } from '../src/routes.ts';
import { sampleDelivery } from './sample-delivery.ts';
import { knownToken as token, servedPages } from './served-pages.ts';

const chrome =
  'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36';

async function pages(delivery: Partial<Delivery> = {}, parts: Partial<RouteParts> = {}) {
  const { app, views } = await servedPages(delivery, parts);
  async function open(path = `/delivery/${token}`, headers = {}, method: 'GET' | 'HEAD' = 'GET') {
    return app.inject({ method, url: path, headers: { 'user-agent': chrome, ...headers } });
  }
  return { open, views };
}

await t.test('the page: content, headers, cookies, and one opening after the answer', async (t) => {
  const { open, views } = await pages();
  const forwarded = { 'x-forwarded-for': '177.10.20.30', cookie: '_fbp=fb.1.1763640000009.77' };
  const response = await open(undefined, forwarded);
  t.equal(response.statusCode, 200);
  t.match(response.headers, {
    'content-type': /^text\/html; charset=utf-8/i,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': /noindex/,
    'x-content-type-options': 'nosniff',
  });
  const policy = String(response.headers['content-security-policy']);
  const nonce = /script-src [^;]*'nonce-([0-9a-f]+)'/.exec(policy)?.[1] ?? 'none';
  t.match(policy, /default-src 'none'/);
  t.match(policy, /connect-src 'self' [^;]*https:\/\/www\.facebook\.com/);
  t.notMatch(policy, /unsafe|\*/);
  t.ok(response.body.includes(`<script nonce="${nonce}">`), 'the script may run');
  t.ok(response.body.includes('href="https://example.com/ebook"'));
  t.ok(response.body.includes(formatMoney(1990, 'BRL')));
  t.equal(response.cookies.length, 1, 'only the cookie that this browser lacks');
  t.match(response.cookies[0], { name: '_fbc', path: '/', secure: true, sameSite: 'Lax' });
  t.equal(response.cookies[0]?.value, sampleDelivery.cookies.fbc);
  await eventually(() => {
    if (views.length === 0) throw new Error('no opening was recorded');
  });
  t.match(views[0], {
    clientIp: '177.10.20.30',
    userAgent: chrome,
    fbp: 'fb.1.1763640000009.77',
    fbc: null,
    pixelId: '1234567890',
    isPixelRendered: true,
    poolId: 'promo',
  });
});

await t.test('nothing of the order breaks out of the page', async (t) => {
  const hostile = `</script><script>alert(1)</script>"'><img src=x onerror=alert(2)><!--\u2028`;
  const { open } = await pages({
    productName: hostile,
    accessUrl: 'https://example.com/"><script>alert(3)</script>',
  });
  const { body } = await open();
  t.equal(body.match(/<script/g)?.length, 2, 'the data and our script');
  t.equal(body.match(/<img/g), null);
  const data = /id="page-data">(.*?)<\/script>/s.exec(body)?.[1] ?? '';
  t.equal(JSON.parse(data).pixel.customData.content_name, hostile, 'and the Pixel gets it whole');
});

await t.test('bots, previews, prefetches and HEAD are no openings', async (t) => {
  const { open, views } = await pages();
  const agents = ['TelegramBot (like TwitterBot)', 'WhatsApp/2.23.20.0', 'facebookexternalhit/1.1'];
  for (const agent of agents) {
    const response = await open(undefined, { 'user-agent': agent });
    t.equal(response.statusCode, 200);
    t.ok(response.body.includes('href="https://example.com/ebook"'), 'the same page');
    t.notOk(response.body.includes('1234567890'), 'without the Pixel');
    t.same(response.cookies, []);
  }
  t.equal((await open(undefined, {}, 'HEAD')).statusCode, 200);
  const prefetched = await open(undefined, { 'sec-purpose': 'prefetch' });
  t.ok(prefetched.body.includes('href="https://example.com/ebook"'), 'the same page');
  t.notOk(prefetched.body.includes('1234567890'), 'without the Pixel');
  t.match(prefetched.body, 'prerenderingchange', 'asks again when it is shown');
  t.same(prefetched.cookies, []);
  // A person last: once that opening is there, the others would be too.
  await open(undefined, { 'user-agent': `${chrome} last` });
  await eventually(() => {
    if (views.length === 0) throw new Error('no opening was recorded');
  });
  t.match(views, [{ userAgent: /last$/ }]);
});

await t.test(
  'the clock: 47 h after Meta heard of it the page is whole, without the Pixel',
  async (t) => {
    const heardMs = Date.parse('2026-11-20T12:00:00.000Z');
    const { open, views } = await pages({ firstReportMs: heardMs });
    mock.timers.enable({ apis: ['Date'], now: heardMs + pixelWindowMs - 1 });
    t.teardown(() => mock.timers.reset());
    t.match((await open()).body, '1234567890');
    mock.timers.tick(1);
    const late = await open();
    t.equal(late.statusCode, 200);
    t.match(late.body, 'https://example.com/ebook');
    t.notMatch(late.body, '1234567890');
    t.notMatch(late.body, '<script');
    t.same(late.cookies, [], 'no cookie for a Pixel that is not there');
    await eventually(() => {
      if (views.length < 2) throw new Error('an opening was not recorded');
    });
    t.match(views, [
      { isPixelRendered: true, viewedAt: '2026-11-22T10:59:59.999Z' },
      { isPixelRendered: false, viewedAt: '2026-11-22T11:00:00.000Z', pixelId: '1234567890' },
    ]);
  },
);

await t.test(
  'every page is kept by nobody, indexed by nobody, and tells nobody its address',
  async (t) => {
    const failing = () => Promise.reject(new Error('ECONNREFUSED'));
    const cases = [
      [200, {}, {}],
      [202, { isDisputed: true }, {}],
      [202, { isPaid: false }, {}],
      [404, {}, { findDelivery: async () => undefined }],
      [410, { isRefunded: true }, {}],
      [410, { isChargedBack: true }, {}],
      [503, {}, { findDelivery: failing }],
    ] as const;
    for (const [status, delivery, parts] of cases) {
      const { open } = await pages(delivery, parts);
      for (const method of ['GET', 'HEAD'] as const) {
        const { statusCode, headers, body } = await open(undefined, {}, method);
        t.equal(statusCode, status, `${method} ${JSON.stringify(delivery)}`);
        t.match(headers, {
          'content-type': /^text\/html/,
          'cache-control': 'no-store',
          'x-robots-tag': 'noindex, nofollow',
          'referrer-policy': 'no-referrer',
          'content-security-policy': /default-src 'none'/,
        });
        if (method === 'HEAD') continue;
        t.match(body, '<meta name="robots" content="noindex, nofollow">');
        t.match(body, '<meta name="referrer" content="no-referrer">');
        t.notMatch(body, token, 'and the page itself does not say its token');
      }
    }
  },
);

await t.test('the token is in no line of the log', async (t) => {
  const lines: string[] = [];
  const log = createLogger({ level: 'trace', stream: { write: (line) => void lines.push(line) } });
  const failing = { findDelivery: () => Promise.reject(new Error('ECONNREFUSED')) };
  const recordView = () => Promise.reject(new Error('ECONNREFUSED'));
  for (const [delivery, parts] of [
    [{}, {}],
    [{ isRefunded: true }, {}],
    [{}, failing],
    [{}, { recordView }],
  ] as const) {
    const { open } = await pages(delivery, { log, ...parts });
    await open();
    await open(undefined, {}, 'HEAD');
    await open(`/delivery/${token}/more`);
  }
  t.ok(lines.length >= 12, `${lines.length} lines`);
  t.ok(lines.some((line) => line.includes('ECONNREFUSED')));
  t.same(
    lines.filter((line) => line.includes(token)),
    [],
  );
});

await t.test('what cannot be shown says why', async (t) => {
  const { open } = await pages();
  const unknown = ['/delivery/short', `/delivery/${token}x`, `/delivery/${token}/more`];
  unknown.push('/delivery/%3Cscript%3E', `/delivery/${'a'.repeat(500)}`);
  for (const path of unknown) {
    const response = await open(path);
    t.equal(response.statusCode, 404, path);
    t.match(response.headers, { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
    t.match(response.body, 'Link não encontrado');
  }
  for (const path of ['/delivery', '/delivery/']) {
    t.match((await open(path)).body, 'Abra o seu link de entrega', path);
  }

  const refunded = await (await pages({ isRefunded: true })).open();
  t.equal(refunded.statusCode, 410);
  t.notOk(refunded.body.includes('example.com/ebook'), 'no way in');

  const disputed = await pages({ isDisputed: true });
  const waiting = await disputed.open();
  t.equal(waiting.statusCode, 202);
  t.match(waiting.body, '<meta http-equiv="refresh" content="15">');
  t.same(disputed.views, []);
  const settled = await pages({ isDisputed: true }, { revalidate: async () => 'open' });
  t.equal((await settled.open()).statusCode, 200, 'the gateway knows better');

  const broken = await pages({}, { findDelivery: () => Promise.reject(new Error('ECONNREFUSED')) });
  const unavailable = await broken.open();
  t.equal(unavailable.statusCode, 503);
  t.match(unavailable.body, 'http-equiv="refresh"');
  t.notOk(unavailable.body.includes('ECONNREFUSED'));
});
