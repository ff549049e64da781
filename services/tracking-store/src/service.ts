import { join } from 'node:path';
import { checkSchema } from '@rastro/event-store';
import { trackingGet } from '@rastro/events';
import {
  checkNats,
  connectNats,
  type Nats,
  serveRequests,
  type StreamName,
  subscribeBatch,
  type Subscription,
} from '@rastro/messaging';
import {
  addHealthRoutes,
  checkPostgres,
  connectPostgres,
  connectRedis,
  createHttpServer,
  createMetrics,
  listen,
  type Logger,
  type RunningService,
} from '@rastro/runtime';
import { createAnswerCache } from './adapters/answer-cache.ts';
import { createStoreMetrics } from './adapters/metrics.ts';
import { truncatingLateEvents } from './adapters/late-events.ts';
import { createPartitions, startPartitionUpkeep } from './adapters/partitions.ts';
import { createClickReader, createTrackingReader } from './adapters/tracking-reader.ts';
import { createStoreBatch } from './adapters/tracking-store.ts';
import { createWriteThrough } from './adapters/write-through.ts';
import type { Config } from './config.ts';
import { type BatchHandler, createBatchHandler, createTrackingGetHandler } from './handlers.ts';
import { startRetention } from './retention/daily.ts';
import { runRetention } from './retention/retention.ts';
import { addRoutes } from './routes.ts';

const service = 'tracking-store';
const schema = 'tracking';
const folders = [{ name: 'service', path: join(import.meta.dirname, '../migrations') }];
const tables = [
  'event_log',
  'sessions',
  'meta_tracking_sessions',
  'click_counts',
  'retention_progress',
  'retention_backlog',
];

/** Stores every event of the house and answers what happened to a click. */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();

  const sql = connectPostgres({ url: config.postgresUrl, schema, service });
  // Nothing is under way any more when this runs, and connections lost in an outage never end.
  stack.defer(() => sql.end({ timeout: 1 }));
  await checkSchema(sql, schema, tables, folders);
  const partitions = createPartitions(sql);
  await partitions.ensureAhead();
  stack.use(startPartitionUpkeep(partitions, log));
  const redis = connectRedis({ url: config.redisUrl, service, log });
  stack.defer(() => redis.disconnect());
  const cache = createAnswerCache(redis, log);
  const topology = { replicas: config.natsReplicas };
  const nats = stack.use(await connectNats({ url: config.natsUrl, name: service, log, topology }));

  const metrics = createMetrics(service);
  const stopping = new AbortController();
  const writeThrough = stack.use(createWriteThrough(cache));
  const { ipDays } = config.retention;
  const handle = createBatchHandler({
    store: truncatingLateEvents(createStoreBatch(sql, partitions), { ipDays, now: Date.now }),
    onStored: (stored) => writeThrough.stored(stored),
    metrics: createStoreMetrics(metrics),
    log,
    stopping: stopping.signal,
  });
  for (const stream of ['TRAFFIC', 'COMMERCE'] as const) {
    stack.use(await project(nats, stream, handle));
  }
  const find = createTrackingReader(sql, cache);
  stack.use(
    await serveRequests(nats, {
      definition: trackingGet,
      service,
      handle: createTrackingGetHandler(find),
    }),
  );

  const { trustedProxies } = config;
  const app = createHttpServer({ log, trustedProxies });
  stack.defer(() => app.close());
  addHealthRoutes(app, {
    // Redis is left out: without it answers are slower, and nothing else.
    checks: { postgres: () => checkPostgres(sql), nats: () => checkNats(nats) },
    metrics,
  });
  const findByClick = createClickReader(sql, cache, find);
  addRoutes(app, { apiKey: config.apiKey, find, findByClick });
  const retention = { url: config.postgresUrl, schema, rules: config.retention };
  const onChange = (tokens: readonly string[]): void => cache.drop(tokens);
  stack.use(
    startRetention(
      (signal) => runRetention({ ...retention, now: new Date(), onChange, signal }),
      log,
    ),
  );
  const url = await listen(app, config);

  // Runs first: a batch that waits for Postgres goes back to its stream.
  stack.defer(() => stopping.abort());
  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function project(nats: Nats, stream: StreamName, handle: BatchHandler): Promise<Subscription> {
  return subscribeBatch(nats, {
    service,
    purpose: `log-${stream.toLowerCase()}`,
    stream,
    filterSubjects: ['events.>'],
    maxBatch: 500,
    lingerMs: 20,
    handle,
  });
}
