/**
 * Goal: a real browser is in Telegram within 350 ms, has told Meta of the PageView under the
 * click's own event id and us of its cookies; a slow, blocked or forbidden script changes nothing.
 * Method: headless Chromium with a phone's screen on the served pages, the sandbox in the place of
 * Meta's script, and Telegram's addresses caught. SCREENSHOTS=<folder> keeps pictures.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@rastro/testing';
import type { Page } from 'playwright-core';
import t from 'tap';
import {
  clickOf,
  elsewhere,
  errorsOf,
  everything,
  holdBack,
  startVisits,
  timeDeparture,
  utmifyScriptUrl,
} from './browser-visits.ts';

const pictures = process.env['SCREENSHOTS'];

await using stack = new AsyncDisposableStack();
const { sandboxUrl, serve, visitor } = await startVisits(stack);

await t.test('PageView under the click’s event id, cookies told, then the bot', async (t) => {
  const { origin, events } = await serve();
  const { page, departures } = await visitor();
  const errors = errorsOf(page);
  const reports: URLSearchParams[] = [];
  page.on('request', (request) => {
    if (request.url().startsWith(`${sandboxUrl}/pixel/tr`))
      reports.push(new URLSearchParams(request.postData() ?? ''));
  });
  await page.goto(`${origin}/go/promo?fbclid=AbC-_1`, { waitUntil: 'domcontentloaded' });
  await eventually(() => assert.equal(departures.length, 1));
  const { data } = clickOf(events);
  t.equal(departures[0]?.url, `${elsewhere}/demo_a_bot?start=${data.trackingToken}`);
  await eventually(() => assert.equal(reports.length, 1));
  const [report] = reports;
  t.equal(report?.get('ev'), 'PageView');
  t.equal(report?.get('eid'), data.rootEventId);
  t.equal(report?.get('fbc'), data.fbc);
  t.same(report?.getAll('ud[external_id]'), data.externalIds);
  const signals = await eventually(() => {
    const found = events.filter(({ type }) => type === 'BrowserSignalsCaptured');
    assert.ok(found.length > 0);
    return found;
  });
  t.match(signals[0], {
    correlationid: data.trackingToken,
    data: { fbp: data.fbp, fbc: data.fbc, pageType: 'bridge' },
  });
  t.same(errors, [], 'nothing that the policy forbids');
});

/** Each `delayMs` late, or never. */
async function delayScripts(page: Page, addresses: readonly string[], delayMs: number) {
  for (const address of addresses)
    await page.route(address, async (route) => {
      await delay(delayMs);
      // The visitor may be gone by then.
      await route.fulfill({ body: '', contentType: 'text/javascript' }).catch(() => {});
    });
}

/** From the page's load to its leaving for Telegram; each from a fresh browser. */
async function departureTimes(
  origin: string,
  loads: number,
  prepare: (page: Page) => Promise<unknown>,
): Promise<{ p75: number; slowest: number; errors: string[] }> {
  const times: number[] = [];
  const errors: string[] = [];
  for (let load = 0; load < loads; load += 1) {
    const { page, departures } = await visitor();
    const complaints = errorsOf(page);
    await delayScripts(page, [utmifyScriptUrl, `${origin}/go/-/*`], 3_000);
    await prepare(page);
    const timeOf = await timeDeparture(page);
    await page.goto(`${origin}/go/promo?fbclid=AbC`, { waitUntil: 'domcontentloaded' });
    await eventually(() => assert.equal(departures.length, 1));
    times.push(await eventually(() => timeOf() ?? assert.fail('it has not left')));
    errors.push(...complaints);
    // Its context lives on: what it sent last is still on its way.
    await page.close();
  }
  times.sort((a, b) => a - b);
  const p75 = times[Math.ceil(loads * 0.75) - 1] ?? Number.NaN;
  return { p75: Math.round(p75), slowest: Math.round(times.at(-1) ?? Number.NaN), errors };
}

await t.test('no script keeps anybody: 350 ms at the 75th percentile', async (t) => {
  const pixel = 'https://slow.test/fbevents.js';
  const slow = await serve({ pixelScriptUrl: pixel }, { pools: everything });
  const normal = await serve({}, { pools: everything });
  const cases = [
    ['normal', normal, 20, async () => {}],
    ['3 s late', slow, 20, (page: Page) => delayScripts(page, [pixel], 3_000)],
    [
      'blocked',
      slow,
      20,
      (page: Page) => page.route(pixel, (route) => route.abort('blockedbyclient')),
    ],
    ['hanging', slow, 8, (page: Page) => page.route(pixel, () => {})],
  ] as const;
  for (const [how, { origin, events }, loads, prepare] of cases) {
    events.length = 0;
    // Where a script keeps the visitor, it does so each time; a busy machine only now and then.
    const tries: Awaited<ReturnType<typeof departureTimes>>[] = [];
    const fastest = () => Math.min(...tries.map(({ p75 }) => p75));
    while (tries.length < 3 && fastest() > 350) {
      tries.push(await departureTimes(origin, loads, prepare));
      const { p75, slowest } = tries.at(-1) ?? {};
      t.comment(`Pixel ${how}: p75 ${p75} ms, slowest ${slowest} ms of ${loads}`);
    }
    t.ok(fastest() <= 350, `${how}: ${fastest()} ms`);
    const errors = tries.flatMap((one) => one.errors);
    const complaints = errors.filter((text) => !text.includes('ERR_BLOCKED_BY_CLIENT'));
    t.same(complaints, [], 'nothing that the policy forbids');
    // Sent before leaving, and still on its way when the visitor has left.
    const tokensOf = (wanted: string) =>
      new Set(events.flatMap(({ type, correlationid }) => (type === wanted ? correlationid : [])));
    const clicks = [...tokensOf('ClickTracked')];
    t.equal(clicks.length, loads * tries.length);
    await eventually(() => {
      const told = tokensOf('BrowserSignalsCaptured');
      assert.ok(clicks.every((token) => told.has(token)));
    });
  }
});

await t.test(
  'the PageView goes out before the visitor does, and after a late script too',
  async (t) => {
    const reported = (page: Page): URLSearchParams[] => {
      const reports: URLSearchParams[] = [];
      page.on('request', (request) => {
        if (request.url().startsWith(`${sandboxUrl}/pixel/tr`))
          reports.push(new URLSearchParams(request.postData() ?? ''));
      });
      return reports;
    };
    // On a busy machine the Pixel's script may be late, and then nobody waits for it.
    const { reports, events } = await eventually(
      async () => {
        const served = await serve();
        const { page, departures } = await visitor();
        const reports = reported(page);
        let before = -1;
        await page.route(`${elsewhere}/**`, async (route) => {
          before = reports.length;
          await route.fallback();
        });
        await page.goto(`${served.origin}/go/promo?fbclid=AbC`, { waitUntil: 'domcontentloaded' });
        await eventually(() => assert.equal(departures.length, 1));
        assert.equal(before, 1, 'one report before the request for Telegram');
        return { reports, events: served.events };
      },
      { timeoutMs: 30_000 },
    );
    t.equal(reports[0]?.get('eid'), clickOf(events).data.rootEventId);

    const late = await serve({ telegramLinkUrl: 'https://t.me' });
    const { page: second } = await visitor();
    const lateReports = reported(second);
    const letGo = await holdBack(second);
    await second.route(`${sandboxUrl}/pixel/fbevents.js`, async (route) => {
      await delay(600);
      await route.continue();
    });
    await second.goto(`${late.origin}/go/promo?fbclid=AbC`, { waitUntil: 'domcontentloaded' });
    await eventually(() => assert.equal(lateReports.length, 1));
    t.equal(lateReports[0]?.get('eid'), clickOf(late.events).data.rootEventId);
    letGo();
  },
);

await t.test('Telegram itself: the app first, the web where nothing opens', async (t) => {
  const { origin, events } = await serve({ telegramLinkUrl: 'https://t.me' });
  const { page, departures } = await visitor();
  const asked: string[] = [];
  const session = await page.context().newCDPSession(page);
  await session.send('Page.enable');
  session.on('Page.frameRequestedNavigation', ({ url }) => asked.push(url));
  const startedMs = performance.now();
  await page.goto(`${origin}/go/promo?fbclid=AbC`, { waitUntil: 'domcontentloaded' });
  if (pictures) await page.screenshot({ path: join(pictures, 'bridge.png') });
  const token = clickOf(events).data.trackingToken;
  await eventually(() => assert.equal(asked[0], `tg://resolve?domain=demo_a_bot&start=${token}`));
  await eventually(() =>
    assert.equal(departures[0]?.url, `https://t.me/demo_a_bot?start=${token}`),
  );
  t.ok((departures[0]?.atMs ?? 0) - startedMs >= 1_200, 'the app had its chance');
});

await t.test('without scripts the page leads on by itself, and has a button', async (t) => {
  const { origin, events } = await serve();
  const { page, departures } = await visitor({ javaScriptEnabled: false });
  await page.goto(`${origin}/go/promo`).catch(() => {});
  await eventually(() => assert.equal(departures.length, 1));
  t.equal(
    departures[0]?.url,
    `${elsewhere}/demo_a_bot?start=${clickOf(events).data.trackingToken}`,
  );
});

await t.test(
  'good to look at: a button for a thumb, nothing cut off, a notice likewise',
  async (t) => {
    const { origin } = await serve({ telegramLinkUrl: 'https://t.me' });
    const { page } = await visitor({ colorScheme: 'dark' });
    const letGo = await holdBack(page);
    await page.goto(`${origin}/go/promo`, { waitUntil: 'domcontentloaded' });
    const button = await page.locator('#open').boundingBox();
    t.ok((button?.height ?? 0) >= 44, 'tall enough');
    t.ok((button?.width ?? 0) >= 240, 'wide enough');
    const isOverflowing = await page.evaluate('document.body.scrollWidth > innerWidth');
    t.notOk(isOverflowing);
    if (pictures) await page.screenshot({ path: join(pictures, 'bridge-dark.png') });
    letGo();
    // A page of its own: the first one is about to leave for Telegram.
    const { page: lost } = await visitor();
    await lost.goto(`${origin}/go/nothing`);
    t.equal(await lost.locator('h1').textContent(), 'Link não encontrado');
  },
);

await t.test('every notice: one heading, nothing cut off, nothing forbidden', async (t) => {
  const { origin } = await serve(
    { waitOf: (request) => ((request.query as { limited?: string }).limited === '' ? 900 : 0) },
    {
      pools: [
        { gate: { enabled: true, param: 'grim', value: 'secret' } },
        { id: 'empty', slug: 'empty', bots: [{ bot: 'gone', weight: 1, priority: 0 }] },
      ],
    },
  );
  for (const [name, path, status, title] of [
    ['refused', 'promo', 403, 'Abra pelo anúncio'],
    ['not-found', 'nothing', 404, 'Link não encontrado'],
    ['limited', 'promo?limited', 429, 'Muitos acessos'],
    ['unavailable', 'empty', 503, 'Só um instante'],
  ] as const) {
    const { page } = await visitor();
    const errors = errorsOf(page);
    const response = await page.goto(`${origin}/go/${path}`);
    t.equal(response?.status(), status);
    t.equal(await page.locator('h1').textContent(), title);
    t.notOk(await page.evaluate('document.body.scrollWidth > innerWidth'));
    t.same(
      errors.filter((text) => !text.includes(`status of ${status}`)),
      [],
    );
    if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) });
  }
});
