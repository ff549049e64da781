/** Headers of pages with Meta's Pixel: what may run there, and who may remember their address. */
import type { FastifyHelmetOptions } from '@fastify/helmet';

/** Where Meta's own script reports to; any other script is expected to report where it came from. */
const metaOrigins = ['https://connect.facebook.net', 'https://www.facebook.com'];

/** For @fastify/helmet: scripts run with the page's nonce; the Pixel may load more of its own. */
export function pixelPageHeaders(options: {
  readonly pixelScriptUrl: string;
  /** `no-referrer` where the address itself is a secret. */
  readonly referrerPolicy: 'no-referrer' | 'strict-origin-when-cross-origin';
}): FastifyHelmetOptions {
  const { origin } = new URL(options.pixelScriptUrl);
  const pixel = metaOrigins.includes(origin) ? metaOrigins : [origin];
  return {
    enableCSPNonces: true,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        // Browsers without strict-dynamic go by origin.
        'script-src': ["'strict-dynamic'", ...pixel],
        'style-src': [],
        'connect-src': ["'self'", ...pixel],
        'img-src': ['data:', ...pixel],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
    referrerPolicy: { policy: options.referrerPolicy },
    // Whether a whole domain is https only is its owner's business, not a page's.
    strictTransportSecurity: false,
  };
}
