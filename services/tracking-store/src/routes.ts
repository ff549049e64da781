/** The HTTP edge: what is known of a token, for whoever holds the API key. */
import { TrackingToken } from '@rastro/events';
import { type HttpServer, Problem, requireApiKey } from '@rastro/runtime';
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

export function addRoutes(app: HttpServer, options: RouteOptions): void {
  const { apiKey, find, findByClick } = options;
  const onRequest = requireApiKey(apiKey);
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
