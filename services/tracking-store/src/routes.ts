/** The HTTP edge: what is known of a token, for whoever holds the API key. */
import { TrackingToken } from '@rastro/events';
import { type HttpServer, isSameSecret, Problem } from '@rastro/runtime';
import Type from 'typebox';
import type { FindTracking } from './adapters/tracking-reader.ts';

export interface RouteOptions {
  readonly apiKey: string;
  readonly find: FindTracking;
}

const Params = Type.Object({ token: TrackingToken });

export function addRoutes(app: HttpServer, { apiKey, find }: RouteOptions): void {
  app.get(
    '/api/tracking/:token',
    {
      schema: { params: Params },
      // Before validation: a stranger learns nothing, not even what a token looks like.
      onRequest: async (request, reply) => {
        if (isAuthorized(request.headers.authorization, apiKey)) return;
        reply.header('www-authenticate', 'Bearer');
        throw new Problem(401, 'Unauthorized', 'Send Authorization: Bearer <RASTRO_API_KEY>.');
      },
    },
    async (request, reply) => {
      const answer = await find({ trackingToken: request.params.token });
      if (!answer) throw new Problem(404, 'Not found', 'Nothing is known of this tracking token.');
      return reply.header('cache-control', 'no-store').send(answer);
    },
  );
}

function isAuthorized(header: string | undefined, apiKey: string): boolean {
  const [, given] = /^Bearer +(\S+) *$/i.exec(header ?? '') ?? [];
  return given !== undefined && isSameSecret(given, apiKey);
}
