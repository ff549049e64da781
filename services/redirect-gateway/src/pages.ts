/** Renders: the bridge page with its cookies, and the pages that say why there is none. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type HeadersOf,
  jsonForScript,
  newPageNonces,
  type PageNonces,
  preparedPageHeaders,
} from '@rastro/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CookieScope } from './adapters/cookie-domain.ts';
import type { ParamBuilder } from './adapters/param-builder.ts';
import type { OwnedPool } from './adapters/pools.ts';
import { type Click, stickyCookie } from './click-desk.ts';
import { type BotLinks, bridgePixel, type LateScripts, lateScripts } from './core/bridge.ts';
import { consentOf, visitorCookie, type Visit } from './core/click.ts';
import { type Language, languages, type NoticeName, noticeStatus, words } from './core/words.ts';

export interface PageParts {
  readonly pixelScriptUrl: string;
  readonly utmifyScriptUrl: string;
  readonly paramBuilder: Pick<ParamBuilder, 'path'>;
  readonly cookieScope: CookieScope;
  /** Whether visitors come by https. */
  readonly isSecure: boolean;
}

export interface BridgeParts {
  readonly visit: Visit;
  readonly pool: OwnedPool;
  readonly click: Click;
  readonly links: BotLinks;
}

export const viewsFolder = join(import.meta.dirname, 'views');

const maxAgeSeconds = 90 * 86_400;

export function createPages(parts: PageParts) {
  const { cookieScope, isSecure } = parts;
  const headersOf = createHeaders(parts);
  const pageData = createPageData(parts);
  const languageOf = createLanguageChoice();
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

  function guard(reply: FastifyReply, headers: HeadersOf): PageNonces {
    const nonces = newPageNonces();
    reply.headers(headers(nonces));
    return nonces;
  }

  return {
    setCookies,
    bridge(request: FastifyRequest, reply: FastifyReply, page: BridgeParts): Promise<string> {
      const { pool, click, links } = page;
      const { tag, bridge } = words[languageOf(request)];
      const late = lateScripts(pool.item);
      const nonce = guard(reply, late.utmifyPixelId === null ? headersOf.page : headersOf.utmify);
      return reply.viewAsync('bridge', {
        tag,
        ...bridge,
        username: click.username,
        link: links.web,
        nonce,
        script: bridgeScript,
        data: jsonForScript(pageData(page, late)),
      });
    },
    notice(request: FastifyRequest, reply: FastifyReply, name: NoticeName): Promise<string> {
      const { tag, [name]: notice } = words[languageOf(request)];
      reply.code(noticeStatus[name]);
      if (name === 'unavailable') reply.header('retry-after', '30');
      const nonce = guard(reply, headersOf.page);
      return reply.viewAsync('notice', { tag, ...notice, nonce });
    },
    redirect(reply: FastifyReply, url: string): FastifyReply {
      guard(reply, headersOf.page);
      return reply.redirect(url, 302);
    },
  };
}

/** For pages with UTMify's script, and for all others, which need not allow it. */
function createHeaders({ pixelScriptUrl, utmifyScriptUrl }: PageParts) {
  const page = {
    pixelScriptUrl,
    referrerPolicy: 'strict-origin-when-cross-origin',
    hasParamBuilder: true,
  } as const;
  const always = {
    'cache-control': 'no-store',
    'x-robots-tag': 'noindex, nofollow',
  };
  const withAlways =
    (of: HeadersOf): HeadersOf =>
    (nonces) => ({ ...of(nonces), ...always });
  return {
    page: withAlways(preparedPageHeaders(page)),
    utmify: withAlways(preparedPageHeaders({ ...page, utmifyScriptUrl })),
  };
}

/** What the page's script is told. */
function createPageData({ pixelScriptUrl, utmifyScriptUrl, paramBuilder }: PageParts) {
  return ({ visit, pool, click, links }: BridgeParts, late: LateScripts) => ({
    token: click.identity.trackingToken,
    slug: pool.item.slug,
    links,
    pixel: bridgePixel(pool.item, click.identity),
    pixelScriptUrl,
    beaconUrl: '/api/tracking/cookies',
    paramBuilder: late.hasParamBuilder
      ? // The address that Meta likes best, kept by the browser for its later visits.
        { url: paramBuilder.path, ipv6: visit.clientIp?.includes(':') ? visit.clientIp : null }
      : null,
    utmify:
      late.utmifyPixelId === null ? null : { pixelId: late.utmifyPixelId, url: utmifyScriptUrl },
  });
}

const maxKnownHeaders = 500;

/** Visitors send the same few headers over and over. */
function createLanguageChoice() {
  const known = new Map<string | undefined, Language>();
  return (request: FastifyRequest): Language => {
    const header = request.headers['accept-language'];
    const choice = known.get(header);
    if (choice) return choice;
    const best = request.languages([...languages]);
    const language = languages.find((name) => name === best) ?? languages[0];
    if (known.size < maxKnownHeaders) known.set(header, language);
    return language;
  };
}

/** Comments and indentation are for readers of the file. */
function withoutIndentation(script: string): string {
  return script
    .replaceAll(/^\s*(\/?\*.*|\/\/.*)$/gm, '')
    .replaceAll(/^\s+/gm, '')
    .trim();
}
