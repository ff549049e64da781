import { join } from 'node:path';
import { eventFilter, type RastroEvent } from '@rastro/events';
import { checkSchema, eventStoreMigrations, startOutboxRelay } from '@rastro/event-store';
import {
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
  createHttpServer,
  createMetrics,
  listen,
  type Logger,
  newId,
  type RunningService,
  type Sql,
  startHourly,
} from '@rastro/runtime';
import { createClaims } from './adapters/claims.ts';
import type { ComposeOptions } from './adapters/compose.ts';
import { createQualityApi } from './adapters/dataset-quality.ts';
import { createGraph } from './adapters/graph.ts';
import { sweep } from './adapters/housekeeping.ts';
import { addMetrics, type Metrics } from './adapters/metrics.ts';
import { createTokens } from './adapters/tokens.ts';
import type { Config } from './config.ts';
import { type Dispatcher, startDispatcher } from './dispatcher.ts';
import { commerceTypes, trafficTypes } from './core/consumed.ts';
import { createIntake } from './handlers.ts';
import { startQualityReader } from './quality.ts';
import { createSender } from './sender.ts';

const service = 'capi-dispatcher';
const schema = 'capi';
const folders = [
  eventStoreMigrations,
  { name: 'service', path: join(import.meta.dirname, '../migrations') },
];
const tables = [
  'conversions',
  'attempts',
  'journeys',
  'orders',
  'pixels',
  'dataset_quality',
  'quality_reads',
];

/** Tells Meta about clicks and purchases, each once, and the others what Meta said. */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();

  const sql = connectPostgres({ url: config.postgresUrl, schema, service, maxConnections: 10 });
  stack.defer(() => sql.end({ timeout: 5 }));
  await checkSchema(sql, schema, [...tables, 'events', 'outbox', 'inbox'], folders);
  const topology = { replicas: config.natsReplicas };
  const nats = stack.use(await connectNats({ url: config.natsUrl, name: service, log, topology }));
  const registry = createMetrics(service);
  const metrics = addMetrics(registry, sql);
  const publish = async (events: readonly RastroEvent[]): Promise<void> => {
    await publishEvents(nats, events);
    metrics.announced(events);
  };
  const onError = (error: unknown) => log.warn({ err: error }, 'publishing is interrupted');
  stack.use(await startOutboxRelay({ sql, schema, publish, onError }));

  const catalog = new Catalog();
  // Complete before anything is planned or sent: without it every pixel seems to have no token.
  let onChange = (): void => {};
  stack.use(await followCatalog(nats, { catalog, onChange: () => onChange() }));
  const pools = (workspaceId: string) => catalog.itemsOf('pool', workspaceId);

  const dispatcher = startSending(stack, { config, log, sql, catalog, pools, metrics });
  onChange = () => dispatcher.wake();
  const { pace } = config;
  const intake = createIntake({ sql, log, pools, pace, onScheduled: () => dispatcher.wake() });
  for (const subscription of await consumeEvents(nats, intake)) stack.use(subscription);
  stack.use(startForgetting(sql, config, log));

  const app = createHttpServer({ log, trustedProxies: config.trustedProxies });
  stack.defer(() => app.close());
  addHealthRoutes(app, {
    checks: { postgres: () => checkPostgres(sql), nats: () => checkNats(nats) },
    metrics: registry,
  });
  const url = await listen(app, config);

  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function startSending(
  stack: AsyncDisposableStack,
  given: {
    readonly config: Config;
    readonly log: Logger;
    readonly sql: Sql;
    readonly catalog: Catalog;
    readonly pools: ComposeOptions['pools'];
    readonly metrics: Metrics;
  },
): Dispatcher {
  const { config, log, sql, catalog, pools, metrics } = given;
  const { pace, graphUrl, graphVersion, masterKey, publicOrigin } = config;
  const { callTimeoutMs } = pace;
  const dispatcherId = newId();
  const graph = createGraph({ url: graphUrl, version: graphVersion, timeoutMs: callTimeoutMs });
  stack.use(graph);
  const tokens = createTokens({ catalog, masterKey, log });
  const deliveryUrl = `${publicOrigin}/delivery/`;
  const onComposed: ComposeOptions['onComposed'] = (row, complaints) =>
    metrics.composed(row, complaints);
  const claims = createClaims({ sql, log, dispatcherId, pace, pools, deliveryUrl, onComposed });
  const api = stack.use(
    createQualityApi({ url: graphUrl, version: graphVersion, timeoutMs: callTimeoutMs }),
  );
  stack.use(startQualityReader({ sql, log, catalog, tokens, api, pace: pace.quality }));
  const stopping = new AbortController();
  const answered = new Set<string>();
  const sending = { sql, answered, tokens, log, pace };
  const { signal } = stopping;
  const sender = createSender({ ...sending, claims, graph, metrics, signal });
  return stack.use(startDispatcher({ ...sending, sender, stopping }));
}

function startForgetting(sql: Sql, { ipDays }: Config, log: Logger): AsyncDisposable {
  return startHourly({
    work: (signal) => sweep(sql, { nowMs: Date.now(), ipDays, signal }),
    onError: (error) => log.error({ err: error }, 'nothing was swept'),
  });
}

async function consumeEvents(
  nats: Nats,
  { record, recordBatch }: ReturnType<typeof createIntake>,
): Promise<AsyncDisposable[]> {
  return [
    // Many and small: one transaction for all that arrive within a moment.
    await subscribeBatch(nats, {
      service,
      purpose: 'traffic',
      stream: 'TRAFFIC',
      filterSubjects: trafficTypes.map(eventFilter),
      maxBatch: 200,
      lingerMs: 20,
      handle: (events) => recordBatch('traffic', events),
    }),
    // Few and urgent.
    await subscribe(nats, {
      service,
      purpose: 'commerce',
      stream: 'COMMERCE',
      types: commerceTypes,
      concurrency: 8,
      handle: async (event) => {
        await record('commerce', [event]);
        return 'ack';
      },
    }),
  ];
}
