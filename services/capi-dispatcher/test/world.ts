/** Everything around the dispatcher for tests: NATS, Postgres, Meta's stand-in, a catalog. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { eventStoreMigrations } from '@rastro/event-store';
import type { CatalogItem, RastroEvent } from '@rastro/events';
import { connectNats, ensureStreams, type Nats, publishEvent } from '@rastro/messaging';
import { createLogger, newId, type RunningService, sealSecret, type Sql } from '@rastro/runtime';
import {
  type EventGroup,
  type FaultRule,
  type GraphRequest,
  type Sandbox,
  startSandbox,
} from '@rastro/sandbox';
import {
  eventually,
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  sampleEvent,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import { type Config, readConfig } from '../src/config.ts';
import type { Pace } from '../src/core/pace.ts';
import { startService } from '../src/service.ts';

type Pool = CatalogItem<'pool'>;
type Meta = Pool['meta'];

const publicOrigin = 'https://go.example.com';

/**
 * Quick, so that every wait of the dispatcher fits into a test; but where a wait that ends too
 * early changes what is sent, it outlasts a machine that stands still for a second.
 */
const testPace: Partial<Pace> = {
  callTimeoutMs: 3_000,
  leaseMs: 6_000,
  retryBaseMs: 100,
  throttleBaseMs: 200,
  missingClickHoldMs: 5_000,
  browserFirstHoldMs: 100,
};

export interface TestPool {
  readonly pool: Pool;
  readonly pixelId: string;
  readonly token: string;
}

export async function startWorld() {
  await using stack = new AsyncDisposableStack();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const migrations = { name: 'capi', path: join(import.meta.dirname, '../migrations') };
  const folders = [eventStoreMigrations, migrations];
  const { url: postgresUrl, sql } = stack.use(
    await migratedDatabase(servers, { schema: 'capi', folders }),
  );
  const log = testLog();
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const kept = createLogger({ level: 'info', stream });
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log }));
  await ensureStreams(nats);
  const world = { bots: [], pixels: [], pixAccounts: [] };
  const sandbox = stack.use(await startSandbox({ port: 0, publicOrigin, world, graphLog: 'full' }));
  const environment = {
    PORT: '0',
    LOG_LEVEL: 'silent',
    NATS_URL: servers.nats.url,
    POSTGRES_URL: postgresUrl,
    RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
    PUBLIC_ORIGIN: publicOrigin,
    META_GRAPH_URL: `${sandbox.url}/graph`,
  };
  const config = readConfig(environment);
  const publish = async (...events: RastroEvent[]): Promise<void> => {
    for (const event of events) await publishEvent(nats, event);
  };
  const untilState = (eventId: string, state: string, timeoutMs = 30_000): Promise<LedgerRow> =>
    eventually(() => rowIn(sql, eventId, state), { timeoutMs });
  const pools = poolsOf(nats, sandbox);

  const owned = stack.move();
  return {
    servers,
    sql,
    nats,
    /** For a dispatcher in a process of its own. */
    environment,
    graph: graphOf(sandbox),
    pools,
    /** Resolves once the dispatcher knows all of the catalog that was put so far, in its order. */
    untilCatalogKnown: async (): Promise<void> => {
      const last = await pools.add({ enabled: false });
      await eventually(async () => {
        const { click, pageViewId } = journeyOf(last);
        await publish(click);
        const { reason } = await untilState(pageViewId, 'skipped');
        if (reason !== 'meta_disabled') throw new Error(`the catalog is not known yet: ${reason}`);
      });
    },
    start: (changes: Partial<Config> = {}): Promise<RunningService> =>
      startService({ ...config, pace: { ...config.pace, ...testPace }, ...changes }, kept),
    /**
     * What dispatchers of this process have said for an alarm to listen to, oldest first, once it
     * is as much as that: it is said after the commit.
     */
    alarmsOf: (pixelId: string, count: number): Promise<LogLine[]> =>
      eventually(() => {
        const alarms = alarmsIn(lines, pixelId);
        if (alarms.length < count) throw new Error(`${alarms.length} alarms of ${pixelId}`);
        return alarms;
      }),
    publish,
    /** The ledger's row once it is in that state. */
    untilState,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface LogLine {
  readonly level: number;
  readonly code?: string | number | null;
  readonly pixelId?: string;
}

function alarmsIn(lines: readonly string[], pixelId: string): LogLine[] {
  return (
    lines
      .map((line) => JSON.parse(line) as LogLine)
      // Meta's own codes, of its answers, are numbers.
      .filter((line) => line.pixelId === pixelId && typeof line.code === 'string')
  );
}

export interface LedgerRow {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly attempts: number;
  readonly eventTime: number;
  readonly body: string | null;
}

async function rowIn(sql: Sql, eventId: string, state: string): Promise<LedgerRow> {
  const [row] = await sql<LedgerRow[]>`
    select id, state, reason, attempts, event_time, body from conversions
    where event_id = ${eventId}`;
  if (row?.state !== state) {
    throw new Error(`${eventId} is ${row?.state ?? 'not there'} (${row?.reason}), not ${state}`);
  }
  return row;
}

function poolsOf(nats: Nats, sandbox: Sandbox) {
  const pixels: { id: string; accessToken: string }[] = [];
  let count = 0;
  const knowToken = (id: string, accessToken: string): void => {
    pixels.push({ id, accessToken });
    sandbox.setWorld({ bots: [], pixels, pixAccounts: [] });
  };
  async function put(pool: Pool, version: number): Promise<void> {
    await putCatalog(nats, 'demo', [{ kind: 'pool', id: pool.id, data: pool, version }]);
  }
  return {
    /** A pool of its own with a pixel of its own; Meta knows the token unless told otherwise. */
    async add(
      meta: Partial<Meta> = {},
      rest: Partial<Pool> & { isTokenKnown?: boolean } = {},
    ): Promise<TestPool> {
      const { isTokenKnown = true, ...changes } = rest;
      count += 1;
      const id = `pool-${count}`;
      const pixelId = String(7_000_000_000 + count);
      const token = `EAAtoken${count}x`;
      if (isTokenKnown) knowToken(pixelId, token);
      const sample = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as Pool;
      const accessToken = sealSecret(testMasterKey, `pool/${id}/meta/accessToken`, token);
      const pool = {
        ...sample,
        id,
        slug: id,
        meta: { ...sample.meta, pixelId, accessToken, pageViewHoldMs: 600, ...meta },
        ...changes,
      };
      await put(pool, 1);
      return { pool, pixelId, token };
    },
    /** What is given, and of the rest what the pool had when it was added. */
    change({ pool }: TestPool, meta: Partial<Meta>): Promise<void> {
      return put({ ...pool, meta: { ...pool.meta, ...meta } }, 2);
    },
    /** Out of the catalog. */
    remove: ({ pool }: TestPool): Promise<void> =>
      putCatalog(nats, 'demo', [{ kind: 'pool', id: pool.id, data: null, version: 2 }]),
    async changeToken({ pool, pixelId }: TestPool, token: string): Promise<void> {
      knowToken(pixelId, token);
      const accessToken = sealSecret(testMasterKey, `pool/${pool.id}/meta/accessToken`, token);
      await put({ ...pool, meta: { ...pool.meta, accessToken } }, 2);
    },
  };
}

function graphOf({ url }: Sandbox) {
  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${url}/control${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return (await response.json()) as T;
  }
  return {
    /** Oldest first. */
    requests: async (pixelId: string): Promise<GraphRequest[]> =>
      (await call<GraphRequest[]>('GET', `/graph/requests?pixelId=${pixelId}`)).toReversed(),
    group: async (eventId: string): Promise<EventGroup | undefined> =>
      (await call<EventGroup[]>('GET', `/graph/events?eventId=${eventId}`))[0],
    /** @returns what waits until it has struck: a call has come here in full. */
    async fault(
      pixelId: string,
      rule: Pick<FaultRule, 'times' | 'action'>,
    ): Promise<() => Promise<void>> {
      // Of what is sent alone: a question about its quality must not use the fault up.
      const match = { method: 'POST', pixelId };
      const { id } = await call<{ id: string }>('POST', '/faults', {
        api: 'graph',
        match,
        ...rule,
      });
      const check = async (): Promise<void> => {
        const { rules } = await call<{ rules: { id: string; used: number }[] }>('GET', '/faults');
        if (!rules.find((other) => other.id === id)?.used) throw new Error('no call yet');
      };
      return () => eventually(check, { timeoutMs: 30_000 });
    },
  };
}

const goldenFbclid = sampleEvent('ClickTracked').data.fbclid;

/** The events of one customer of one pool, all of them now. */
export function journeyOf({ pool, pixelId }: TestPool) {
  const trackingToken = randomUUID().replaceAll('-', '');
  const paymentId = newId();
  const now = new Date().toISOString();
  const poolId = pool.id;
  const ids = { trackingToken, paymentId, poolId };
  return {
    trackingToken,
    pageViewId: `evt_${trackingToken}`,
    purchaseId: `purchase_${paymentId}`,
    click: sampleEvent('ClickTracked', {
      trackingToken,
      rootEventId: `evt_${trackingToken}`,
      poolId,
      pixelId,
      clickedAt: now,
      clientIp: '2804:14c:5b80::1',
      fbc: `fb.1.${Date.now()}.${goldenFbclid}`,
    }),
    signals: sampleEvent('BrowserSignalsCaptured', {
      trackingToken,
      capturedAt: now,
      fbp: 'fb.1.1763640000999.555',
      fbc: null,
    }),
    started: sampleEvent('FunnelStarted', { trackingToken, poolId, startedAt: now }),
    paid: sampleEvent('PaymentPaid', { ...ids, paidAt: now, confirmedAt: now }),
    viewed: sampleEvent('DeliveryViewed', { ...ids, viewedAt: now, pixelId }),
  };
}
