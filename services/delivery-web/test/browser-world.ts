/** A real browser on the served pages, with the sandbox in Meta's place. */
import { listen } from '@rastro/runtime';
import { type EventGroup, startSandbox } from '@rastro/sandbox';
import { eventually, launchChromium } from '@rastro/testing';
import { type BrowserContextOptions, devices } from 'playwright-core';
import type { Delivery } from '../src/core/page.ts';
import type { RouteParts } from '../src/routes.ts';
import { knownToken, servedPages } from './served-pages.ts';

const pixelId = '1234567890';

export type BrowserWorld = AsyncDisposable & Awaited<ReturnType<typeof startParts>>;

export async function startBrowserWorld(): Promise<BrowserWorld> {
  await using stack = new AsyncDisposableStack();
  const parts = await startParts(stack);
  const owned = stack.move();
  return { ...parts, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function startParts(stack: AsyncDisposableStack) {
  const sandbox = stack.use(
    await startSandbox({
      port: 0,
      publicOrigin: 'http://localhost:8080',
      world: { bots: [], pixels: [{ id: pixelId, accessToken: 'EAAtest' }], pixAccounts: [] },
    }),
  );
  const browser = await launchChromium();
  stack.defer(() => browser.close());
  const apps = stack.use(new AsyncDisposableStack());

  async function serve(delivery: Partial<Delivery> = {}, parts: Partial<RouteParts> = {}) {
    const pixelScriptUrl = `${sandbox.url}/pixel/fbevents.js`;
    const { app, views } = await servedPages(delivery, {
      pixelScriptUrl,
      publicOrigin: 'http://localhost:8080',
      ...parts,
    });
    // What the browser said it asks the delivery for: undefined for its user.
    const purposes: unknown[] = [];
    app.addHook('onRequest', async ({ url, headers }) => {
      if (url.endsWith(knownToken)) purposes.push(headers['sec-purpose']);
    });
    const beacons: unknown[] = [];
    app.post('/api/tracking/cookies', async (request, reply) => {
      beacons.push(request.body);
      return reply.code(204).send();
    });
    apps.defer(() => app.close());
    const ahead = { prerender: [{ urls: [`/delivery/${knownToken}`], eagerness: 'immediate' }] };
    const start = `<script type="speculationrules">${JSON.stringify(ahead)}</script>
      <a href="/delivery/${knownToken}">to the delivery</a>`;
    app.get('/start', async (_request, reply) => reply.type('text/html').send(start));
    const origin = await listen(app, { host: '127.0.0.1', port: 0 });
    return { origin, address: `${origin}/delivery/${knownToken}`, beacons, views, purposes };
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
    eventually(
      async () => {
        const copies = await reports(paymentId);
        if (copies.length === 0) throw new Error('Meta has heard nothing');
        return copies;
      },
      { timeoutMs: 30_000 },
    );
  return { sandbox, serve, openPage, reports, reported };
}
