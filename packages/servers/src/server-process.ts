import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, lockedExitCode, spawnChild } from './child.ts';
import { isAlive, readServerRecord, writeServerRecord } from './data-folder.ts';
import { ServerError } from './error.ts';
import { freePort, isPortFree } from './port.ts';

/** A server of ours in a child process, on 127.0.0.1, with a password. */
export interface ServerProcess extends AsyncDisposable {
  readonly name: string;
  /** With user and password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Lets it write what it has; SIGKILL when it takes too long. Does nothing when not running. */
  stop(): Promise<void>;
  /** Again on the same port and data, after `kill` or `stop`. */
  start(): Promise<void>;
}

export interface ServerOptions {
  /** Made when missing. Everything the server keeps, and its password, is in there. */
  dataDir: string;
  /** That port or an error; without it the last one, or another free one. */
  port?: number | undefined;
  user?: string | undefined;
  /** Without it: the stored one, else a generated one. */
  password?: string | undefined;
  /** Gets each line that the server writes. */
  log?: ((line: string) => void) | undefined;
}

/** What differs between the servers. */
export interface Recipe {
  name: string;
  folder: string;
  askedPort: number | undefined;
  log: (line: string) => void;
  runAs: readonly string[];
  command: (port: number) => string[];
  url: (port: number) => string;
  /** Resolves when the server answers; any error but a ServerError means "not yet". */
  probe: (port: number) => Promise<void>;
  stopSignal: NodeJS.Signals;
  deathSignal: 'INT' | 'KILL';
}

const readyWithinMs = 60_000;
const probeEveryMs = 20;
const stopWithinMs = 15_000;
// How long a server that is about to end (its parent was killed) may hold on to its data.
const lockWaitSeconds = 15;
const portAttempts = 3;

export async function startServer(recipe: Recipe): Promise<ServerProcess> {
  let { port, child } = await startOnSomePort(recipe);
  const isRunning = () => !child.hasExited();
  let isEnding = false;

  function watch(): void {
    isEnding = false;
    const watched = child;
    void watched.exited.then((how) => {
      if (watched === child && !isEnding) recipe.log(`${recipe.name} ended unexpectedly, ${how}`);
    });
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!isRunning()) return;
    isEnding = true;
    await child.end(signal, stopWithinMs);
  }

  watch();
  return {
    name: recipe.name,
    url: recipe.url(port),
    port,
    get pid() {
      return child.pid;
    },
    kill: () => end('SIGKILL'),
    stop: () => end(recipe.stopSignal),
    async start() {
      if (isRunning()) return;
      child = await startOnPort(recipe, port);
      watch();
    },
    [Symbol.asyncDispose]: () => end(recipe.stopSignal),
  };
}

async function startOnSomePort(recipe: Recipe): Promise<{ port: number; child: Child }> {
  if (recipe.askedPort !== undefined) {
    return { port: recipe.askedPort, child: await startOnPort(recipe, recipe.askedPort) };
  }
  for (let attempt = 1; ; attempt++) {
    const last = readServerRecord(recipe.folder)?.port;
    const port = last !== undefined && (await isPortFree(last)) ? last : await freePort();
    try {
      return { port, child: await startOnPort(recipe, port) };
    } catch (error) {
      // Between our look and the server's bind somebody else was faster.
      const isTaken = error instanceof ServerError && error.code === 'SERVER_PORT_TAKEN';
      if (!isTaken || attempt === portAttempts) throw error;
    }
  }
}

async function startOnPort(recipe: Recipe, port: number): Promise<Child> {
  const inUse = describeLiveServer(recipe);
  if (inUse?.isOwned) throw new ServerError('SERVER_DATA_IN_USE', inUse.message);
  // Data first: a server that was left behind may be about to give both back.
  if (inUse === undefined && !(await isPortFree(port))) throw portTaken(recipe.name, port);

  const child = await spawnChild({
    runAs: recipe.runAs,
    command: recipe.command(port),
    deathSignal: recipe.deathSignal,
    lockFile: join(recipe.folder, 'lock'),
    lockWaitSeconds,
    log: recipe.log,
  });
  try {
    await untilReady(recipe, child, port);
  } catch (error) {
    await child.end('SIGKILL', stopWithinMs);
    throw error;
  }
  writeServerRecord(recipe.folder, child.pid, port);
  return child;
}

async function untilReady(recipe: Recipe, child: Child, port: number): Promise<void> {
  const deadline = performance.now() + readyWithinMs;
  let lastError: unknown;
  while (performance.now() < deadline) {
    if (child.hasExited()) throw await explainExit(recipe, child, port);
    try {
      return await recipe.probe(port);
    } catch (error) {
      if (error instanceof ServerError) throw error;
      lastError = error;
    }
    await delay(probeEveryMs);
  }
  throw new ServerError(
    'SERVER_NOT_READY',
    withLastLines(`${recipe.name} did not answer within ${readyWithinMs / 1000} s`, child),
    { cause: lastError },
  );
}

async function explainExit(recipe: Recipe, child: Child, port: number): Promise<ServerError> {
  if (child.exitCode() === lockedExitCode) {
    const message = describeLiveServer(recipe)?.message ?? `${recipe.folder} is locked.`;
    return new ServerError('SERVER_DATA_IN_USE', message);
  }
  const how = await child.exited;
  await delay(100); // its last lines may still be on their way
  const isTaken = child.lastLines().some((line) => /address already in use/i.test(line));
  if (isTaken) return portTaken(recipe.name, port);
  return new ServerError(
    'SERVER_NOT_READY',
    withLastLines(`${recipe.name} ended ${how} before it was ready`, child),
  );
}

/** The server that works on this data at the moment, if any. */
function describeLiveServer(recipe: Recipe): { message: string; isOwned: boolean } | undefined {
  const record = readServerRecord(recipe.folder);
  if (record === undefined || !isAlive(record.pid, record.started)) return undefined;
  const isOwned = isAlive(record.parentPid, record.parentStarted);
  const where = `${recipe.name} already runs on ${recipe.folder}: process ${record.pid}, port ${record.port}`;
  const remedy = isOwned
    ? `started by process ${record.parentPid}. Stop that one first (another \`npm start\`?).`
    : `left behind by process ${record.parentPid}, which is gone. End it: kill ${record.pid}`;
  return { message: `${where}, ${remedy}`, isOwned };
}

function portTaken(name: string, port: number): ServerError {
  return new ServerError(
    'SERVER_PORT_TAKEN',
    `${name} cannot listen on port ${port}: another program does. Stop it or choose another port.`,
  );
}

function withLastLines(headline: string, child: Child): string {
  const lines = child.lastLines();
  if (lines.length === 0) return `${headline}; it wrote nothing.`;
  return `${headline}. It wrote last:\n  ${lines.join('\n  ')}`;
}
