/** Headers of pages with Meta's Pixel: what may run there, and who may remember their address. */
import type { FastifyHelmetOptions } from '@fastify/helmet';
import helmet from 'helmet';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { drawRandomBytes } from './entropy.ts';

/** Where Meta's own script reports to; any other script is expected to report where it came from. */
const metaOrigins = ['https://connect.facebook.net', 'https://www.facebook.com'];
/** UTMify's script comes from one host and reports to another. */
const utmifyOrigin = 'https://*.utmify.com.br';

export interface PixelPage {
  readonly pixelScriptUrl: string;
  /** `no-referrer` where the address itself is a secret. */
  readonly referrerPolicy: 'no-referrer' | 'strict-origin-when-cross-origin';
  /** Whether the page loads Meta's parameter builder from its own origin. */
  readonly hasParamBuilder?: boolean;
  /** Null or unset where the page does not load UTMify's script. */
  readonly utmifyScriptUrl?: string | null;
}

/** For @fastify/helmet: scripts run with the page's nonce; the Pixel may load more of its own. */
export function pixelPageHeaders(page: PixelPage) {
  const { origin } = new URL(page.pixelScriptUrl);
  const pixel = metaOrigins.includes(origin) ? metaOrigins : [origin];
  const utmify = page.utmifyScriptUrl ? utmifyOrigins(page.utmifyScriptUrl) : [];
  const own = page.hasParamBuilder ? ["'self'"] : [];
  // In Facebook's and Instagram's own browsers the builder asks the app for the click's id there.
  const app = page.hasParamBuilder ? ['properties:'] : [];
  return {
    enableCSPNonces: true,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        // Browsers without strict-dynamic go by origin.
        'script-src': ["'strict-dynamic'", ...own, ...pixel, ...utmify],
        'style-src': [] as string[],
        'connect-src': ["'self'", ...app, ...pixel, ...utmify],
        'img-src': ['data:', ...pixel, ...utmify],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
    referrerPolicy: { policy: page.referrerPolicy },
    // Whether a whole domain is https only is its owner's business, not a page's.
    strictTransportSecurity: false,
  } satisfies FastifyHelmetOptions;
}

function utmifyOrigins(scriptUrl: string): string[] {
  const { origin, hostname } = new URL(scriptUrl);
  return hostname.endsWith('.utmify.com.br') ? [utmifyOrigin] : [origin];
}

/** What a page's own scripts and styles carry, so that nothing else runs there. */
export interface PageNonces {
  readonly script: string;
  readonly style: string;
}

/** Header names with their values, for a page with these nonces. */
export type HeadersOf = (nonces: PageNonces) => Readonly<Record<string, string>>;

const scriptPlace = 'the-nonce-of-scripts';
const stylePlace = 'the-nonce-of-styles';

/**
 * The headers that @fastify/helmet would make for each answer anew, made once: pages that are
 * rendered thousands of times a second differ only in their nonces.
 */
export function preparedPageHeaders(page: PixelPage): HeadersOf {
  const { enableCSPNonces: _always, ...options } = pixelPageHeaders(page);
  const { directives } = options.contentSecurityPolicy;
  directives['script-src'].push(`'nonce-${scriptPlace}'`);
  directives['style-src'].push(`'nonce-${stylePlace}'`);
  const headers: Record<string, string> = {};
  const response = {
    setHeader: (name: string, value: string) => void (headers[name.toLowerCase()] = value),
    removeHeader: () => {},
  };
  helmet(options)({} as IncomingMessage, response as unknown as ServerResponse, (error) => {
    if (error) throw error;
  });
  const { 'content-security-policy': policy = '', ...rest } = headers;
  const [before = '', fromScripts = ''] = policy.split(scriptPlace);
  const [between = '', after = ''] = fromScripts.split(stylePlace);
  return ({ script, style }) => ({
    'content-security-policy': before + script + between + style + after,
    ...rest,
  });
}

/** 128 random bits each. */
export function newPageNonces(): PageNonces {
  return { script: newNonce(), style: newNonce() };
}

const newNonce = (): string => drawRandomBytes(16).toString('hex');
