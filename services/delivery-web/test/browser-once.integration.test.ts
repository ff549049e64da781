/**
 * Goal: a browser tells Meta of a purchase at most once, however many of its tabs look at it.
 * Method: headless Chromium on the served pages; tabs opened at once while Meta's script is held
 * back, reloaded, closed too early, kept waiting for days, and with a storage that is full.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { startBrowserWorld } from './browser-world.ts';

await using world = await startBrowserWorld();
const { serve, openPage, reports, reported } = world;

await t.test('two tabs at once, and a third while Meta’s script is still on its way', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000bbbb';
  const { address } = await serve({ paymentId });
  const { context, page } = await openPage();
  const gate = Promise.withResolvers<void>();
  let loads = 0;
  await context.route('**/pixel/fbevents.js', async (route) => {
    loads += 1;
    await gate.promise;
    await route.continue();
  });
  const [second, third] = [await context.newPage(), await context.newPage()];
  const waiting = { waitUntil: 'commit' } as const;
  await Promise.all([page.goto(address, waiting), second.goto(address, waiting)]);
  await third.goto(address, waiting);
  const asked = (count: number) =>
    eventually(() => {
      if (loads < count) throw new Error(`the script was asked for ${loads} times`);
    });
  await asked(1);
  gate.resolve();
  await reported(paymentId);
  // Told comes before marked, and who closes in between has not told.
  await eventually(async () => {
    const cookies = await context.cookies();
    if (!cookies.some(({ name }) => name === `rastro_purchase_${paymentId}`))
      throw new Error('no mark yet');
  });
  // The one that told keeps the others waiting; when it closes, each has a look and lets go.
  const turn = `navigator.locks.request('rastro_purchase_${paymentId}', () => {})`;
  for (const tab of [page, second]) {
    await Promise.race([tab.evaluate(turn), delay(500)]);
    await tab.close();
  }
  await third.evaluate(turn);
  t.equal(loads, 1);
  t.equal((await reports(paymentId)).length, 1);
  await third.reload();
  await third.waitForLoadState('networkidle');
  t.equal((await reports(paymentId)).length, 1);

  // A tab that is closed before Meta’s script came leaves the purchase to the next.
  const other = '019aa0f0-0000-7000-8000-00000000cccc';
  const { address: otherAddress } = await serve({ paymentId: other });
  await context.unroute('**/pixel/fbevents.js');
  await context.route(
    '**/pixel/fbevents.js',
    () => {
      loads += 1;
    },
    { times: 1 },
  );
  const short = await context.newPage();
  await short.goto(otherAddress, waiting);
  await asked(2);
  await third.goto(otherAddress);
  t.same(await reports(other), []);
  await short.close();
  t.equal((await reported(other)).length, 1);
  await context.close();
});

await t.test('a tab that waited for days for its turn stays silent', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000ffff';
  const { address } = await serve({ paymentId, firstReportMs: Date.now() - 3_600_000 });
  const { context, page } = await openPage();
  let loads = 0;
  await context.route('**/pixel/fbevents.js', () => {
    loads += 1;
  });
  await page.goto(address, { waitUntil: 'commit' });
  await eventually(() => {
    if (loads === 0) throw new Error('the first tab does not fire');
  });
  const [late, inTime] = [await context.newPage(), await context.newPage()];
  const waitsAs = async (place: number) =>
    eventually(async () => {
      const { pending } = await page.evaluate(() => navigator.locks.query());
      if (pending.length < place) throw new Error('the tab does not wait yet');
    });
  for (const [tab, hours] of [
    [late, 46],
    [inTime, 45.9],
  ] as const) {
    await tab.goto(address);
    await waitsAs(tab === late ? 1 : 2);
    await tab.evaluate((ms) => {
      const now = Date.now.bind(Date);
      Date.now = () => now() + ms;
    }, hours * 3_600_000);
  }
  await page.close();
  await eventually(() => {
    if (loads < 2) throw new Error('nobody fires');
  });
  t.equal(new URL(late.url()).pathname, new URL(address).pathname, 'too late');
  await inTime.waitForURL('**/delivery/');
  t.pass('just in time');
  t.equal(loads, 2);
  await context.close();
});

await t.test('once also where nothing can be stored but cookies', async (t) => {
  const paymentId = '019aa0f0-0000-7000-8000-00000000dddd';
  const { address, origin } = await serve({ paymentId });
  const { context, page } = await openPage();
  await page.goto(`${origin}/delivery`);
  await page.evaluate(`for (let length = 2 ** 22; length >= 1; length = Math.floor(length / 2)) {
    try { for (;;) localStorage.setItem('full' + Math.random(), 'x'.repeat(length)); } catch (error) { console.debug(error); }
  }`);
  await page.goto(address);
  await reported(paymentId);
  const markName = `rastro_purchase_${paymentId}`;
  await page.waitForFunction(`document.cookie.includes('${markName}')`);
  t.equal(await page.evaluate(`localStorage.getItem('${markName}')`), null, 'it was full');
  await page.reload();
  await page.waitForURL(address);
  const second = await context.newPage();
  await second.goto(address);
  await second.waitForLoadState('networkidle');
  t.equal((await reports(paymentId)).length, 1);
  await context.close();
});
