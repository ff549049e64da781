import type { FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';
import { isSameSecret } from './secrets.ts';

/** An `onRequest` hook that lets through who sends `Authorization: Bearer <RASTRO_API_KEY>`. */
export function requireApiKey(apiKey: string): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const [scheme = '', key = ''] = (request.headers.authorization ?? '').split(' ');
    if (scheme.toLowerCase() === 'bearer' && isSameSecret(key, apiKey)) return;
    throw new Problem(401, 'Unauthorized', 'Send RASTRO_API_KEY as "Authorization: Bearer <key>".');
  };
}
