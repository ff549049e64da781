/**
 * Goal: a real browser tells Meta of the purchase once, with the server's values and without the
 * token, and the page is good to look at and to use with scripts switched off. Method: headless
 * Chromium on the served pages, the sandbox in Meta's place, and a catcher in the place of the
 * beacon. SCREENSHOTS=<folder> keeps pictures.
 */
import { join } from 'node:path';
import type { DataOf } from '@rastro/events';
import { listen } from '@rastro/runtime';
import { type EventGroup, startSandbox } from '@rastro/sandbox';
import { eventually, launchChromium } from '@rastro/testing';
import { type BrowserContextOptions, devices, type Page } from 'playwright-core';
import t from 'tap';
import type { Delivery } from '../src/core/page.ts';
import type { RouteParts } from '../src/routes.ts';
import { sampleDelivery } from './sample-delivery.ts';
import { knownToken, servedPages } from './served-pages.ts';

const pictures = process.env['SCREENSHOTS'];
const pixelId = '1234567890';

await using stack = new AsyncDisposableStack();
const sandbox = stack.use(
  await startSandbox({
    port: 0,
    publicOrigin: 'http://localhost:8080',
    world: { bots: [], pixels: [{ id: pixelId, accessToken: 'EAAtest' }], pixAccounts: [] },
  }),
);
const browser = await launchChromium();
stack.defer(() => browser.close());

async function serve(delivery: Partial<Delivery> = {}, parts: Partial<RouteParts> = {}) {
  const pixelScriptUrl = `${sandbox.url}/pixel/fbevents.js`;
  const { app, views } = await servedPages(delivery, {
    pixelScriptUrl,
    publicOrigin: 'http://localhost:8080',
    ...parts,
  });
  const beacons: unknown[] = [];
  app.post('/api/tracking/cookies', async (request, reply) => {
    beacons.push(request.body);
    return reply.code(204).send();
  });
  stack.defer(() => app.close());
  const origin = await listen(app, { host: '127.0.0.1', port: 0 });
  return { origin, address: `${origin}/delivery/${knownToken}`, beacons, views };
}

async function openPage(options: BrowserContextOptions = {}) {
  const { defaultBrowserType: _, ...phone } = devices['Pixel 7'] ?? {};
  const context = await browser.newContext({ ...phone, locale: 'pt-BR', ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

async function reports(paymentId: string): Promise<EventGroup['browser']> {
  const response = await fetch(`${sandbox.url}/control/graph/events?pixelId=${pixelId}`);
  const groups = (await response.json()) as EventGroup[];
  return groups
    .filter(({ eventId }) => eventId === `purchase_${paymentId}`)
    .flatMap((group) => group.browser);
}

const reported = (paymentId: string) =>
  eventually(async () => {
    const copies = await reports(paymentId);
    if (copies.length === 0) throw new Error('Meta has heard nothing');
    return copies;
  });

async function picture(page: Page, name: string): Promise<void> {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

await t.test('the purchase is told once per browser, whole, and without the token', async (t) => {
  const { address, origin, beacons, views } = await serve();
  const { context, page, complaints } = await openPage();
  await page.goto(address);
  const [copy] = await reported(sampleDelivery.paymentId);
  t.match(copy, {
    source: 'browser',
    eventName: 'Purchase',
    value: 19.9,
    currency: 'BRL',
    eventSourceUrl: `${origin}/delivery/`,
    warnings: [],
    userData: {
      external_id: ['a', 'b', 'c'].map((digit) => digit.repeat(64)),
      fbp: sampleDelivery.cookies.fbp,
      fbc: sampleDelivery.cookies.fbc,
    },
    customData: { content_type: 'product', order_id: sampleDelivery.paymentId },
  });
  t.notOk(JSON.stringify(copy).includes(knownToken));
  await eventually(() => {
    if (beacons.length === 0) throw new Error('no beacon');
  });
  t.same(beacons, [
    {
      tracking_token: sampleDelivery.trackingToken,
      slug: 'promo',
      _fbp: sampleDelivery.cookies.fbp,
      _fbc: sampleDelivery.cookies.fbc,
      page_type: 'delivery',
    },
  ]);

  t.same(complaints, [], 'the policy forbids nothing that is needed');

  t.equal(new URL(page.url()).pathname, '/delivery/');
  await page.reload();
  await page.waitForURL(address);
  t.match(await page.textContent('h1'), 'E-book', 'a reload meanwhile finds its way back');
  await page.goto('about:blank');
  await page.goBack();
  await page.waitForURL(address);
  const second = await context.newPage();
  await second.goto(address);
  t.equal(
    new URL(second.url()).pathname,
    new URL(address).pathname,
    'nothing fired, nothing hidden',
  );
  t.equal((await reports(sampleDelivery.paymentId)).length, 1, 'once per browser');
  t.match(views[0] satisfies DataOf<'DeliveryViewed'> | undefined, { isPixelRendered: true });
  await context.close();
});

await t.test('the token returns to the address once the Pixel is done', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000aaaa';
  const { address } = await serve({ paymentId });
  const { context, page } = await openPage();
  await page.goto(address);
  await reported(paymentId);
  await page.waitForURL(address, { timeout: 10_000 });
  await context.close();
  const { address: blocked } = await serve(
    {},
    { pixelScriptUrl: `${sandbox.url}/pixel/absent.js` },
  );
  const other = await openPage();
  await other.page.goto(blocked);
  await other.page.waitForURL(blocked, { timeout: 2_000 });
  t.equal(await other.page.getAttribute('.button', 'href'), sampleDelivery.accessUrl);
  await other.page.reload();
  t.match(await other.page.evaluate('document.cookie'), /^((?!rastro_purchase).)*$/, 'not told');
  await other.context.close();
});

await t.test('the page works without scripts and fits a phone', async (t) => {
  const long =
    'Método Completo de Emagrecimento Saudável em 21 Dias + Bônus Exclusivos (vitalício)';
  const { address, origin } = await serve({ productName: long });
  const { context, page } = await openPage({ javaScriptEnabled: false });
  await page.goto(address);
  t.ok(await page.isVisible('text=Acessar agora'));
  t.equal(new URL(page.url()).pathname, `/delivery/${knownToken}`);
  await picture(page, 'delivery');
  await page.setViewportSize({ width: 320, height: 568 });
  await picture(page, 'delivery-small');
  const box = await page.locator('.button').boundingBox();
  t.ok(box && box.height >= 44 && box.x >= 0 && box.x + box.width <= 320, 'a thumb can hit it');
  await page.goto(`${origin}/delivery/unknown`);
  await picture(page, 'unknown');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 412, height: 839 });
  await page.goto(address);
  await picture(page, 'delivery-dark');
  for (const [name, change] of [
    ['revoked', { isRefunded: true }],
    ['unconfirmed', { isDisputed: true }],
    ['without-address', { accessUrl: null }],
  ] as const) {
    const { address: other } = await serve(change);
    await page.goto(other);
    await picture(page, name);
  }
  await context.close();
});
