import { join } from 'node:path';
import { findBinary, versionOf } from './binary.ts';
import {
  type Credentials,
  credentialsFor,
  prepareDataFolder,
  writePrivateFile,
} from './data-folder.ts';
import { ServerError } from './error.ts';
import { exchange } from './probe.ts';
import { type ServerOptions, type ServerProcess, startServer } from './server-process.ts';

// Older servers silently ignore what the event streams rely on (wildcard expectations,
// `term` with a reason, per-message limits).
const minimum: readonly [number, number] = [2, 12];

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
  writePrivateFile(config, configuration(folder, credentials));
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
    command: (port) => [binary, '--config', config, '--addr', '127.0.0.1', '--port', String(port)],
    url: (port) => `nats://${user}:${password}@127.0.0.1:${port}`,
    probe: (port) => exchange(port, `CONNECT ${hello}\r\nPING\r\n`, /PONG/),
    stopSignal: 'SIGTERM',
    deathSignal: 'KILL',
  });
}

function configuration(folder: string, credentials: Credentials): string {
  return `# Written at each start.
server_name: rastro
max_payload: 1MB
authorization {
  user: ${JSON.stringify(credentials.user)}
  password: ${JSON.stringify(credentials.password)}
}
jetstream {
  store_dir: ${JSON.stringify(join(folder, 'store'))}
  max_memory_store: 64MB
  # The default writes to the disk every two minutes: a power cut would lose paid orders.
  sync_interval: always
}
`;
}
