/** HTTP edge: the delivery page, and the pages that say why there is none. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyCookie from '@fastify/cookie';
import fastifyHelmet from '@fastify/helmet';
import fastifyView from '@fastify/view';
import type { DataOf } from '@rastro/events';
import {
  type Counter,
  type HttpServer,
  jsonForScript,
  type Logger,
  pixelPageHeaders,
  publicIp,
} from '@rastro/runtime';
import { headerTraits } from '@rastro/traffic';
import { Eta } from 'eta';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Access, accessOf } from './core/access.ts';
import { metaCookies, type MetaCookies } from './core/meta-cookies.ts';
import { notices } from './core/notices.ts';
import { type Delivery, type Offer, type Page, pageOf } from './core/page.ts';
import { visitorOf } from './core/visitor.ts';

export interface RouteParts {
  readonly log: Logger;
  readonly publicOrigin: string;
  readonly pixelScriptUrl: string;
  readonly findDelivery: (token: string) => Promise<Delivery | undefined>;
  readonly offerFor: (delivery: Delivery) => Offer;
  /** Asks the gateway about an order whose money is in doubt. */
  readonly revalidate: (delivery: Delivery, offer: Offer) => Promise<Access>;
  readonly recordView: (view: DataOf<'DeliveryViewed'>, workspaceId: string) => Promise<void>;
  /** Counts with the label `result`. */
  readonly pages: Counter<'result'>;
}

const viewsFolder = join(import.meta.dirname, 'views');
const readScript = (name: string): string => readFileSync(join(viewsFolder, name), 'utf8');

/** What is known of an opening before its page goes out. */
interface Opened {
  readonly delivery: Delivery;
  readonly page: Page;
  readonly cookies: MetaCookies;
}

export async function addRoutes(app: HttpServer, parts: RouteParts): Promise<void> {
  await app.register(async (pages) => {
    const { pixelScriptUrl } = parts;
    const headers = { pixelScriptUrl, referrerPolicy: 'no-referrer' } as const;
    await pages.register(fastifyHelmet, pixelPageHeaders(headers));
    await pages.register(fastifyCookie);
    await pages.register(fastifyView, {
      engine: { eta: new Eta() },
      root: viewsFolder,
      viewExt: 'eta',
    });
    const opened = new WeakMap<FastifyRequest, Opened>();
    const send = createPages(parts);

    pages.addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'no-store').header('x-robots-tag', 'noindex, nofollow');
    });
    // After the page went out, so that the browser's Pixel comes first.
    pages.addHook('onResponse', async (request) => {
      const opening = opened.get(request);
      if (!opening) return;
      await parts.recordView(viewOf(request, opening), opening.delivery.workspaceId);
    });
    pages.setErrorHandler(async (error: { statusCode?: number }, request, reply) => {
      const isTheirs = error.statusCode !== undefined && error.statusCode < 500;
      if (isTheirs) return send.notice(reply, 'unknown');
      parts.log.error({ err: error, route: request.routeOptions.url }, 'a page could not be made');
      return send.notice(reply, 'unavailable');
    });
    pages.get('/delivery', async (_request, reply) => send.notice(reply, 'withoutToken'));
    pages.get('/delivery/*', async (_request, reply) => send.notice(reply, 'unknown'));
    pages.get<{ Params: { token: string } }>('/delivery/:token', async (request, reply) => {
      const delivery = await lookUp(parts, request.params.token);
      if (!delivery) return send.notice(reply, 'unknown');
      const offer = parts.offerFor(delivery);
      const known = accessOf(delivery, offer.accessAfterRefund);
      const access = known === 'unconfirmed' ? await parts.revalidate(delivery, offer) : known;
      if (access !== 'open') return send.notice(reply, access);
      const cookies = cookiesOf(request);
      const visitor = visitorOf(headerTraits(request.method, request.headers));
      const nowMs = Date.now();
      const page = pageOf(delivery, offer, { visitor, cookies, nowMs });
      if (visitor === 'person') opened.set(request, { delivery, page, cookies });
      return send.delivery(reply, page);
    });
  });
}

const tokenPattern = /^[\w-]{22,64}$/;

async function lookUp(parts: RouteParts, token: string): Promise<Delivery | undefined> {
  return tokenPattern.test(token) ? parts.findDelivery(token) : undefined;
}

function cookiesOf({ cookies }: FastifyRequest): MetaCookies {
  return metaCookies({ fbp: cookies['_fbp'], fbc: cookies['_fbc'] });
}

function viewOf(request: FastifyRequest, { delivery, page, cookies }: Opened) {
  const { deliveryId, paymentId, botId, trackingToken } = delivery;
  return {
    deliveryId,
    paymentId,
    botId,
    poolId: page.poolId,
    trackingToken,
    viewedAt: new Date().toISOString(),
    clientIp: publicIp(request.ip),
    userAgent: request.headers['user-agent']?.slice(0, 1024) ?? null,
    ...cookies,
    pixelId: page.pixelId,
    isPixelRendered: page.pixel !== null,
  };
}

/** Renders: the delivery itself, and each of the notices. */
function createPages({ publicOrigin, pixelScriptUrl, pages }: RouteParts) {
  const purchaseScript = readScript('purchase-pixel.js');
  const shownLaterScript = readScript('shown-later.js');
  const wayBackScript = readScript('way-back.js');
  const isSecure = publicOrigin.startsWith('https:');

  function setCookies(reply: FastifyReply, { fbp, fbc }: MetaCookies): void {
    const options = { path: '/', maxAge: 90 * 86_400, sameSite: 'lax', secure: isSecure } as const;
    if (fbp) reply.setCookie('_fbp', fbp, { ...options, encode: String });
    if (fbc) reply.setCookie('_fbc', fbc, { ...options, encode: String });
  }
  function scriptOf({ pixel, isAhead }: Page): { script?: string; scriptData?: string } {
    if (isAhead) return { script: shownLaterScript };
    if (pixel === null) return {};
    const data = {
      pixel,
      pixelScriptUrl,
      beaconUrl: '/api/tracking/cookies',
      addressWithoutToken: '/delivery/',
    };
    return { script: purchaseScript, scriptData: jsonForScript(data) };
  }
  return {
    delivery(reply: FastifyReply, page: Page): Promise<string> {
      pages.inc({ result: 'open' });
      setCookies(reply, page.newCookies);
      return reply.viewAsync('delivery', {
        ...page,
        title: 'Seu pedido',
        nonce: reply.cspNonce,
        ...scriptOf(page),
      });
    },
    notice(reply: FastifyReply, name: keyof typeof notices): Promise<string> {
      pages.inc({ result: name });
      const script = name === 'withoutToken' ? { script: wayBackScript } : {};
      reply.code(notices[name].status);
      return reply.viewAsync('notice', { ...notices[name], nonce: reply.cspNonce, ...script });
    },
  };
}
