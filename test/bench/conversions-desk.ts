/** capi-dispatcher and Meta's stand-in as processes of their own, with a pool that has a pixel. */
import type { CatalogItem } from '@rastro/events';
import { startServiceProcess } from '@rastro/infra/service-process';
import { services } from '@rastro/infra/services';
import { connectNats, type Nats } from '@rastro/messaging';
import type { Sql } from '@rastro/runtime';
import { freePort } from '@rastro/servers';
import {
  migratedDatabase,
  putCatalog,
  type SampleEntry,
  sampleCatalog,
  sampleSecrets,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox-process.ts';
import { pixelId } from './clicks-and-payments.ts';

const publicOrigin = 'http://127.0.0.1:9';

export interface ConversionsDesk extends AsyncDisposable {
  readonly nats: Nats;
  /** Reads schema `capi`. */
  readonly sql: Sql;
  readonly meta: SandboxProcess;
  readonly pids: Readonly<Record<'dispatcher' | 'meta' | 'nats' | 'postgres', number>>;
}

/** The pool sends a Purchase as soon as it is paid. */
export async function startConversionsDesk(): Promise<ConversionsDesk> {
  await using stack = new AsyncDisposableStack();
  const log = testLog();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const folders = services.find(({ name }) => name === 'capi-dispatcher')?.database?.folders ?? [];
  const database = stack.use(await migratedDatabase(servers, { schema: 'capi', folders }));
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'bench', log }));
  const { accessToken } = sampleSecrets;
  const world = { bots: [], pixels: [{ id: pixelId, accessToken }], pixAccounts: [] };
  const meta = stack.use(await startSandboxProcess({ world }));
  await putCatalog(nats, 'demo', sampleCatalog().map(paidAtOnce));
  const port = await freePort();
  const environment = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'error',
    PORT: String(port),
    NATS_URL: servers.nats.url,
    POSTGRES_URL: database.url,
    PUBLIC_ORIGIN: publicOrigin,
    RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
    META_GRAPH_URL: `${meta.url}/graph`,
  };
  const options = { name: 'capi-dispatcher', port, environment, log };
  const service = stack.use(startServiceProcess(options));
  await service.ready();
  const owned = stack.move();
  return {
    nats,
    sql: database.sql,
    meta,
    pids: {
      dispatcher: service.pid,
      meta: meta.pid,
      nats: servers.nats.pid,
      postgres: servers.postgres.pid,
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function paidAtOnce(entry: SampleEntry): SampleEntry {
  if (entry.kind !== 'pool') return entry;
  const pool = entry.data as CatalogItem<'pool'>;
  return { ...entry, data: { ...pool, meta: { ...pool.meta, purchaseTrigger: 'paid' } } };
}
