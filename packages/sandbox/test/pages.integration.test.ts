/**
 * Goal: a person can walk the whole demonstration by hand, and the Pixel's script does in a browser
 * what Meta's does. Method: a real Chromium on the sandbox's pages, a bot written with grammY that
 * sells by PIX, and a shop's page with Meta's standard snippet.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Bot, InlineKeyboard } from 'grammy';
import { launchChromium } from '@rastro/testing';
import t from 'tap';
import type { EventGroup } from '../src/index.ts';
import { call, eventually, start } from './start.ts';

const snippet = (scriptUrl: string) => `
!function(f,b,e,v,n,t,s){if(f.fbq)return;n=f.fbq=function(){n.callMethod?
n.callMethod.apply(n,arguments):n.queue.push(arguments)};if(!f._fbq)f._fbq=n;
n.push=n;n.loaded=!0;n.version='2.0';n.queue=[];t=b.createElement(e);t.async=!0;
t.src=v;s=b.getElementsByTagName(e)[0];s.parentNode.insertBefore(t,s)}(window,
document,'script','${scriptUrl}');`;

/** A page of the shop whose script is given; any path serves it. */
async function startShop(script: string) {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(`<!doctype html><title>Loja</title><script>${script}</script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sells one product by PIX, as simply as a bot can. */
function createSeller(sandboxUrl: string) {
  const bot = new Bot('111:alpha', { client: { apiRoot: `${sandboxUrl}/telegram` } });
  bot.command('start', (context) =>
    context.reply('Olá, <b>bem-vindo</b>!', {
      parse_mode: 'HTML',
      reply_markup: new InlineKeyboard().text('Comprar por R$ 19,90', 'buy'),
    }),
  );
  bot.on('callback_query:data', async (context) => {
    const order = {
      external_reference: 'order-1',
      amount_cents: 1990,
      currency: 'BRL',
      description: 'E-book',
      expires_in_seconds: 600,
      callback_url: 'http://127.0.0.1:1/nobody',
    };
    const headers = { authorization: 'Bearer key-one', 'idempotency-key': 'order-1' };
    const { body } = await call<{ pix_code: string }>(`${sandboxUrl}/charges`, order, { headers });
    await context.reply(`Pague com PIX:\n<code>${body.pix_code}</code>`, {
      parse_mode: 'HTML',
      reply_markup: new InlineKeyboard().copyText('Copiar código', body.pix_code),
    });
    await context.answerCallbackQuery('Código gerado');
  });
  return bot;
}

await t.test('the Pixel in a browser: queue, cookies, matching, consent', async (t) => {
  await using sandbox = await start();
  const browser = await launchChromium();
  t.teardown(() => browser.close());
  await using shop = await startShop(`
    ${snippet(`${sandbox.url}/pixel/fbevents.js`)}
    fbq.disablePushState = true;
    fbq('set', 'autoConfig', false, '1234567890');
    fbq('init', '1234567890',
      {external_id: ['${'a'.repeat(64)}', 'plain'], em: ' Ana@Example.com '});
    fbq('init', '9876543210');
    fbq('track', 'PageView', {}, {eventID: 'evt_1'});
    fbq('trackSingle', '1234567890', 'Purchase',
      {value: 19.9, currency: 'BRL', content_ids: ['ebook']}, {eventID: 'purchase_1'});
    fbq('consent', 'revoke');
    fbq('trackCustom', 'Held', {}, {eventID: 'held_1'});
    addEventListener('load', () => history.pushState({}, '', '/elsewhere'));`);
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(`${shop.url}/go/promo?fbclid=IwAR-Test_1_aem_2`);
  const read = async () => (await call<EventGroup[]>(`${sandbox.url}/control/graph/events`)).body;
  const groups = await eventually(read, (list) => list.length === 3);
  const of = (name: string, pixelId: string) =>
    groups.find((group) => group.eventName === name && group.pixelId === pixelId)?.browser[0];
  t.match(of('PageView', '1234567890'), { eventId: 'evt_1', warnings: [] });
  t.match(of('PageView', '9876543210'), { eventId: 'evt_1' });
  t.equal(of('Purchase', '9876543210'), undefined, 'trackSingle names one pixel');
  const purchase = of('Purchase', '1234567890');
  t.match(purchase, { eventId: 'purchase_1', value: 19.9, currency: 'BRL' });
  t.match(purchase?.userData, {
    external_id: ['a'.repeat(64), /^[0-9a-f]{64}$/],
    em: /^[0-9a-f]{64}$/,
    fbc: /^fb\.0\.\d{13}\.IwAR-Test_1_aem_2$/,
    fbp: /^fb\.0\.\d{13}\.\d+$/,
    client_user_agent: /Chrome/,
  });
  const cookies = await page.context().cookies();
  const valueOf = (name: string) => cookies.find((one) => one.name === name)?.value;
  t.equal(valueOf('_fbc'), purchase?.userData['fbc'], 'the cookie is what was reported');
  t.equal(valueOf('_fbp'), purchase?.userData['fbp']);

  await page.evaluate("fbq('consent', 'grant')");
  const readHeld = async () => (await read()).filter((group) => group.eventName === 'Held');
  const held = await eventually(readHeld, (list) => list.length === 2);
  t.equal(held.length, 2, 'held back until consent, then sent');
  t.equal((await read()).filter((group) => group.eventId === null).length, 0, 'no copy unasked');

  await page.goto(`${shop.url}/go/promo?fbclid=IwAR-Test_1_aem_2`);
  const again = await page.context().cookies();
  const fbcOf = (list: typeof again) => list.find((one) => one.name === '_fbc')?.value;
  t.equal(fbcOf(again), valueOf('_fbc'), 'the same click keeps its time');
  await page.goto(`${shop.url}/go/promo?fbclid=another`);
  await eventually(
    async () => fbcOf(await page.context().cookies()) ?? '',
    (value) => value.endsWith('.another'),
  );
  t.match(fbcOf(await page.context().cookies()), /\.another$/, 'another click replaces it');
  t.same(problems, []);
});

await t.test('by hand: START, buy, copy, pay, and the pages tell of it', async (t) => {
  await using sandbox = await start();
  const seller = createSeller(sandbox.url);
  const selling = seller.start();
  const browser = await launchChromium();
  t.teardown(() => browser.close());
  const context = await browser.newContext({ viewport: { width: 420, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });

  await page.goto(sandbox.url);
  const ad = await page.getAttribute('.ad-link', 'href');
  t.match(
    ad,
    /^http:\/\/localhost:8080\/go\/promo\?fbclid=IwY2xjaw[\w-]+_aem_[\w-]+&utm_source=FB/,
  );

  await page.goto(`${sandbox.url}/t.me/demo_a_bot?start=abc123`);
  await page.click('#start');
  await page.waitForSelector('.message:nth-of-type(2)');
  t.match(await page.textContent('#messages'), /\/start abc123.*Olá, bem-vindo!/s);
  t.equal(await page.textContent('#messages b'), 'bem-vindo');
  await page.click('button[data-callback=buy]');
  await page.waitForSelector('button[data-copy]');
  // The bot answers the press after it has sent the code.
  await page.locator('#toast', { hasText: 'Código gerado' }).waitFor();
  t.match(await page.textContent('#toast'), 'Código gerado');
  await page.fill('#text', '<img src=x onerror=alert(1)>');
  await page.press('#text', 'Enter');
  await page.waitForSelector('text=<img src=x');
  t.equal(await page.locator('.message.mine img').count(), 0, 'a text stays a text');

  const bankUrl = await page.getAttribute('#open-bank', 'href');
  await page.goto(`${sandbox.url}${bankUrl}`);
  await page.waitForSelector('#review:not([hidden])');
  t.equal(await page.textContent('#payee'), 'Loja São João');
  await page.click('#pay');
  await page.waitForSelector('#receipt:not([hidden])');
  await page.waitForSelector('.charge .pill.good');
  t.match((await call<object[]>(`${sandbox.url}/control/pix/charges`)).body, [{ status: 'paid' }]);

  await page.goto(`${sandbox.url}/faults`);
  await page.click('[data-preset=graph-down]');
  await page.waitForSelector('.rule');
  const faults = await call<{ rules: object[] }>(`${sandbox.url}/control/faults`);
  t.match(faults.body.rules, [{ api: 'graph', times: 1, action: { status: 503, code: 2 } }]);

  const events = `${sandbox.url}/graph/v26.0/1234567890/events`;
  await call(events, { data: [], access_token: 'EAA-one' });
  await fetch(`${sandbox.url}/pixel/tr?id=1234567890&ev=PageView&eid=evt_1`);
  await page.goto(`${sandbox.url}/events-manager`);
  await page.waitForSelector('[data-event-id=evt_1][data-verdict=browser_only]');
  await page.click('#tab-requests');
  await page.waitForSelector('text=falha ligada');
  t.same(problems, [], 'no error on any page, and nothing against its own policy');
  await seller.stop();
  await selling;
});
