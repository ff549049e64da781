/**
 * Goal: a person with a phone walks from the ad to the delivery page, and Meta has one PageView
 * and one Purchase, each matched with the browser's copy.
 * Method: real Chromium on the all-in-one; every page is opened, looked at and clicked through.
 * With RASTRO_SCREENSHOTS=<folder> the pictures of the README are taken again.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { complaintsOf, eventually, launchChromium, phoneContext } from '@rastro/testing';
import type { BrowserContext, Page } from 'playwright-core';
import t from 'tap';
import type { EventGroup } from '../support/sandbox-client.ts';
import { startTestHouse } from '../support/test-house.ts';

const { house, publicOrigin, sandbox, sql, ...owned } = await startTestHouse({
  mode: 'one-process',
});
t.teardown(() => owned[Symbol.asyncDispose]());
const browser = await launchChromium();
t.teardown(() => browser.close());
const sandboxUrl = house.sandboxUrl ?? '';

async function picture(
  page: Page,
  name: string,
  options: { fullPage?: boolean } = {},
): Promise<void> {
  const folder = process.env['RASTRO_SCREENSHOTS'];
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), ...options });
}

const eventOf = (eventId: string): Promise<EventGroup> =>
  eventually(
    async () => {
      const [group] = await sandbox.events(eventId);
      assert.ok(group, `Meta has ${eventId}`);
      assert.equal(
        group.verdict,
        'paired',
        `${eventId}: ${group.browser.length} browser, ${group.server.length} server`,
      );
      return group;
    },
    { timeoutMs: 30_000 },
  );

/** Telegram answers with nothing, at which a browser stays where it is. */
async function stayHere(page: Page): Promise<void> {
  await page.route('**/t.me/**', (route) => route.fulfill({ status: 204 }));
}

/** The bridge page moves on by itself, so its picture is taken where Telegram does not answer. */
async function lookAtBridge(context: BrowserContext): Promise<void> {
  const page = await context.newPage();
  await stayHere(page);
  await page.goto(`${publicOrigin}/go/promo?utm_source=FB`);
  await page.waitForTimeout(800);
  await picture(page, 'bridge');
  await page.close();
}

/** From the sandbox's ad through the bridge page to the chat; the page that is there in the end. */
async function clickAd(context: BrowserContext): Promise<Page> {
  const home = await context.newPage();
  await home.goto(sandboxUrl);
  await picture(home, 'sandbox');
  const [page] = await Promise.all([
    context.waitForEvent('page'),
    home.locator('.ad-link').first().click(),
  ]);
  return page;
}

/** Presses START and the first buy button, and answers with the PIX code. */
async function askForPix(chat: Page): Promise<string> {
  await chat.locator('#start').click();
  await chat.locator('button[data-callback]').first().click();
  const copy = chat.locator('button[data-copy]').first();
  await copy.waitFor();
  await chat.locator('#toast').waitFor({ state: 'hidden' });
  await picture(chat, 'chat');
  return (await copy.getAttribute('data-copy')) ?? '';
}

async function payAtBank(context: BrowserContext, pixCode: string): Promise<void> {
  const bank = await context.newPage();
  await bank.goto(`${sandboxUrl}/bank`);
  await bank.locator('#code').fill(pixCode);
  await bank.locator('#pay').click();
  await bank.locator('#receipt').waitFor();
  await picture(bank, 'bank');
}

async function lookAtEventsManager(eventId: string): Promise<void> {
  const manager = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  await manager.goto(`${sandboxUrl}/events-manager`);
  await manager.locator(`[data-event-id="${eventId}"]`).first().waitFor();
  await picture(manager, 'events-manager');
  await manager.close();
}

async function paymentOf(trackingToken: string): Promise<string> {
  const [paid] = await sql<{ paymentId: string }[]>`
    select event->'data'->>'paymentId' as payment_id from payments.events
    where type = 'PaymentPaid' and event->>'correlationid' = ${trackingToken}`;
  return paid?.paymentId ?? '';
}

await t.test('from the ad to one Purchase', async (t) => {
  const context = await phoneContext(browser);
  t.teardown(() => context.close());
  const page = await clickAd(context);
  const complaints = complaintsOf(page);
  await page.waitForURL(/\/t\.me\/\w+\?start=[0-9a-f]{32}$/);
  const trackingToken = new URL(page.url()).searchParams.get('start') ?? '';
  const pageView = await eventOf(`evt_${trackingToken}`);

  await payAtBank(context, await askForPix(page));
  const link = page.locator('a[href*="/delivery/"]').first();
  await link.waitFor();
  const deliveryUrl = (await link.getAttribute('href')) ?? '';
  const delivery = await context.newPage();
  const deliveryComplaints = complaintsOf(delivery);
  const answer = await delivery.goto(deliveryUrl);
  t.equal(answer?.status(), 200);
  await picture(delivery, 'delivery');

  const paymentId = await paymentOf(trackingToken);
  const purchase = await eventOf(`purchase_${paymentId}`);
  const [browserCopy] = purchase.browser;
  const [serverCopy] = purchase.server;
  t.equal(pageView.server.length, 1, 'one PageView from the server');
  t.equal(purchase.server.length, 1, 'one Purchase from the server');
  for (const copy of [browserCopy, serverCopy]) t.match(copy, { value: 19.9, currency: 'BRL' });
  for (const key of ['external_id', 'fbp', 'fbc']) {
    t.same(
      serverCopy?.userData[key],
      browserCopy?.userData[key],
      `${key} is the same on both copies`,
    );
  }
  await eventually(
    async () => {
      const [signals] = await sql`
        select 1 from tracking.event_log
        where type = 'BrowserSignalsCaptured' and tracking_token = ${trackingToken}
          and event->'data'->>'pageType' = 'delivery'
          and event->'data'->>'fbp' = ${String(browserCopy?.userData['fbp'])}`;
      assert.ok(signals, 'the delivery page’s own word about Meta’s cookies');
    },
    { timeoutMs: 30_000 },
  );
  const plain = await phoneContext(browser, { javaScriptEnabled: false });
  t.teardown(() => plain.close());
  const withoutScripts = await plain.newPage();
  t.equal((await withoutScripts.goto(deliveryUrl))?.status(), 200);
  t.ok(await withoutScripts.locator('a.button').isVisible(), 'the delivery without JavaScript');
  t.same(complaints, [], 'the bridge page and the chat had nothing to complain of');
  t.same(deliveryComplaints, [], 'nor had the delivery page');

  const row = await eventually(async () => {
    const [found] = await sql`
      select * from tracking.meta_tracking_sessions where tracking_token = ${trackingToken}`;
    assert.equal(found?.['pageviewSent'], true);
    return found;
  });
  t.comment(`tracking token   ${trackingToken}`);
  t.comment(`PageView         browser and server: ${pageView.eventId}`);
  t.comment(`/start           ${page.url()}`);
  t.comment(`payment          ${paymentId}`);
  t.comment(`delivery         ${deliveryUrl}`);
  t.comment(`Purchase         browser and server: ${purchase.eventId}`);
  t.comment(`tracking.meta_tracking_sessions ${JSON.stringify(row)}`);
  await lookAtEventsManager(purchase.eventId);
  await lookAtBridge(context);
});

await t.test('what a stranger writes into the link stays text', async (t) => {
  const context = await phoneContext(browser);
  t.teardown(() => context.close());
  const page = await context.newPage();
  const complaints = complaintsOf(page);
  await stayHere(page);
  const hostile = encodeURIComponent(
    '</script><script>window.pwned=1</script>"\'><img src=x onerror=pwned=1>',
  );
  for (const query of [
    `utm_source=${hostile}`,
    `fbclid=${hostile}`,
    `${hostile}=1`,
    `src=${hostile}`,
  ]) {
    // The page leaves by itself: if that met the next visit, one would cancel the other.
    const left = page.waitForRequest('**/t.me/**');
    await page.goto(`${publicOrigin}/go/promo?${query}`, { waitUntil: 'domcontentloaded' });
    await left;
    t.equal(await page.evaluate('window.pwned'), undefined, query.slice(0, 20));
  }
  await page.goto(`${publicOrigin}/go/${hostile}`);
  t.equal(await page.evaluate('window.pwned'), undefined, 'the slug');
  await page.goto(`${publicOrigin}/delivery/${hostile}`);
  t.equal(await page.evaluate('window.pwned'), undefined, 'the delivery token');
  t.same(
    complaints.filter((text) => /Content Security Policy/.test(text)),
    [],
  );
});

await t.test('without JavaScript the visitor still reaches the bot', async (t) => {
  const context = await phoneContext(browser, { javaScriptEnabled: false });
  t.teardown(() => context.close());
  const page = await context.newPage();
  await page.goto(`${publicOrigin}/go/promo`);
  await page.waitForURL(/\/t\.me\/\w+\?start=[0-9a-f]{32}$/);
  t.match(page.url(), /start=/);
});

await t.test('what is not there says so, in a page', async (t) => {
  const context = await phoneContext(browser);
  t.teardown(() => context.close());
  const page = await context.newPage();
  for (const path of ['/go/nowhere', '/delivery/nothing-of-that-name']) {
    const answer = await page.goto(`${publicOrigin}${path}`);
    t.equal(answer?.status(), 404, path);
    t.ok((await page.locator('h1').innerText()).length > 0, `${path} has words for people`);
  }
});
