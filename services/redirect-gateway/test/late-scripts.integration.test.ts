/**
 * Goal: Meta's parameter builder and UTMify's script do their work while the page is there, within
 * the page's policy, and no cookie of ours is spoiled by it.
 * Method: headless Chromium on the served pages under a name that cookies work with, the real
 * builder, a stand-in for UTMify, and Facebook's in-app browser as far as the builder sees it.
 */
import assert from 'node:assert/strict';
import type { RastroEvent } from '@rastro/events';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { clickOf, errorsOf, everything, holdBack, startVisits } from './browser-visits.ts';

await using stack = new AsyncDisposableStack();
const { serve, visitor } = await startVisits(stack);

const phoneAt = { extraHTTPHeaders: { 'x-forwarded-for': '2804:14c:5b41::7' } };
const named = (origin: string): string => origin.replace('127.0.0.1', 'go.example.com');
const lateOptions = { publicOrigin: 'http://go.example.com', pools: everything };
const signalsOf = (events: readonly RastroEvent[]) =>
  events.filter(
    (event): event is RastroEvent<'BrowserSignalsCaptured'> =>
      event.type === 'BrowserSignalsCaptured',
  );

await t.test('late scripts work while the page is there, and spoil no cookie', async (t) => {
  const served = await serve({ telegramLinkUrl: 'https://t.me' }, lateOptions);
  const origin = named(served.origin);
  const { page } = await visitor(phoneAt);
  const letGo = await holdBack(page);
  const errors = errorsOf(page);
  const utmify: (string | null)[] = [];
  await page.route('https://utmify.test/**', async (route) => {
    const request = route.request();
    if (request.method() === 'POST') utmify.push(request.postData());
    const headers = { 'access-control-allow-origin': '*' };
    const body = `fetch('https://utmify.test/events', { method: 'POST', body: window.pixelId })`;
    await route.fulfill({ body, headers, contentType: 'text/javascript' });
  });
  await page.goto(`${origin}/go/promo?fbclid=IwAR2F4-dbP0l7Mn_aem_x`, {
    waitUntil: 'domcontentloaded',
  });
  const { data } = clickOf(served.events);
  const told = await eventually(() => {
    const last = signalsOf(served.events).at(-1)?.data;
    assert.ok(last?.fbi);
    assert.match(last.fbc ?? '', /\.[\w-]{8}$/, 'the builder is done');
    return last;
  });
  t.equal(told.fbi, '2804:14c:5b41::7');
  // The builder marks what it has seen; version, index, time and id stay as they were.
  t.equal(told.fbc?.split('.').slice(0, 4).join('.'), data.fbc);
  t.equal(told.fbp?.split('.').slice(0, 4).join('.'), data.fbp);
  t.match(told.fbc, /\.[\w-]{8}$/);
  await eventually(() => assert.deepEqual(utmify, ['66d0fdb34f04fa44c5955f2c']));
  t.same(errors, [], 'nothing that the policy forbids');

  letGo();
  // The web where no app opened: if that met the next visit, one would cancel the other.
  await page.waitForURL('https://t.me/**');
  served.events.length = 0;
  await page.goto(`${origin}/go/promo?fbclid=IwAR2F4-dbP0l7Mn_aem_x`, {
    waitUntil: 'domcontentloaded',
  });
  const again = clickOf(served.events).data;
  t.equal(again.fbc?.split('.').slice(0, 4).join('.'), data.fbc, 'the same click, its own time');
  t.equal(again.fbp.split('.').slice(0, 4).join('.'), data.fbp);
});

await t.test('a click id that the builder would decode is kept from it', async (t) => {
  const served = await serve({ telegramLinkUrl: 'https://t.me' }, lateOptions);
  const { page, departures } = await visitor(phoneAt);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(`${named(served.origin)}/go/promo?fbclid=a%2Bb`, {
    waitUntil: 'domcontentloaded',
  });
  await eventually(() => assert.equal(departures.length, 1));
  t.notOk(asked.some((url) => url.includes('/go/-/')));
  const { fbc } = clickOf(served.events).data;
  await eventually(() => assert.equal(signalsOf(served.events).at(-1)?.data.fbc, fbc));
  t.match(clickOf(served.events).data.fbc, /\.a%2Bb$/);
});

await t.test('in Facebook’s own browser the app tells the click’s id', async (t) => {
  const served = await serve({ telegramLinkUrl: 'https://t.me' }, lateOptions);
  const { page } = await visitor(phoneAt);
  const letGo = await holdBack(page);
  await page.addInitScript(`window.webkit = { messageHandlers: { browserProperties: {
    postMessage: async (name) => (name === 'clickID' ? 'IwARfromTheApp' : ''),
  } } }`);
  await page.goto(`${named(served.origin)}/go/promo`, { waitUntil: 'domcontentloaded' });
  t.equal(clickOf(served.events).data.fbc, null, 'the link itself says nothing');
  await eventually(() => {
    assert.match(
      signalsOf(served.events).at(-1)?.data.fbc ?? '',
      /^fb\.1\.\d{13}\.IwARfromTheApp\./,
    );
  });
  letGo();
});
