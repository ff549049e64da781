/** The pages that a person sees: home, chat, bank, Events Manager, faults. */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import cookie from '@fastify/cookie';
import fastifyStatic from '@fastify/static';
import view from '@fastify/view';
import { Eta } from 'eta';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createAdUrl } from '../ads.ts';
import type { Parts } from '../parts.ts';

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  // Files that bots send by address.
  'media-src http: https:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const customerCookie = 'sandbox_customer';
const firstNames = ['Ana', 'Bruno', 'Camila', 'Diego', 'Elisa', 'Felipe', 'Gabriela', 'Hugo'];
const yearSeconds = 365 * 86_400;

export async function registerPages(app: FastifyInstance, parts: Parts): Promise<void> {
  const source = join(import.meta.dirname, '..');
  await app.register(cookie);
  await app.register(fastifyStatic, {
    root: join(source, 'assets'),
    prefix: '/assets/',
    cacheControl: false,
    setHeaders: (reply) => void reply.header('cache-control', 'no-cache'),
  });
  const views = join(source, 'views');
  await app.register(view, { engine: { eta: new Eta({ views }) }, root: views, viewExt: 'eta' });
  app.addHook('onSend', async (_request, reply, payload) => {
    if (String(reply.getHeader('content-type')).startsWith('text/html')) {
      reply.header('content-security-policy', contentSecurityPolicy);
      reply.header('x-content-type-options', 'nosniff');
      reply.header('referrer-policy', 'same-origin');
      reply.header('cache-control', 'no-store');
    }
    return payload;
  });
  registerStaticPages(app, parts);
  registerChatPages(app, parts);
}

function registerStaticPages(app: FastifyInstance, parts: Parts): void {
  const { world, publicOrigin } = parts;
  const ads = () =>
    (world.current.pools ?? []).map(({ slug, name }) => ({
      slug,
      name: name ?? slug,
      url: createAdUrl(publicOrigin, slug),
    }));
  const bots = () =>
    world.current.bots.map(({ username, name }) => ({ username, name: name ?? username }));
  const pixels = () => world.current.pixels.map(({ id, name }) => ({ id, name: name ?? id }));

  app.get('/', (_request, reply) => reply.view('home', { ads: ads(), bots: bots(), publicOrigin }));
  app.get('/bank', (_request, reply) => reply.view('bank'));
  app.get('/events-manager', (_request, reply) =>
    reply.view('events-manager', { pixels: pixels() }),
  );
  app.get('/faults', (_request, reply) => reply.view('faults'));
  app.get('/control/ads', ads);
}

interface ChatPage {
  Params: { username: string };
  Querystring: { start?: string };
}

function registerChatPages(app: FastifyInstance, parts: Parts): void {
  const show = (request: FastifyRequest<ChatPage>, reply: FastifyReply) => {
    const username = request.params.username.toLowerCase();
    const bot = parts.world.current.bots.find((one) => one.username.toLowerCase() === username);
    if (bot === undefined) return reply.code(404).view('not-found', { username });
    const start = request.query.start ?? '';
    // As in Telegram's own clients, a payload that no link may carry is left out.
    const payload = /^[\w-]{1,64}$/.test(start) ? start : '';
    return reply.view('chat', {
      bot: { username: bot.username, name: bot.name ?? bot.username },
      payload,
      isDeepLink: request.url.startsWith('/t.me/'),
      customer: readCustomer(request) ?? writeCustomer(reply),
    });
  };
  app.get<ChatPage>('/t.me/:username', show);
  app.get<ChatPage>('/telegram/chat/:username', show);
  app.post('/telegram/customer', (_request, reply) => reply.send(writeCustomer(reply)));
}

interface Customer {
  id: number;
  name: string;
  language: string;
}

function readCustomer(request: FastifyRequest): Customer | null {
  const found = /^(\d{5,12})\.(\p{L}{1,20})\.([a-z-]{2,8})$/u.exec(
    request.cookies[customerCookie] ?? '',
  );
  if (found === null) return null;
  const [, id = '', name = '', language = ''] = found;
  return { id: Number(id), name, language };
}

/** A new person at the phone: another Telegram account, on every bot. */
function writeCustomer(reply: FastifyReply): Customer {
  const name = firstNames[randomInt(firstNames.length)] ?? 'Ana';
  const customer = { id: randomInt(1_000_000_000, 7_000_000_000), name, language: 'pt-br' };
  reply.setCookie(customerCookie, `${customer.id}.${name}.${customer.language}`, {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    maxAge: yearSeconds,
  });
  return customer;
}
