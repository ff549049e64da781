import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ServerError } from './error.ts';

/** Which process serves a data folder, written beside the data. Only for messages and for
 * choosing the same port again: what keeps two servers apart is the lock file. */
export interface ServerRecord {
  pid: number;
  port: number;
  /** When the process started, in the kernel's ticks: tells it from a later one of its number. */
  started: string | undefined;
  parentPid: number;
  parentStarted: string | undefined;
}

export interface Credentials {
  user: string;
  password: string;
}

export function prepareDataFolder(dataDir: string): string {
  const folder = resolve(dataDir);
  // Others may pass through: Postgres, when we are root, runs as another user further down.
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  return folder;
}

/** The wanted credentials, else those stored here, else new ones; stored for the next time.
 * Throws SERVER_DATA_UNUSABLE where `areFixed`, in data that exists, and others are wanted. */
export function credentialsFor(
  folder: string,
  wanted: { user?: string | undefined; password?: string | undefined },
  { areFixed }: { areFixed: boolean },
): Credentials {
  const file = join(folder, 'credentials.json');
  const stored = readJson<Credentials>(file);
  const credentials = {
    user: wanted.user ?? stored?.user ?? 'rastro',
    password: wanted.password ?? stored?.password ?? randomBytes(18).toString('base64url'),
  };
  const isSame = stored?.user === credentials.user && stored.password === credentials.password;
  if (areFixed && !isSame) {
    throw new ServerError(
      'SERVER_DATA_UNUSABLE',
      `The data in ${folder} was made with another user or password. ` +
        'Give that one or none, or move the folder away to begin anew.',
    );
  }
  if (!isSame) writePrivateFile(file, `${JSON.stringify(credentials)}\n`);
  return credentials;
}

export function readServerRecord(folder: string): ServerRecord | undefined {
  return readJson<ServerRecord>(join(folder, 'server.json'));
}

export function writeServerRecord(folder: string, pid: number, port: number): void {
  const record: ServerRecord = {
    pid,
    port,
    started: processStart(pid),
    parentPid: process.pid,
    parentStarted: processStart(process.pid),
  };
  writePrivateFile(join(folder, 'server.json'), `${JSON.stringify(record)}\n`);
}

/** Whether the process is alive and the very one that was recorded. */
export function isAlive(pid: number, started: string | undefined): boolean {
  return started !== undefined && processStart(pid) === started;
}

/** Whole or not at all, readable by its owner alone. */
export function writePrivateFile(file: string, text: string): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/PID/stat; the name before it may itself contain spaces and brackets.
 * Nothing for a dead process that its parent has not collected yet. */
function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
