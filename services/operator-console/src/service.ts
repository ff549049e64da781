import { join } from 'node:path';
import { checkSchema } from '@rastro/event-store';
import { checkNats, connectNats, ensureStreams } from '@rastro/messaging';
import {
  addHealthRoutes,
  checkPostgres,
  connectPostgres,
  createHttpServer,
  createMetrics,
  listen,
  type Logger,
  type RunningService,
} from '@rastro/runtime';
import { startCatalogPublisher } from './adapters/catalog-publisher.ts';
import { createCatalogStore } from './adapters/catalog-store.ts';
import type { Config } from './config.ts';
import { addRoutes } from './routes.ts';

const service = 'operator-console';
const schema = 'catalog';
const folders = [{ name: 'service', path: join(import.meta.dirname, '../migrations') }];

/** Serves the catalog over REST and tells everybody, through stream CATALOG, how it stands. */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();

  const sql = connectPostgres({ url: config.postgresUrl, schema, service });
  stack.defer(() => sql.end({ timeout: 5 }));
  await checkSchema(sql, schema, ['entries'], folders);
  const nats = stack.use(
    await connectNats({
      url: config.natsUrl,
      name: service,
      log,
      topology: { replicas: config.natsReplicas },
    }),
  );
  await ensureStreams(nats);

  const store = createCatalogStore(sql);
  const publisher = stack.use(startCatalogPublisher({ nats, store, log }));

  const app = createHttpServer({
    log,
    trustedProxies: config.trustedProxies,
    bodyLimit: 4_194_304,
  });
  stack.defer(() => app.close());
  addHealthRoutes(app, {
    checks: { postgres: () => checkPostgres(sql), nats: () => checkNats(nats) },
    metrics: createMetrics(service),
  });
  await addRoutes(app, { apiKey: config.apiKey, store, onChange: () => publisher.wake() });
  const url = await listen(app, config);

  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
