/** The HTTP edge: what is known of a token, for whoever holds the API key. */
import { TrackingToken } from '@rastro/events';
import { type HttpServer, isSameSecret, Problem } from '@rastro/runtime';
import Type from 'typebox';
import type { FindByClick, FindTracking } from './adapters/tracking-reader.ts';

export interface RouteOptions {
  readonly apiKey: string;
  readonly find: FindTracking;
  readonly findByClick: FindByClick;
}

const Params = Type.Object({ token: TrackingToken });

/** As long as the gateway takes it, without NUL, which Postgres has no text for. */
const Query = Type.Object({
  fbclid: Type.String({ minLength: 1, maxLength: 500, pattern: '^[^\\u0000]+$' }),
});

interface Asking {
  readonly headers: { readonly authorization?: string | undefined };
}

interface Answering {
  header(name: string, value: string): unknown;
}

export function addRoutes(app: HttpServer, options: RouteOptions): void {
  const { apiKey, find, findByClick } = options;
  // Before validation: a stranger learns nothing, not even what a token looks like.
  const onRequest = async (request: Asking, reply: Answering): Promise<void> => {
    if (isAuthorized(request.headers.authorization, apiKey)) return;
    reply.header('www-authenticate', 'Bearer');
    throw new Problem(401, 'Unauthorized', 'Send Authorization: Bearer <RASTRO_API_KEY>.');
  };
  app.get(
    '/api/tracking/:token',
    { schema: { params: Params }, onRequest },
    async (request, reply) => {
      const answer = await find({ trackingToken: request.params.token });
      if (!answer) throw new Problem(404, 'Not found', 'Nothing is known of this tracking token.');
      return reply.header('cache-control', 'no-store').send(answer);
    },
  );
  app.get(
    '/api/tracking',
    { schema: { querystring: Query }, onRequest },
    async (request, reply) => {
      const answer = await findByClick(request.query.fbclid);
      if (!answer) throw new Problem(404, 'Not found', 'No click came with this fbclid.');
      return reply.header('cache-control', 'no-store').send(answer);
    },
  );
}

function isAuthorized(header: string | undefined, apiKey: string): boolean {
  const [, given] = /^Bearer +(\S+) *$/i.exec(header ?? '') ?? [];
  return given !== undefined && isSameSecret(given, apiKey);
}
