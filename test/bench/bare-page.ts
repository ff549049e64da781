/**
 * The yardstick: bare Fastify that renders the bridge page from the same templates, and does
 * nothing else. A process of its own; says its address on stdout.
 */
import fastifyView from '@fastify/view';
import { repository } from '@rastro/infra/services';
import { Eta } from 'eta';
import fastify from 'fastify';
import { join } from 'node:path';

const page = JSON.parse(process.env['RASTRO_BENCH_PAGE'] ?? '') as object;
const app = fastify();
await app.register(fastifyView, {
  engine: { eta: new Eta() },
  root: join(repository, 'services/redirect-gateway/src/views'),
  viewExt: 'eta',
  production: true,
});
app.get('/go/:slug', async (_request, reply) => reply.viewAsync('bridge', page));
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
