/** bot-funnel with many bots, as a process of its own between private servers. */
import { startServiceProcess, type ServiceChild } from '@rastro/infra/service-process';
import { services } from '@rastro/infra/services';
import { connectNats, type Nats } from '@rastro/messaging';
import { deriveSecret, type Environment, sealSecret, type Sql } from '@rastro/runtime';
import { freePort } from '@rastro/servers';
import {
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';

export interface FleetBot {
  readonly id: string;
  readonly username: string;
  readonly token: string;
}

export const fleetOf = (count: number): FleetBot[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `bot-${index}`,
    username: `bench_${index}_bot`,
    token: `${7_100_000_000 + index}:AAbenchTokenOfBot${index}`,
  }));

/** What Telegram sends with the updates of a bot. */
export const webhookSecretOf = (botId: string): string =>
  deriveSecret(testMasterKey, `telegram-webhook/${botId}`);

/** The sample's catalog with so many bots of one funnel. */
function catalogOf(bots: readonly FleetBot[]) {
  return sampleCatalog().flatMap((entry) => {
    if (entry.kind === 'pool') return [];
    if (entry.kind !== 'bot') return [entry];
    return bots.map(({ id, username, token }) => {
      const sealed = sealSecret(testMasterKey, `bot/${id}/token`, token);
      const data = { ...entry.data, id, username, token: sealed } as typeof entry.data;
      return { ...entry, id, data };
    });
  });
}

export interface FunnelFleet extends AsyncDisposable {
  readonly funnel: ServiceChild;
  readonly nats: Nats;
  /** Reads schema `funnel`. */
  readonly sql: Sql;
}

export async function startFleet(options: {
  bots: readonly FleetBot[];
  /** On top of what the service needs. */
  environment: Environment;
}): Promise<FunnelFleet> {
  const { bots } = options;
  await using stack = new AsyncDisposableStack();
  const log = testLog();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const folders = services.find(({ name }) => name === 'bot-funnel')?.database?.folders ?? [];
  const database = stack.use(await migratedDatabase(servers, { schema: 'funnel', folders }));
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'bench', log }));
  await putCatalog(nats, 'demo', catalogOf(bots));
  const port = await freePort();
  const publicOrigin = `http://127.0.0.1:${port}`;
  const environment = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'error',
    PORT: String(port),
    NATS_URL: servers.nats.url,
    POSTGRES_URL: database.url,
    PUBLIC_ORIGIN: publicOrigin,
    RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
    ...options.environment,
  };
  const funnel = stack.use(startServiceProcess({ name: 'bot-funnel', port, environment, log }));
  await funnel.ready();
  const owned = stack.move();
  return { funnel, nats, sql: database.sql, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
