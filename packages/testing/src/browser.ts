/** The system's Chromium, for tests that see what a visitor sees. */
import { findBinary } from '@rastro/servers';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

/** Without the background traffic that a closed network would refuse, request by request. */
const quiet = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * @param more arguments for Chromium, e.g. to give 127.0.0.1 a name that cookies work under.
 * @throws an error that names the set-up's command where there is no browser.
 */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  // Chromium refuses its sandbox to root.
  const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({
    executablePath: findBinary('chromium'),
    args: [...quiet, ...asRoot, ...more],
  });
}

/** Headless Chromium says so in its user agent, and would rightly be taken for a robot. */
export const phoneUserAgent =
  'Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36';

/** A visitor with a phone, in Brazil, behind the edge. */
export function phoneContext(
  browser: Browser,
  options: { ip?: string; javaScriptEnabled?: boolean } = {},
): Promise<BrowserContext> {
  const { ip = '177.10.20.30', javaScriptEnabled = true } = options;
  return browser.newContext({
    userAgent: phoneUserAgent,
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
    locale: 'pt-BR',
    timezoneId: 'America/Sao_Paulo',
    javaScriptEnabled,
    extraHTTPHeaders: { 'x-forwarded-for': ip },
  });
}

/** Everything that a page complains of: script errors and refusals of its own policy. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  return complaints;
}
