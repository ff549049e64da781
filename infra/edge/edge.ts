/** One origin in front of the services: for a laptop and for tests, where Caddy would be too much. */
import httpProxy from '@fastify/http-proxy';
import { createHttpServer, listen, type Logger } from '@rastro/runtime';

export interface EdgeOptions {
  readonly host: string;
  readonly port: number;
  readonly log: Logger;
  /** Longer prefixes first where they overlap. */
  readonly routes: readonly { readonly path: string; readonly upstream: string }[];
  /** Where `/` leads: the sandbox's home, else nowhere. */
  readonly home?: string | undefined;
}

/** Only the public paths pass; health, metrics and everything else stay inside. */
export async function startEdge(options: EdgeOptions): Promise<AsyncDisposable & { url: string }> {
  const { host, port, log, routes, home } = options;
  const app = createHttpServer({ log, trustedProxies: [] });
  for (const { path, upstream } of routes) {
    await app.register(httpProxy, {
      prefix: path,
      rewritePrefix: path,
      upstream,
      disableCache: true,
      replyOptions: {
        rewriteRequestHeaders: (request, headers) => ({
          ...headers,
          host: request.headers.host ?? '',
          'x-forwarded-for': [headers['x-forwarded-for'], request.socket.remoteAddress]
            .filter(Boolean)
            .join(', '),
          'x-forwarded-host': request.headers.host ?? '',
        }),
      },
    });
  }
  app.get('/', async (_request, reply) =>
    home === undefined
      ? reply.type('text/plain').send('Rastro is running.\n')
      : reply.redirect(home),
  );
  const url = await listen(app, { host, port });
  return { url, [Symbol.asyncDispose]: () => app.close() };
}
