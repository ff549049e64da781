/** The browser's side: the script, and the address it reports to. */
import { readFileSync } from 'node:fs';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerWith } from '../faults/answer.ts';
import type { Faults } from '../faults/rules.ts';
import type { GraphStore } from '../graph/store.ts';
import type { WorldHolder } from '../world.ts';
import { readReport } from './report.ts';

const onePixelGif = Buffer.from(
  'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7',
  'base64',
);
const openToAll = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
};

export function registerPixelRoutes(
  app: FastifyInstance,
  world: WorldHolder,
  store: GraphStore,
  faults: Faults,
): void {
  const script = readFileSync(new URL('../assets/fbevents.js', import.meta.url));
  const failed = () => ({ error: 'a fault is switched on' });

  app.get('/fbevents.js', async (request, reply) => {
    const fault = faults.strike('pixel', { method: 'GET', path: request.url });
    await answerWith(reply, fault, failed, () => ({
      status: 200,
      body: script,
      headers: {
        ...openToAll,
        'content-type': 'application/x-javascript; charset=utf-8',
        'cache-control': 'public, max-age=1200',
      },
    }));
    return reply;
  });

  // Kept as text: the list `ud[external_id]=a&ud[external_id]=b` must arrive as it was sent.
  app.removeContentTypeParser('application/x-www-form-urlencoded');
  app.addContentTypeParser(
    ['application/x-www-form-urlencoded', 'text/plain'],
    { parseAs: 'string' },
    (_request, body, done) => done(null, body),
  );
  app.route({
    method: ['GET', 'POST'],
    url: '/tr',
    handler: async (request, reply) => {
      const fields = fieldsOf(request);
      const call = { method: request.method, path: request.url, pixelId: fields.get('id') ?? '' };
      const fault = faults.strike('pixel', call);
      await answerWith(reply, fault, failed, () => {
        const userAgent = request.headers['user-agent'] ?? '';
        const reporter = { ip: request.ip, userAgent, nowMs: Date.now() };
        const copy = readReport(fields, reporter, world.current.pixels);
        if (copy !== null) store.addCopies([copy]);
        const headers = { ...openToAll, 'content-type': 'image/gif', 'cache-control': 'no-store' };
        return { status: copy === null ? 400 : 200, body: onePixelGif, headers };
      });
      return reply;
    },
  });
}

function fieldsOf(request: FastifyRequest): URLSearchParams {
  const fields = new URL(request.url, 'http://any').searchParams;
  if (typeof request.body === 'string') {
    for (const [key, value] of new URLSearchParams(request.body)) fields.append(key, value);
  }
  return fields;
}
