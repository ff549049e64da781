import { join } from 'node:path';
import { findBinary, versionOf } from './binary.ts';
import { credentialsFor, prepareDataFolder, writePrivateFile } from './data-folder.ts';
import { ServerError } from './error.ts';
import { exchange } from './probe.ts';
import { type ServerOptions, type ServerProcess, startServer } from './server-process.ts';

const minimumMajor = 7;

/** Redis as a cache: it keeps nothing over a restart. Throws ServerError. */
export async function startRedis(options: Omit<ServerOptions, 'user'>): Promise<ServerProcess> {
  const binary = findBinary('redis-server');
  const [major, minor] = versionOf(binary);
  if (major < minimumMajor) {
    throw new ServerError(
      'SERVER_TOO_OLD',
      `${binary} is version ${major}.${minor}; ${minimumMajor} or newer is needed.`,
    );
  }
  const folder = prepareDataFolder(options.dataDir);
  const { password } = credentialsFor(folder, options, { areFixed: false });
  const config = join(folder, 'redis.conf');
  writePrivateFile(config, configuration(folder, password));
  return startServer({
    name: 'Redis',
    folder,
    askedPort: options.port,
    log: options.log ?? (() => {}),
    runAs: [],
    command: (port) => [binary, config, '--port', String(port)],
    url: (port) => `redis://:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    // Length-prefixed, so that no character of the password can be taken for a separator.
    probe: (port) => exchange(port, `${respArray('AUTH', password)}${respArray('PING')}`, /\+PONG/),
    stopSignal: 'SIGTERM',
    deathSignal: 'KILL',
  });
}

function respArray(...words: string[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join('')}`;
}

function configuration(folder: string, password: string): string {
  return `# Written at each start.
bind 127.0.0.1
requirepass ${JSON.stringify(password)}
dir ${JSON.stringify(folder)}
daemonize no
appendonly no
save ""
maxmemory 64mb
maxmemory-policy allkeys-lru
`;
}
