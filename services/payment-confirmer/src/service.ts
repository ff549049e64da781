import { join } from 'node:path';
import { checkSchema, eventStoreMigrations, startOutboxRelay } from '@rastro/event-store';
import {
  paymentsCreate,
  paymentsReconcile,
  paymentsRevalidate,
  type RastroEvent,
} from '@rastro/events';
import {
  Catalog,
  checkNats,
  connectNats,
  ensureStreams,
  followCatalog,
  type Nats,
  publishEvents,
  serveRequests,
} from '@rastro/messaging';
import {
  addHealthRoutes,
  checkPostgres,
  connectPostgres,
  createHttpServer,
  listen,
  type Logger,
  type RunningService,
} from '@rastro/runtime';
import { askSoon, takeDueQuestions } from './adapters/charges.ts';
import { createCircuits } from './adapters/circuits.ts';
import { createGatewayAgent } from './adapters/gateway-http.ts';
import { createGateways } from './adapters/gateways.ts';
import { startHousekeeping } from './adapters/housekeeping.ts';
import { createPaymentMetrics } from './adapters/metrics.ts';
import { settleWebhook, storeWebhook, takeWebhooks } from './adapters/webhook-inbox.ts';
import { startWorker, type Worker } from './adapters/worker.ts';
import type { Config } from './config.ts';
import {
  createPayment,
  type CreateOptions,
  askDue,
  type RevalidateOptions,
  revalidatePayment,
} from './handlers.ts';
import { processWebhook, type WebhookOptions } from './heeding.ts';
import { createObserve } from './observing.ts';
import { createOpenCharges } from './opening.ts';
import { type ReconcilingOptions, reconcilePayment } from './reconciling.ts';
import { addRoutes } from './routes.ts';
import { createAskAboutStray } from './straying.ts';

const service = 'payment-confirmer';
const schema = 'payments';
const folders = [
  eventStoreMigrations,
  { name: 'service', path: join(import.meta.dirname, '../migrations') },
];
const maxConnections = 10;
const pollMs = 1_000;

/** Opens PIX charges, and believes in a payment only once the gateway itself has said so. */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();
  const { schedule, failover, publicOrigin, pixExpirySeconds } = config;

  const sql = connectPostgres({ url: config.postgresUrl, schema, service, maxConnections });
  stack.defer(() => sql.end({ timeout: 5 }));
  await checkSchema(
    sql,
    schema,
    ['events', 'outbox', 'charges', 'charge_attempts', 'webhooks'],
    folders,
  );
  const nats = stack.use(
    await connectNats({
      url: config.natsUrl,
      name: service,
      log,
      topology: { replicas: config.natsReplicas },
    }),
  );
  await ensureStreams(nats);
  const catalog = new Catalog();
  stack.use(await followCatalog(nats, { catalog }));

  const metrics = createPaymentMetrics(service);
  const dispatcher = createGatewayAgent();
  stack.defer(() => dispatcher.destroy());
  const { masterKey, apiUrls } = config;
  const accounts = { catalog, masterKey, dispatcher, apiUrls, publicOrigin, metrics };
  const chooseGateway = createGateways(accounts);
  const onError = (error: unknown) => log.error({ err: error }, 'background work failed');

  const publish = (events: readonly RastroEvent[]): Promise<void> => publishEvents(nats, events);
  stack.use(await startOutboxRelay({ sql, schema, publish, onError }));
  const edges = { sql, chooseGateway, schedule, metrics, log };
  const observe = createObserve(edges);
  const askAboutStray = createAskAboutStray(edges);
  const circuits = createCircuits(failover, log);
  const openCharge = createOpenCharges({ ...edges, circuits, failover, publicOrigin });
  const webhooks = stack.use(
    startWebhookWorker({ ...edges, observe, askAboutStray, openCharge, onError }),
  );
  stack.use(startReconciler({ ...edges, observe, onError }));
  const creating = { sql, catalog, openCharge, pixExpirySeconds };
  stack.use(await answerRequests(nats, { ...edges, ...creating, observe, askAboutStray }));
  stack.use(startHousekeeping({ sql, webhookDays: config.webhookDays, onError }));

  const app = createHttpServer({ log, trustedProxies: config.trustedProxies });
  stack.defer(() => app.close());
  addHealthRoutes(app, {
    checks: { postgres: () => checkPostgres(sql), nats: () => checkNats(nats) },
    metrics: metrics.registry,
  });
  await addRoutes(app, {
    chooseGateway,
    store: (webhook) => storeWebhook(sql, webhook),
    wake: () => webhooks.wake(),
    askSoon: (charge) => askSoon(sql, charge),
    metrics,
    log,
  });
  const url = await listen(app, config);

  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What others may ask of us over NATS. */
async function answerRequests(
  nats: Nats,
  options: CreateOptions & RevalidateOptions & ReconcilingOptions,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const create = { definition: paymentsCreate, handle: createPayment(options) };
  const revalidate = { definition: paymentsRevalidate, handle: revalidatePayment(options) };
  const reconcile = { definition: paymentsReconcile, handle: reconcilePayment(options) };
  stack.use(await serveRequests(nats, { ...create, service }));
  stack.use(await serveRequests(nats, { ...revalidate, service }));
  stack.use(await serveRequests(nats, { ...reconcile, service }));
  return stack.move();
}

type OnError = { readonly onError: (error: unknown) => void };

function startWebhookWorker(options: WebhookOptions & OnError): Worker {
  const { sql, metrics, onError } = options;
  const process = processWebhook(options);
  return startWorker({
    take: (limit, busyAccounts) => takeWebhooks(sql, limit, busyAccounts),
    run: async (webhook) => {
      const outcome = await process(webhook);
      await settleWebhook(sql, webhook.id, outcome);
      const label = typeof outcome === 'string' ? outcome : 'retried';
      metrics.webhooksProcessed.inc({ kind: webhook.kind, outcome: label });
    },
    onError,
    accountOf: ({ accountId }) => accountId,
    concurrency: 16,
    concurrencyPerAccount: 8,
    pollMs,
  });
}

function startReconciler(options: RevalidateOptions & { log: Logger } & OnError): Worker {
  const { sql, schedule, onError } = options;
  const { minIntervalMs } = schedule;
  return startWorker({
    take: (limit, busyAccounts) => takeDueQuestions(sql, { limit, busyAccounts, minIntervalMs }),
    run: askDue(options),
    accountOf: ({ charge }) => charge.accountId,
    onError,
    concurrency: 8,
    concurrencyPerAccount: 4,
    pollMs,
  });
}
