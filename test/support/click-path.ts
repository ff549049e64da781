/**
 * The way of a click and nothing else: gateway and tracking-store as processes of their own, with
 * private servers, all of them there to be killed.
 */
import { join } from 'node:path';
import { startServiceProcess, type ServiceChild } from '@rastro/infra/service-process';
import { services } from '@rastro/infra/services';
import { connectNats, type Nats } from '@rastro/messaging';
import type { Environment, Sql } from '@rastro/runtime';
import { freePort } from '@rastro/servers';
import {
  migratedDatabase,
  putCatalog,
  type SampleEntry,
  sampleCatalog,
  startTestServers,
  testLog,
  type TestServers,
} from '@rastro/testing';

export interface ClickPath extends AsyncDisposable {
  readonly servers: TestServers;
  readonly gateway: ServiceChild;
  readonly store: ServiceChild;
  /** The test's own connection; it comes back by itself. */
  readonly nats: Nats;
  /** Reads schema `tracking`. */
  readonly sql: Sql;
  readonly apiKey: string;
}

const apiKey = 'a-test-key-of-the-rest-api';

export interface ClickPathOptions {
  /** Instead of the sample's pool and bot. */
  readonly catalog?: readonly SampleEntry[];
  /** On top of what the services need. */
  readonly environment?: Environment;
}

export async function startClickPath(options: ClickPathOptions = {}): Promise<ClickPath> {
  const { catalog = sampleCatalog() } = options;
  await using stack = new AsyncDisposableStack();
  const log = testLog();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true, redis: true }));
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log }));
  await putCatalog(nats, 'demo', catalog);
  const wanted = services.find(({ name }) => name === 'tracking-store')?.database;
  if (!wanted) throw new Error('tracking-store has no database');
  const database = stack.use(await migratedDatabase(servers, wanted));

  const environment: Environment = {
    PATH: process.env['PATH'],
    // What a service says of an outage is what is to be expected here.
    LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'fatal',
    RASTRO_DATA_DIR: join(servers.folder, 'data'),
    RASTRO_API_KEY: apiKey,
    NATS_URL: servers.nats.url,
    POSTGRES_URL: database.url,
    REDIS_URL: servers.redis.url,
    ...options.environment,
  };
  async function start(name: string): Promise<ServiceChild> {
    const port = await freePort();
    const own = { ...environment, PORT: String(port) };
    return stack.use(startServiceProcess({ name, port, environment: own, log }));
  }
  const gateway = await start('redirect-gateway');
  const store = await start('tracking-store');
  await Promise.all([gateway.ready(), store.ready()]);

  const owned = stack.move();
  return {
    servers,
    gateway,
    store,
    nats,
    sql: database.sql,
    apiKey,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
