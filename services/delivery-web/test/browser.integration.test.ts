/**
 * Goal: a real browser tells Meta of the purchase once, with the server's values and without the
 * token, and the page is good to look at and to use with scripts switched off. Method: headless
 * Chromium on the served pages, the sandbox in Meta's place, and a catcher in the place of the
 * beacon. SCREENSHOTS=<folder> keeps pictures.
 */
import { join } from 'node:path';
import type { DataOf } from '@rastro/events';
import { eventually } from '@rastro/testing';
import type { BrowserContext, Page, Request } from 'playwright-core';
import t from 'tap';
import { startBrowserWorld } from './browser-world.ts';
import { sampleDelivery } from './sample-delivery.ts';
import { knownToken } from './served-pages.ts';

const pictures = process.env['SCREENSHOTS'];

await using world = await startBrowserWorld();
const { sandbox, serve, openPage, reports, reported } = world;

/** All that the browser asks of anybody, with what it tells them. */
function requestsOf(context: BrowserContext): Request[] {
  const requests: Request[] = [];
  context.on('request', (request) => void requests.push(request));
  return requests;
}

/** Where the token went, apart from the page's own address. */
async function leaks(requests: readonly Request[]): Promise<string[]> {
  const told = await Promise.all(
    requests.map(async (request) => {
      const { pathname } = new URL(request.url());
      const isPage = pathname === `/delivery/${knownToken}`;
      const { referer = '' } = await request.allHeaders();
      return [isPage ? '' : request.url(), referer, request.postData() ?? ''].join(' ');
    }),
  );
  return told.filter((text) => text.includes(knownToken));
}

async function picture(page: Page, name: string): Promise<void> {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

/** Meta’s copy of it: the values are those that the server sends. */
const purchaseToldAt = (eventSourceUrl: string) => ({
  source: 'browser',
  eventName: 'Purchase',
  value: 19.9,
  currency: 'BRL',
  eventSourceUrl,
  warnings: [],
  userData: {
    external_id: ['a', 'b', 'c'].map((digit) => digit.repeat(64)),
    fbp: sampleDelivery.cookies.fbp,
    fbc: sampleDelivery.cookies.fbc,
  },
  customData: {
    content_type: 'product',
    content_name: 'E-book',
    content_ids: '["ebook"]',
    order_id: sampleDelivery.paymentId,
  },
});

await t.test('the purchase is told once per browser, whole, and without the token', async (t) => {
  const { address, origin, beacons, views } = await serve();
  const { context, page, complaints } = await openPage();
  const requests = requestsOf(context);
  await page.goto(address);
  const [copy] = await reported(sampleDelivery.paymentId);
  t.match(copy, purchaseToldAt(`${origin}/delivery/`));
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

  await context.route('https://example.com/**', (route) => route.fulfill({ body: 'a course' }));
  const opening = context.waitForEvent('page');
  await second.click('text=Acessar agora');
  await (await opening).waitForLoadState();
  const access = requests.find((request) => request.url() === sampleDelivery.accessUrl);
  t.equal(
    (await access?.allHeaders())?.['referer'],
    undefined,
    'the product’s page learns nothing',
  );
  t.ok(requests.length > 8);
  t.same(await leaks(requests), []);
  await context.close();
});

await t.test('not confirmed yet: loads itself again, without scripts, until it is', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000eeee';
  let asked = 0;
  const revalidate = async () => ((asked += 1) < 3 ? 'unconfirmed' : 'open') as 'open';
  const { address, views } = await serve({ paymentId, isDisputed: true }, { revalidate });
  const { context, page } = await openPage({ javaScriptEnabled: false });
  // Nobody waits a quarter of a minute in a test.
  await context.route(address, async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace('content="15"', 'content="1"');
    await route.fulfill({ response, body });
  });
  t.equal((await page.goto(address))?.status(), 202);
  t.match(await page.textContent('h1'), 'ainda não confirmado');
  await page.waitForSelector('text=Acessar agora');
  t.equal(asked, 3, 'once each time it loads');
  t.match(views, [{ paymentId }], 'only the delivery itself counts as opened');
  t.same(await reports(paymentId), [], 'without scripts the browser tells nothing');
  await context.close();
});

await t.test('the token returns to the address once the Pixel is done', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000aaaa';
  const { address } = await serve({ paymentId });
  const { context, page } = await openPage();
  await page.goto(address);
  await reported(paymentId);
  await page.waitForURL(address);
  await context.close();
  const { address: blocked } = await serve(
    {},
    { pixelScriptUrl: `${sandbox.url}/pixel/absent.js` },
  );
  const other = await openPage();
  await other.page.goto(blocked);
  await other.page.waitForURL(blocked);
  t.equal(await other.page.getAttribute('.button', 'href'), sampleDelivery.accessUrl);
  await other.page.reload();
  t.match(await other.page.evaluate('document.cookie'), /^((?!rastro_purchase).)*$/, 'not told');
  await other.context.close();
});

await t.test('a slow Pixel never sees the token, whatever its user does meanwhile', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000a10a';
  const { address, origin } = await serve({ paymentId });
  const { context, page } = await openPage();
  const requests = requestsOf(context);
  await context.route('https://example.com/**', (route) => route.fulfill({ body: 'a course' }));
  // Meta's script comes late, and is ready to report only when another part of it has come too.
  const [first, rest] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await context.route(/fbevents\.js$/, async (route) => {
    await first.promise;
    const part = `${sandbox.url}/pixel/fbevents.js?rest`;
    const body = `document.head.append(
      Object.assign(document.createElement('script'), { src: '${part}' }));`;
    await route.fulfill({ body, contentType: 'text/javascript' });
  });
  await context.route(/fbevents\.js\?rest$/, async (route) => {
    await rest.promise;
    await route.continue();
  });
  await page.clock.install();
  const asked = page.waitForRequest(/fbevents\.js$/);
  await page.goto(address, { waitUntil: 'commit' });
  await asked;
  await page.waitForURL(`${origin}/delivery/`);
  const opening = context.waitForEvent('page');
  await page.click('text=Acessar agora');
  await (await opening).waitForLoadState();
  // A headless browser shows all its tabs at once, so these are made by hand.
  await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'));
    dispatchEvent(new Event('pagehide'));`);
  await page.clock.runFor(60_000);
  t.equal(new URL(page.url()).pathname, '/delivery/', 'while the script is awaited');
  first.resolve();
  await eventually(async () => {
    const cookies = await context.cookies();
    if (!cookies.some(({ name }) => name === `rastro_purchase_${paymentId}`)) {
      throw new Error('the script has not run');
    }
  });
  await page.clock.runFor(60_000);
  t.equal(new URL(page.url()).pathname, '/delivery/', 'while it has not reported');
  rest.resolve();
  t.match(await reported(paymentId), [{ eventSourceUrl: `${origin}/delivery/` }]);
  await eventually(async () => {
    await page.clock.runFor(1_000);
    if (page.url() !== address) throw new Error('the token is not back');
  });
  const toMeta = requests.filter((request) => request.url().startsWith(sandbox.url));
  t.ok(toMeta.length >= 3, 'the script, its other part and the report');
  t.same(await leaks(toMeta), []);
  await context.close();
});

await t.test('where nothing can be stored the token is hidden, and found again', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000a10b';
  const { address, origin } = await serve({ paymentId });
  const { context, page } = await openPage();
  const forbidden = `get() { throw new DOMException('forbidden', 'SecurityError'); }`;
  await context.addInitScript(`for (const name of ['localStorage', 'sessionStorage'])
    Object.defineProperty(window, name, { ${forbidden} });`);
  await page.goto(address);
  t.match(await reported(paymentId), [{ eventSourceUrl: `${origin}/delivery/` }]);
  t.equal(new URL(page.url()).pathname, '/delivery/');
  await page.reload();
  await page.waitForURL(address);
  await context.close();
});

await t.test('a page rendered ahead tells and counts nothing until it is shown', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000a10c';
  const { origin, purposes, views } = await serve({ paymentId });
  const { context, page } = await openPage();
  await page.goto(`${origin}/start`);
  await eventually(() => {
    if (purposes.length === 0) throw new Error('nothing was rendered ahead');
  });
  t.same(views, []);
  await page.click('text=to the delivery');
  t.equal((await reported(paymentId)).length, 1);
  t.same(purposes, ['prefetch;prerender', undefined], 'asked for again, once');
  t.match(views, [{ paymentId, isPixelRendered: true }]);
  await context.close();
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
