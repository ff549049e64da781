import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findBinary, versionOf } from './binary.ts';
import {
  type Credentials,
  credentialsFor,
  isAlive,
  prepareDataFolder,
  readServerRecord,
  writePrivateFile,
} from './data-folder.ts';
import { ServerError } from './error.ts';
import { exchange } from './probe.ts';
import { type ServerOptions, type ServerProcess, startServer } from './server-process.ts';

// Older servers silently ignore what the event streams rely on (wildcard expectations,
// `term` with a reason, per-message limits).
const minimum: readonly [number, number] = [2, 12];

/** What docker compose gives its server too. */
const shipped = join(import.meta.dirname, '../nats');

/** NATS with JetStream. An acknowledged message is on the disk.
 * Throws ServerError. */
export async function startNats(options: ServerOptions): Promise<ServerProcess> {
  const binary = findBinary('nats-server');
  const [major, minor] = versionOf(binary);
  if (major < minimum[0] || (major === minimum[0] && minor < minimum[1])) {
    throw new ServerError(
      'SERVER_TOO_OLD',
      `${binary} is version ${major}.${minor}; ${minimum.join('.')} or newer is needed. ` +
        'Take it out of PATH and run `sh infra/setup.sh true`, or install a newer one.',
    );
  }
  const folder = prepareDataFolder(options.dataDir);
  const credentials = credentialsFor(folder, options, { areFixed: false });
  const config = join(folder, 'nats.conf');
  const store = join(folder, 'store');
  writePrivateFile(config, configuration(store, credentials));
  // A missing file may not be included.
  const workspaces = join(folder, workspacesFile);
  if (!existsSync(workspaces)) writePrivateFile(workspaces, '');
  const adopt = ['sh', join(shipped, 'adopt-store.sh'), store];
  const server = [binary, '--config', config, '--addr', '127.0.0.1'];
  const user = encodeURIComponent(credentials.user);
  const password = encodeURIComponent(credentials.password);
  const hello = JSON.stringify({
    verbose: false,
    user: credentials.user,
    pass: credentials.password,
  });
  return startServer({
    name: 'NATS',
    folder,
    askedPort: options.port,
    log: options.log ?? (() => {}),
    runAs: [],
    command: (port) => [...adopt, ...server, '--port', String(port)],
    url: (port) => `nats://${user}:${password}@127.0.0.1:${port}`,
    probe: (port) => exchange(port, `CONNECT ${hello}\r\nPING\r\n`, /PONG/),
    stopSignal: 'SIGTERM',
    deathSignal: 'KILL',
  });
}

/** Accounts of workspaces, in the data folder; the server reads it at its start and on `reloadNats`. */
export const workspacesFile = 'workspaces.conf';

function configuration(store: string, credentials: Credentials): string {
  const { user, password } = credentials;
  return `# Written at each start.
server_name: rastro
max_payload: 1MB
accounts {
  RASTRO {
    jetstream: enabled
    users: [{ user: ${JSON.stringify(user)}, password: ${JSON.stringify(password)} }]
${readFileSync(join(shipped, 'exports.conf'), 'utf8')}
  }
  include './${workspacesFile}'
}
jetstream {
  store_dir: ${JSON.stringify(store)}
  max_memory_store: 64MB
  # The default writes to the disk every two minutes: a power cut would lose paid orders.
  sync_interval: always
}
`;
}

const betweenReloadsMs = 500;

/**
 * Makes the server that runs on this data folder read its configuration again; connections and
 * messages are not touched. Twice, because an account that came with one reload is only reached
 * by what it imports after the next one (seen with 2.15.1).
 * @returns false where no server of ours runs there.
 */
export async function reloadNats(dataDir: string): Promise<boolean> {
  const record = readServerRecord(dataDir);
  if (record === undefined || !isAlive(record.pid, record.started)) return false;
  process.kill(record.pid, 'SIGHUP');
  await delay(betweenReloadsMs);
  if (!isAlive(record.pid, record.started)) return false;
  process.kill(record.pid, 'SIGHUP');
  await delay(betweenReloadsMs);
  return true;
}
