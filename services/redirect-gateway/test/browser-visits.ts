/** A phone's browser on the served pages, with Meta, UTMify and Telegram stood in for. */
import type { RastroEvent } from '@rastro/events';
import { listen } from '@rastro/runtime';
import { startSandbox } from '@rastro/sandbox';
import { launchChromium } from '@rastro/testing';
import { type BrowserContextOptions, devices, type Page } from 'playwright-core';
import type { RouteParts } from '../src/routes.ts';
import { phone, type Served, servedPages } from './served-pages.ts';

const localOrigin = 'http://localhost:8080';
export const elsewhere = 'https://telegram.test';
export const utmifyScriptUrl = 'https://utmify.test/pixel.js';
/** A pool that uses everything that a page can load. */
export const everything = [{ utmify: { pixelId: '66d0fdb34f04fa44c5955f2c' } }];

export interface Departure {
  readonly url: string;
  readonly atMs: number;
}

export interface Visits {
  readonly sandboxUrl: string;
  readonly serve: (
    parts?: Partial<RouteParts>,
    options?: Omit<Parameters<typeof servedPages>[0], 'parts'>,
  ) => Promise<Served & { readonly origin: string }>;
  /** A page on a phone; what would leave for Telegram is kept with the time it was asked for. */
  readonly visitor: (
    options?: BrowserContextOptions,
  ) => Promise<{ readonly page: Page; readonly departures: Departure[] }>;
}

/** Everything that it starts ends with the stack. */
export async function startVisits(stack: AsyncDisposableStack): Promise<Visits> {
  const sandbox = stack.use(
    await startSandbox({
      port: 0,
      publicOrigin: localOrigin,
      world: { bots: [], pixels: [{ id: '1234567890', accessToken: 'EAAtest' }], pixAccounts: [] },
    }),
  );
  // A name with a registrable domain, as cookies need it.
  const browser = await launchChromium(['--host-resolver-rules=MAP go.example.com 127.0.0.1']);
  stack.defer(() => browser.close());
  return {
    sandboxUrl: sandbox.url,
    async serve(parts = {}, options = {}) {
      const pixelScriptUrl = `${sandbox.url}/pixel/fbevents.js`;
      const served = await servedPages({
        publicOrigin: localOrigin,
        ...options,
        parts: { pixelScriptUrl, utmifyScriptUrl, telegramLinkUrl: elsewhere, ...parts },
      });
      stack.defer(() => served.app.close());
      stack.use(served.beacons);
      return { ...served, origin: await listen(served.app, { host: '127.0.0.1', port: 0 }) };
    },
    async visitor(options = {}) {
      const context = await browser.newContext({
        ...devices['Pixel 7'],
        userAgent: phone,
        locale: 'pt-BR',
        ...options,
      });
      stack.defer(() => context.close());
      const page = await context.newPage();
      const departures: Departure[] = [];
      for (const address of [`${elsewhere}/**`, 'https://t.me/**'])
        await page.route(address, async (route) => {
          departures.push({ url: route.request().url(), atMs: performance.now() });
          await route.fulfill({ body: 'Telegram', contentType: 'text/plain' });
        });
      return { page, departures };
    },
  };
}

/**
 * Keeps a page that leaves for Telegram's web where it is until the returned function is called: a
 * slow machine's scripts, and who looks at the page, may need longer than it stays.
 */
export async function holdBack(page: Page): Promise<() => void> {
  const gate = Promise.withResolvers<void>();
  await page.route('https://t.me/**', async (route) => {
    await gate.promise;
    await route.fallback();
  });
  return gate.resolve;
}

/** In the page's own time, which waits for nobody: how long from its load until it leaves. */
export async function timeDeparture(page: Page): Promise<() => number | undefined> {
  const mark = 'left after ';
  let tookMs: number | undefined;
  page.on('console', (message) => {
    if (message.text().startsWith(mark)) tookMs ??= Number(message.text().slice(mark.length));
  });
  await page.addInitScript(`{
    let loadedMs = 0;
    addEventListener('DOMContentLoaded', () => (loadedMs = performance.now()));
    navigation.addEventListener('navigate', () =>
      console.info('${mark}' + (performance.now() - loadedMs)));
  }`);
  return () => tookMs;
}

export const clickOf = (events: readonly RastroEvent[]) =>
  events.find(({ type }) => type === 'ClickTracked') as RastroEvent<'ClickTracked'>;

/** Chromium's remarks on where it runs: an origin without TLS, and no finger on the glass. */
const remarks = /Cross-Origin-Opener-Policy header has been ignored|a user gesture is required/;

/** What the page complains of: script errors and refusals of its own policy. */
export function errorsOf(page: Page): string[] {
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    const text = message.text();
    if (message.type() === 'error' && !remarks.test(text)) errors.push(text);
  });
  return errors;
}
