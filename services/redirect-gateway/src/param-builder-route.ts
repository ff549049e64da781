/** HTTP edge of the parameter builder: a file that never changes under its name. */
import type { HttpServer } from '@rastro/runtime';
import { encodings, type ParamBuilder } from './adapters/param-builder.ts';

/** @param scope with @fastify/accepts. */
export function addParamBuilderRoute(scope: HttpServer, { path, bodies }: ParamBuilder): void {
  scope.get(path, async (request, reply) => {
    // Browsers name gzip first, and mean nothing by it.
    const encoding = encodings.find((name) => request.encodings([name])) ?? 'identity';
    if (encoding !== 'identity') reply.header('content-encoding', encoding);
    return reply
      .headers({
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'public, max-age=31536000, immutable',
        'cross-origin-resource-policy': 'same-origin',
        'x-content-type-options': 'nosniff',
        vary: 'accept-encoding',
      })
      .send(bodies[encoding]);
  });
}
