import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { findOptionalBinary, serverEnvironment } from './binary.ts';

/** flock's exit code when another process holds the lock. */
export const lockedExitCode = 75;
const keptLines = 20;

export interface ChildOptions {
  /** What the server runs as another user by; empty for our own. */
  runAs: readonly string[];
  /** Program and arguments. */
  command: readonly string[];
  /** Sent by the kernel when we die, however we die. */
  deathSignal: 'INT' | 'KILL';
  /** Held by the server, and by all that it forks, for as long as they live. */
  lockFile: string;
  lockWaitSeconds: number;
  log: (line: string) => void;
}

/** One run of a server: from spawn to exit. */
export interface Child {
  readonly pid: number;
  readonly exited: Promise<string>;
  hasExited(): boolean;
  exitCode(): number | null;
  lastLines(): string[];
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal, and SIGKILL when that did not end it in time. Waits for the exit. */
  end(signal: NodeJS.Signals, boundMs: number): Promise<void>;
}

// Where there is no setpriv (not on Linux) an ordinary exit still takes the servers along.
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Resolves when the process runs; rejects when it cannot be started at all. */
export async function spawnChild(options: ChildOptions): Promise<Child> {
  const [program = '', ...args] = guarded(options);
  const child = spawn(program, args, {
    cwd: '/',
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C is for us, and we end the server after our last write to it.
    detached: true,
  });
  living.add(child);
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      living.delete(child);
      resolve(signal === null ? `with code ${code}` : `by ${signal}`);
    });
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      options.log(line);
    });
  }
  await once(child, 'spawn');
  return {
    pid: child.pid ?? 0,
    exited,
    hasExited: () => child.exitCode !== null || child.signalCode !== null,
    exitCode: () => child.exitCode,
    lastLines: () => lines,
    signal: (signal) => void child.kill(signal),
    async end(signal, boundMs) {
      child.kill(signal);
      const timeout = new AbortController();
      const inTime = await Promise.race([
        exited.then(() => true),
        delay(boundMs, false, { signal: timeout.signal }),
      ]);
      timeout.abort();
      if (!inTime) child.kill('SIGKILL');
      await exited;
    },
  };
}

/** flock and setpriv do their part and become the next program, so the process that we started
 * is the server itself. setpriv comes last: a change of user makes the kernel forget the signal. */
function guarded(options: ChildOptions): string[] {
  const flock = findOptionalBinary('flock');
  const setpriv = findOptionalBinary('setpriv');
  const { lockWaitSeconds, lockFile, deathSignal, runAs, command } = options;
  const lock = [`--timeout=${lockWaitSeconds}`, `--conflict-exit-code=${lockedExitCode}`, lockFile];
  return [
    ...(flock === undefined ? [] : [flock, '--no-fork', ...lock]),
    ...runAs,
    ...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', deathSignal]),
    ...command,
  ];
}
