/** HTTP edge: the ad's link, and the beacon that the pages send. */
import fastifyAccepts from '@fastify/accepts';
import fastifyCookie from '@fastify/cookie';
import fastifyView from '@fastify/view';
import { type HttpServer, isSameSecret, type Logger } from '@rastro/runtime';
import { Eta } from 'eta';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ParamBuilder } from './adapters/param-builder.ts';
import type { Pools } from './adapters/pools.ts';
import { addBeaconRoute, type BeaconParts } from './beacon-route.ts';
import type { ClickDesk } from './click-desk.ts';
import type { WaitOf } from './client-limit.ts';
import { botLinks } from './core/bridge.ts';
import { refusalReason } from './core/gate.ts';
import type { NoticeName } from './core/words.ts';
import { createPages, type PageParts, viewsFolder } from './pages.ts';
import { addParamBuilderRoute } from './param-builder-route.ts';
import { visitOf } from './visit.ts';

export interface RouteParts extends PageParts {
  readonly log: Logger;
  readonly telegramLinkUrl: string;
  readonly pools: Pick<Pools, 'find' | 'isComplete'>;
  readonly desk: Pick<ClickDesk, 'take' | 'refuse'>;
  readonly beacon: BeaconParts;
  readonly waitOf: WaitOf;
  readonly paramBuilder: ParamBuilder;
  readonly count: {
    readonly click: (trafficClass: string) => void;
    readonly page: (result: string) => void;
  };
}

type AdRequest = FastifyRequest<{ Params: { slug: string } }>;

// Cookies are read and set as they are: percent signs in them belong to the value.
const asItIs = { decode: String, encode: String };

export async function addRoutes(app: HttpServer, parts: RouteParts): Promise<void> {
  await app.register(async (scope) => addBeaconRoute(scope as HttpServer, parts.beacon));
  await app.register(async (pages) => {
    await pages.register(fastifyCookie, { parseOptions: asItIs });
    await pages.register(fastifyAccepts);
    await pages.register(fastifyView, {
      engine: { eta: new Eta() },
      root: viewsFolder,
      viewExt: 'eta',
      // Keeps compiled templates whatever NODE_ENV says.
      production: true,
    });
    const answer = createAnswers(parts);

    addParamBuilderRoute(pages as HttpServer, parts.paramBuilder);
    pages.setErrorHandler(answer.failure);
    pages.get('/go', async (request, reply) => answer.notice(request, reply, 'notFound'));
    pages.get('/go/*', async (request, reply) => answer.notice(request, reply, 'notFound'));
    pages.get('/go/:slug', async (request: AdRequest, reply) => answer.adLink(request, reply));
  });
}

function createAnswers(parts: RouteParts) {
  const { log, pools, desk, telegramLinkUrl, count, waitOf } = parts;
  const pages = createPages(parts);
  /** Where a visitor is sent if the page itself cannot be made. */
  const wayOut = new WeakMap<FastifyRequest, string>();

  function notice(request: FastifyRequest, reply: FastifyReply, name: NoticeName) {
    count.page(name);
    return pages.notice(request, reply, name);
  }
  function withoutBot(request: FastifyRequest, reply: FastifyReply, fallbackUrl: string | null) {
    if (fallbackUrl === null) return notice(request, reply, 'unavailable');
    count.page('fallback');
    return pages.redirect(reply, fallbackUrl);
  }
  async function adLink(request: AdRequest, reply: FastifyReply) {
    const { ip } = request;
    const waitSeconds = waitOf(request, ip);
    if (waitSeconds > 0) {
      reply.header('retry-after', String(waitSeconds));
      return notice(request, reply, 'limited');
    }
    const pool = pools.find(request.params.slug);
    if (!pool) return notice(request, reply, pools.isComplete ? 'notFound' : 'unavailable');
    const visit = visitOf(request, ip);
    const refusal = refusalReason(pool.item.gate, visit.query, isSameSecret);
    if (refusal) {
      await desk.refuse(pool, refusal);
      return notice(request, reply, 'refused');
    }
    const click = desk.take(visit, pool);
    if (!click) return withoutBot(request, reply, pool.item.fallbackUrl);
    const links = botLinks(telegramLinkUrl, click.username, click.identity.trackingToken);
    wayOut.set(request, links.web);
    await click.recorded;
    count.click(click.event.data.trafficClass);
    pages.setCookies(reply, visit, pool, click);
    const html = await pages.bridge(request, reply, { visit, pool, click, links });
    count.page('bridge');
    return html;
  }
  async function failure(error: unknown, request: FastifyRequest, reply: FastifyReply) {
    log.error({ err: error, route: request.routeOptions.url }, 'a page could not be made');
    const url = wayOut.get(request);
    if (url === undefined) return notice(request, reply, 'unavailable');
    count.page('redirect');
    return pages.redirect(reply, url);
  }
  return { notice, adLink, failure };
}
