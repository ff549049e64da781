/** capi-dispatcher and Meta's stand-in as processes of their own, between servers to be killed. */
import type { CatalogItem, RastroEvent } from '@rastro/events';
import { startServiceProcess } from '@rastro/infra/service-process';
import { services } from '@rastro/infra/services';
import { connectNats, type Nats, publishEvents } from '@rastro/messaging';
import { sealSecret, type Sql } from '@rastro/runtime';
import type { EventGroup, FaultRule, GraphRequest } from '@rastro/sandbox';
import { freePort } from '@rastro/servers';
import {
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { StormPool, Victim } from './conversion-storm.ts';
import { type SandboxProcess, startSandboxProcess } from './sandbox-process.ts';

export interface ConversionStage extends AsyncDisposable {
  readonly pools: readonly StormPool[];
  readonly nats: Nats;
  /** Reads schema `capi`. */
  readonly sql: Sql;
  readonly graph: GraphControl;
  /** Resolves once JetStream has them, whatever happens to it meanwhile. */
  publish(events: readonly RastroEvent[]): Promise<void>;
  /** Meta refuses the pixel's token from now on and knows another one. */
  withdrawToken(pixelId: string): Promise<void>;
  /** The catalog brings the one that Meta knows. */
  renewToken(pixelId: string): Promise<void>;
  /** SIGKILL; resolves once it runs again. */
  kill(victim: Victim, awayMs: number): Promise<void>;
}

interface GraphControl {
  setFaults(seed: number, rules: readonly FaultRule[]): Promise<void>;
  addFault(rule: FaultRule): Promise<void>;
  removeFault(id: string): Promise<void>;
  /** Each as it ended. */
  requests(): Promise<GraphRequest[]>;
  groups(): Promise<EventGroup[]>;
}

interface PoolInfo extends StormPool {
  /** Counts the tokens that Meta gave out. */
  tokens: number;
  readonly trigger: 'paid' | 'delivery';
}

const emptyWorld = { bots: [], pixels: [], pixAccounts: [] };

const tokenOf = ({ id, tokens }: PoolInfo): string => `EAAtoken${tokens}of${id}`;

export async function startConversionStage(): Promise<ConversionStage> {
  await using stack = new AsyncDisposableStack();
  const log = testLog();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const database = services.find(({ name }) => name === 'capi-dispatcher')?.database;
  if (!database) throw new Error('capi-dispatcher has no database');
  const { url: postgresUrl, sql } = stack.use(await migratedDatabase(servers, database));
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log }));
  const sandbox = stack.use(await startSandboxProcess({ world: emptyWorld, isLogFull: true }));
  const pools: PoolInfo[] = [
    { id: 'at-once', pixelId: '7000000001', tokens: 1, trigger: 'paid' },
    { id: 'at-view', pixelId: '7000000002', tokens: 1, trigger: 'delivery' },
  ];
  const tellMeta = (): Promise<void> => {
    const pixels = pools.map((pool) => ({ id: pool.pixelId, accessToken: tokenOf(pool) }));
    return sandbox.control('PUT', '/world', { ...emptyWorld, pixels });
  };
  const poolWith = (pixelId: string): PoolInfo => {
    const found = pools.find((pool) => pool.pixelId === pixelId);
    if (!found) throw new Error(`no pool has pixel ${pixelId}`);
    return found;
  };
  await tellMeta();
  for (const pool of pools) await putPool(nats, pool);
  const dispatcher = stack.use(await startDispatcher({ nats, postgresUrl, servers, sandbox }));
  await dispatcher.ready();

  const owned = stack.move();
  return {
    pools,
    nats,
    sql,
    graph: graphControl(sandbox),
    publish: (events) => publishStubbornly(nats, events),
    async withdrawToken(pixelId) {
      poolWith(pixelId).tokens += 1;
      await tellMeta();
    },
    renewToken: (pixelId) => stubbornly(() => putPool(nats, poolWith(pixelId))),
    async kill(victim, awayMs) {
      if (victim === 'capi-dispatcher') {
        await dispatcher.kill();
        return dispatcher.ready();
      }
      await servers[victim].kill();
      await delay(awayMs);
      await servers[victim].start();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startDispatcher(around: {
  readonly nats: Nats;
  readonly postgresUrl: string;
  readonly servers: { readonly nats: { readonly url: string } };
  readonly sandbox: { readonly url: string };
}) {
  const { postgresUrl, servers, sandbox } = around;
  const port = await freePort();
  const environment = {
    PATH: process.env['PATH'],
    // What it says of outages is what is to be expected here.
    LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'silent',
    PORT: String(port),
    NATS_URL: servers.nats.url,
    POSTGRES_URL: postgresUrl,
    RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
    PUBLIC_ORIGIN: 'https://go.example.com',
    META_GRAPH_URL: `${sandbox.url}/graph`,
  };
  const file = join(import.meta.dirname, 'brisk-dispatcher.ts');
  return startServiceProcess({ name: 'capi-dispatcher', port, environment, log: testLog(), file });
}

async function putPool(nats: Nats, pool: PoolInfo): Promise<void> {
  const { id, pixelId, tokens, trigger } = pool;
  const sample = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as CatalogItem<'pool'>;
  const accessToken = sealSecret(testMasterKey, `pool/${id}/meta/accessToken`, tokenOf(pool));
  const own = { pixelId, accessToken, pageViewHoldMs: 600, purchaseTrigger: trigger };
  const meta = { ...sample.meta, ...own, purchaseGraceMinutes: 3 / 60 };
  const data = { ...sample, id, slug: id, meta };
  await putCatalog(nats, 'demo', [{ kind: 'pool', id, data, version: tokens }]);
}

/** A batch with an id that JetStream has already goes one by one; twice in one batch, it cannot. */
async function publishStubbornly(nats: Nats, events: readonly RastroEvent[]): Promise<void> {
  const known = new Set<string>();
  const news = events.filter(({ id }) => !known.has(id) && known.add(id));
  await stubbornly(() => publishEvents(nats, news));
}

const giveUpMs = 60_000;

async function stubbornly(work: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + giveUpMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(100);
    }
  }
}

function graphControl({ control }: SandboxProcess): GraphControl {
  return {
    setFaults: (seed, rules) => control('PUT', '/faults', { seed, rules }),
    addFault: (rule) => control('POST', '/faults', rule),
    removeFault: (id) => control('DELETE', `/faults/${id}`),
    requests: () => control<GraphRequest[]>('GET', '/graph/requests'),
    groups: () => control<EventGroup[]>('GET', '/graph/events'),
  };
}
