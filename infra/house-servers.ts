/** NATS, Postgres and Redis: those that an address names, else private ones in the data folder. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@rastro/runtime';
import { type ServerProcess, startNats, startPostgres, startRedis } from '@rastro/servers';
import type { HouseConfig } from './config.ts';
import type { Progress } from './progress.ts';

export interface HouseServers extends AsyncDisposable {
  readonly natsUrl: string;
  /** May create schemas and roles. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** Those that we started; a server that an address names is never touched. */
  readonly own: {
    readonly nats?: ServerProcess;
    readonly postgres?: ServerProcess;
    readonly redis?: ServerProcess;
  };
}

type Starter = typeof startNats;

export async function startServers(
  config: HouseConfig,
  { log, progress }: { log: Logger; progress: Progress },
): Promise<HouseServers> {
  await using stack = new AsyncDisposableStack();
  await mkdir(config.dataDir, { recursive: true });
  const own: Partial<Record<'nats' | 'postgres' | 'redis', ServerProcess>> = {};
  async function urlOf(
    name: keyof typeof own,
    given: string | undefined,
    start: Starter,
  ): Promise<string> {
    if (given !== undefined) return given;
    const dataDir = join(config.dataDir, name);
    const server = await start({ dataDir, log: (line) => log.debug({ server: name }, line) });
    own[name] = stack.use(server);
    return server.url;
  }
  const [natsUrl, postgresUrl, redisUrl] = await progress.step('NATS, Postgres and Redis', () =>
    Promise.all([
      urlOf('nats', config.natsUrl, startNats),
      urlOf('postgres', config.postgresUrl, startPostgres),
      urlOf('redis', config.redisUrl, startRedis),
    ]),
  );
  const owned = stack.move();
  return { natsUrl, postgresUrl, redisUrl, own, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
