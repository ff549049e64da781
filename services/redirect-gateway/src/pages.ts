/** Renders: the bridge page with its cookies, and the pages that say why there is none. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonForScript } from '@rastro/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CookieScope } from './adapters/cookie-domain.ts';
import type { OwnedPool } from './adapters/pools.ts';
import { type Click, stickyCookie } from './click-desk.ts';
import { type BotLinks, bridgePixel } from './core/bridge.ts';
import { consentOf, visitorCookie, type Visit } from './core/click.ts';
import { type Language, languages, type NoticeName, noticeStatus, words } from './core/words.ts';

export interface PageParts {
  readonly pixelScriptUrl: string;
  readonly cookieScope: CookieScope;
  /** Whether visitors come by https. */
  readonly isSecure: boolean;
}

export const viewsFolder = join(import.meta.dirname, 'views');

const maxAgeSeconds = 90 * 86_400;

export function createPages({ pixelScriptUrl, cookieScope, isSecure }: PageParts) {
  const bridgeScript = withoutIndentation(readFileSync(join(viewsFolder, 'bridge.js'), 'utf8'));
  const { domain } = cookieScope;
  const lasting = { path: '/', maxAge: maxAgeSeconds, sameSite: 'lax', secure: isSecure } as const;
  const shared = { ...lasting, encode: String, ...(domain === undefined ? {} : { domain }) };

  function setCookies(reply: FastifyReply, visit: Visit, pool: OwnedPool, click: Click): void {
    const { fbp, fbc, visitorId } = click.identity;
    reply.setCookie(visitorCookie, visitorId, { ...shared, httpOnly: true });
    const sticky = { ...lasting, path: '/go', httpOnly: true };
    reply.setCookie(stickyCookie(pool.item.id), click.botId, sticky);
    // Meta's own need the visitor's consent; ours only keep the visitor with the same bot.
    if (consentOf(pool.item) !== 'not_required') return;
    reply.setCookie('_fbp', fbp, shared);
    if (fbc !== null && fbc !== visit.cookies['_fbc']) reply.setCookie('_fbc', fbc, shared);
  }

  return {
    setCookies,
    bridge(
      request: FastifyRequest,
      reply: FastifyReply,
      { pool, click, links }: { pool: OwnedPool; click: Click; links: BotLinks },
    ): Promise<string> {
      const language = languageOf(request);
      const data = {
        token: click.identity.trackingToken,
        slug: pool.item.slug,
        links,
        pixel: bridgePixel(pool.item, click.identity),
        pixelScriptUrl,
        beaconUrl: '/api/tracking/cookies',
      };
      return reply.viewAsync('bridge', {
        tag: words[language].tag,
        ...words[language].bridge,
        username: click.username,
        link: links.web,
        nonce: reply.cspNonce,
        script: bridgeScript,
        data: jsonForScript(data),
      });
    },
    notice(request: FastifyRequest, reply: FastifyReply, name: NoticeName): Promise<string> {
      const { tag, [name]: notice } = words[languageOf(request)];
      reply.code(noticeStatus[name]);
      if (name === 'unavailable') reply.header('retry-after', '30');
      return reply.viewAsync('notice', { tag, ...notice, nonce: reply.cspNonce });
    },
  };
}

function languageOf(request: FastifyRequest): Language {
  const best = request.languages([...languages]);
  return languages.find((language) => language === best) ?? languages[0];
}

/** Comments and indentation are for readers of the file. */
function withoutIndentation(script: string): string {
  return script
    .replaceAll(/^\s*(\/?\*.*|\/\/.*)$/gm, '')
    .replaceAll(/^\s+/gm, '')
    .trim();
}
