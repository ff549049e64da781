import { join } from 'node:path';
import { checkSchema, eventStoreMigrations, startOutboxRelay } from '@rastro/event-store';
import { paymentsRevalidate } from '@rastro/events';
import {
  ask,
  Catalog,
  checkNats,
  connectNats,
  followCatalog,
  type Nats,
  publishEvents,
  subscribe,
  subscribeBatch,
} from '@rastro/messaging';
import {
  addHealthRoutes,
  checkPostgres,
  connectPostgres,
  Counter,
  createHttpServer,
  createMetrics,
  listen,
  type Logger,
  type Registry,
  type RunningService,
} from '@rastro/runtime';
import { findDelivery } from './adapters/deliveries.ts';
import { productOffer } from './adapters/shop.ts';
import { createViewRecorder } from './adapters/view-recorder.ts';
import type { Config } from './config.ts';
import { accessAfter } from './core/access.ts';
import type { Delivery } from './core/page.ts';
import { commerceTypes, handleCommerce, handleTraffic, trafficFilters } from './handlers.ts';
import { addRoutes } from './routes.ts';

const service = 'delivery-web';
const schema = 'delivery';
const folders = [
  eventStoreMigrations,
  { name: 'service', path: join(import.meta.dirname, '../migrations') },
];
const tables = ['orders', 'clicks', 'browser_cookies', 'leads', 'purchase_sends', 'deliveries'];

/** Issues a delivery for each paid order and serves its page. */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();

  const sql = connectPostgres({ url: config.postgresUrl, schema, service, maxConnections: 8 });
  stack.defer(() => sql.end({ timeout: 5 }));
  await checkSchema(sql, schema, [...tables, 'events', 'outbox', 'inbox'], folders);
  const topology = { replicas: config.natsReplicas };
  const nats = stack.use(await connectNats({ url: config.natsUrl, name: service, log, topology }));
  const catalog = new Catalog();
  stack.use(await followCatalog(nats, { catalog }));
  const metrics = createMetrics(service);
  const count = createCounters(metrics);
  stack.use(
    await startOutboxRelay({
      sql,
      schema,
      publish: (events) => publishEvents(nats, events),
      onError: (error) => log.warn({ err: error }, 'publishing was interrupted; trying again'),
    }),
  );
  stack.use(
    await subscribe(nats, {
      service,
      purpose: 'commerce',
      stream: 'COMMERCE',
      types: commerceTypes,
      handle: (event) =>
        handleCommerce({ sql, catalog, onIssued: () => count.issued.inc() }, event),
    }),
  );
  stack.use(
    await subscribeBatch(nats, {
      service,
      purpose: 'traffic',
      stream: 'TRAFFIC',
      filterSubjects: trafficFilters,
      maxBatch: 200,
      lingerMs: 20,
      handle: (events) => handleTraffic(sql, events),
    }),
  );
  const recorder = stack.use(createViewRecorder({ sql, log, views: count.views }));

  const app = createHttpServer({ log, trustedProxies: config.trustedProxies });
  stack.defer(() => app.close());
  addHealthRoutes(app, {
    checks: { postgres: () => checkPostgres(sql), nats: () => checkNats(nats) },
    metrics,
  });
  await addRoutes(app, {
    log,
    publicOrigin: config.publicOrigin,
    pixelScriptUrl: config.pixelScriptUrl,
    findDelivery: (token) => findDelivery(sql, token),
    offerFor: (delivery) => ({
      pools: catalog.itemsOf('pool', delivery.workspaceId),
      ...productOffer(catalog, delivery),
    }),
    revalidate: async (delivery, { accessAfterRefund }) => {
      const status = await statusAtGateway(nats, delivery);
      return status === null ? 'unconfirmed' : accessAfter(status, accessAfterRefund);
    },
    recordView: (view, workspaceId) => recorder.record(view, workspaceId),
    pages: count.pages,
  });
  const url = await listen(app, config);

  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A visitor waits for it, so it is bounded; the page asks again by itself. */
const revalidateWithinMs = 3_000;

/** Null when nobody can say; at most once a minute it is the gateway that is asked. */
async function statusAtGateway(nats: Nats, delivery: Delivery) {
  const { workspaceId, paymentId } = delivery;
  const request = { workspaceId, paymentId };
  const answer = await ask(nats.connection, paymentsRevalidate, request, revalidateWithinMs);
  return answer.ok ? answer.value.status : null;
}

function createCounters(registry: Registry) {
  const registers = [registry];
  return {
    issued: new Counter({
      name: 'rastro_deliveries_issued_total',
      help: 'Paid orders that got their delivery.',
      registers,
    }),
    pages: new Counter({
      name: 'rastro_delivery_pages_total',
      help: 'Pages sent, by what they showed.',
      labelNames: ['result'],
      registers,
    }),
    views: new Counter({
      name: 'rastro_delivery_views_total',
      help: 'Openings by people: recorded, repeated within the hour, or failed to be recorded.',
      labelNames: ['result'],
      registers,
    }),
  };
}
