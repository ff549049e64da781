import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { findBinary, serverEnvironment, versionOf } from './binary.ts';
import { type Credentials, credentialsFor, prepareDataFolder } from './data-folder.ts';
import { ServerError } from './error.ts';
import { exchange } from './probe.ts';
import { type ServerOptions, type ServerProcess, startServer } from './server-process.ts';
import { type Identity, unprivilegedIdentity } from './unprivileged.ts';

export interface PostgresOptions extends ServerOptions {
  /** `false` trades the safety of committed data for speed: only for tests that throw their data
   * away and do not pull the plug. */
  durable?: boolean | undefined;
}

const minimumMajor = 15;
const databaseName = 'rastro';
const initWithinMs = 60_000;

/** PostgreSQL with an empty database `rastro`, which the user owns; the user is a superuser.
 * Throws ServerError. */
export async function startPostgres(options: PostgresOptions): Promise<ServerProcess> {
  const binary = findBinary('postgres');
  const [major] = versionOf(binary);
  if (major < minimumMajor) {
    throw new ServerError(
      'SERVER_TOO_OLD',
      `${binary} is version ${major}; ${minimumMajor} or newer is needed.`,
    );
  }
  const isDurable = options.durable ?? true;
  const folder = prepareDataFolder(options.dataDir);
  const cluster = join(folder, 'cluster');
  const isNew = !existsSync(cluster);
  const credentials = credentialsFor(folder, options, { areFixed: !isNew });
  const identity = unprivilegedIdentity(folder, binary);
  if (isNew) {
    await initialise({ folder, cluster, credentials, identity, isDurable });
  }
  refuseOtherMajor(cluster, major);
  identity.own(cluster);
  forgetReusedPid(cluster);

  const user = encodeURIComponent(credentials.user);
  const password = encodeURIComponent(credentials.password);
  const url = (port: number, database: string) =>
    `postgres://${user}:${password}@127.0.0.1:${port}/${database}`;
  return startServer({
    name: 'PostgreSQL',
    folder,
    askedPort: options.port,
    log: options.log ?? (() => {}),
    runAs: identity.runAs,
    command: (port) => [binary, '-D', cluster, '-p', String(port), ...settings(isDurable)],
    url: (port) => url(port, databaseName),
    probe: async (port) => {
      await exchange(port, startupMessage(credentials.user), /^R/);
      await ensureDatabase(url(port, 'postgres'));
    },
    stopSignal: 'SIGINT', // its "fast" shutdown: ends connections, keeps what is committed
    deathSignal: 'INT',
  });
}

/** Sized for a laptop. On the command line, so that data of an older version gets them too. */
function settings(isDurable: boolean): string[] {
  const values = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 100,
    shared_buffers: '32MB',
    maintenance_work_mem: '32MB',
    max_wal_size: '256MB',
    max_wal_senders: 0,
    max_worker_processes: 4,
    max_parallel_workers_per_gather: 0,
    autovacuum_max_workers: 2,
    jit: 'off',
    timezone: 'GMT',
    log_timezone: 'GMT',
    log_checkpoints: 'off',
    ...(isDurable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** In a folder of its own that gets its name when it is whole. */
async function initialise(target: {
  folder: string;
  cluster: string;
  credentials: Credentials;
  identity: Identity;
  isDurable: boolean;
}): Promise<void> {
  const draft = `${target.cluster}.new`;
  const passwordFile = join(target.folder, 'initial-password');
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  writeFileSync(passwordFile, `${target.credentials.password}\n`, { mode: 0o600 });
  target.identity.own(draft);
  target.identity.own(passwordFile);
  const [program = '', ...args] = [
    ...target.identity.runAs,
    findBinary('initdb'),
    `--pgdata=${draft}`,
    `--username=${target.credentials.user}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--no-instructions',
    ...(target.isDurable ? [] : ['--no-sync']),
  ];
  try {
    await promisify(execFile)(program, args, {
      cwd: '/',
      env: serverEnvironment(),
      timeout: initWithinMs,
    });
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? String(error);
    throw new ServerError(
      'SERVER_DATA_UNUSABLE',
      `PostgreSQL could not make its data folder in ${target.folder}:\n${output}`,
      { cause: error },
    );
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(draft, target.cluster);
}

function refuseOtherMajor(cluster: string, major: number): void {
  const written = Number(readFileSync(join(cluster, 'PG_VERSION'), 'utf8'));
  if (written === major) return;
  throw new ServerError(
    'SERVER_DATA_UNUSABLE',
    `${cluster} was written by PostgreSQL ${written}, and version ${major} cannot read it. ` +
      `Put PostgreSQL ${written} into PATH, or move the folder away to begin anew.`,
  );
}

/** After a crash PostgreSQL takes the number in its pid file for a live server when another
 * process happens to have it by now. */
function forgetReusedPid(cluster: string): void {
  const file = join(cluster, 'postmaster.pid');
  try {
    const pid = readFileSync(file, 'utf8').split('\n')[0];
    if (readlinkSync(`/proc/${pid}/cwd`) !== cluster) rmSync(file);
  } catch {
    // No file, no such process, or not ours to judge: PostgreSQL decides.
  }
}

/** What a client says first; a server that takes connections answers R, asking for the password,
 * and one that is still starting E. Without a library's pool, which would try again by itself. */
function startupMessage(user: string): Buffer {
  const protocolVersion3 = 196_608;
  const parameters = Buffer.from(`user\0${user}\0database\0postgres\0\0`);
  const header = Buffer.alloc(8);
  header.writeInt32BE(header.length + parameters.length, 0);
  header.writeInt32BE(protocolVersion3, 4);
  return Buffer.concat([header, parameters]);
}

async function ensureDatabase(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    const found = await sql`select 1 from pg_database where datname = ${databaseName}`;
    if (found.length === 0) await sql`create database ${sql(databaseName)}`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
