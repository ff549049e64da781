/** Real servers for one test file, in a folder of its own that is removed afterwards. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, type MigrationFolder } from '@rastro/event-store';
import { connectPostgres, type Sql } from '@rastro/runtime';
import { type ServerProcess, startNats, startPostgres, startRedis } from '@rastro/servers';

export interface TestServers extends AsyncDisposable {
  readonly nats: ServerProcess;
  readonly postgres: ServerProcess;
  readonly redis: ServerProcess;
  /** Empty, for spools and snapshots. */
  readonly folder: string;
}

type Wanted = Partial<Record<'nats' | 'postgres' | 'redis', boolean>>;

/** Starts only what is asked for; touching another one throws and says so. */
export async function startTestServers(wanted: Wanted): Promise<TestServers> {
  await using stack = new AsyncDisposableStack();
  // Other users must be able to enter: Postgres refuses to run as root.
  const folder = join(tmpdir(), `rastro-test-${randomUUID().slice(0, 8)}`);
  await mkdir(folder, { mode: 0o755 });
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const start = async (
    name: keyof Wanted,
    starter: (options: { dataDir: string }) => Promise<ServerProcess>,
  ): Promise<ServerProcess | undefined> =>
    wanted[name] ? stack.use(await starter({ dataDir: join(folder, name) })) : undefined;
  const [nats, postgres, redis] = await Promise.all([
    start('nats', startNats),
    start('postgres', startPostgres),
    start('redis', startRedis),
  ]);
  const owned = stack.move();
  return {
    get nats() {
      return given('nats', nats);
    },
    get postgres() {
      return given('postgres', postgres);
    },
    get redis() {
      return given('redis', redis);
    },
    folder,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function given(name: string, server: ServerProcess | undefined): ServerProcess {
  if (!server) throw new Error(`startTestServers was not asked for ${name}`);
  return server;
}

export interface TestDatabase extends AsyncDisposable {
  /** Logs in as the service's own role, so that a missing grant fails here too. */
  readonly url: string;
  readonly sql: Sql;
}

/** A migrated schema; several can live in one database. */
export async function migratedDatabase(
  servers: Pick<TestServers, 'postgres'>,
  options: { schema: string; folders: readonly MigrationFolder[] },
): Promise<TestDatabase> {
  const { schema, folders } = options;
  const adminUrl = servers.postgres.url;
  const role = `rastro_${schema}`;
  const rolePassword = 'test-password';
  await migrate({ adminUrl, schema, role, rolePassword, folders });
  const url = new URL(adminUrl);
  url.username = role;
  url.password = rolePassword;
  const sql = connectPostgres({ url: url.href, schema, service: `${schema}-test` });
  return { url: url.href, sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}
