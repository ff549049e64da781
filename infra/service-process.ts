/** One service as a process of its own: started, watched, started again when it dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Environment, Logger } from '@rastro/runtime';
import { request } from 'undici';
import { mainFile, repository } from './services.ts';

export interface ServiceChild extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** SIGKILL; it is started again like after any other death. */
  kill(): Promise<void>;
  /** Resolves once it answers, after a start or a death. */
  ready(): Promise<void>;
}

const restartAfterMs = 500;
const readyWithinMs = 60_000;
const drainWithinMs = 20_000;

export function startServiceProcess(options: {
  name: string;
  port: number;
  environment: Environment;
  log: Logger;
  /** What is run; the service's own file unless told otherwise. */
  file?: string;
}): ServiceChild {
  const { name, port, environment, log, file = mainFile(options.name) } = options;
  const url = `http://127.0.0.1:${port}`;
  const stopping = new AbortController();
  let child = run();

  function run(): ChildProcess {
    const started = spawn(process.execPath, [file], {
      cwd: repository,
      env: environment,
      stdio: ['ignore', 'inherit', 'inherit'],
      // A group of its own: Ctrl-C is for us, who end it in order.
      detached: true,
    });
    started.once('exit', (code, signal) => void startAgain(code, signal));
    return started;
  }
  async function startAgain(code: number | null, signal: string | null): Promise<void> {
    if (stopping.signal.aborted) return;
    log.warn({ service: name, code, signal }, 'a service ended; starting it again');
    await delay(restartAfterMs);
    if (!stopping.signal.aborted) child = run();
  }
  async function ready(): Promise<void> {
    const deadline = performance.now() + readyWithinMs;
    while (!(await isHealthy(url))) {
      if (performance.now() > deadline)
        throw new Error(`${name} did not become ready; see its log`);
      await delay(50);
    }
  }
  return {
    name,
    url,
    get pid() {
      return child.pid ?? 0;
    },
    async kill() {
      await end(child, 'SIGKILL');
    },
    ready,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await end(child, 'SIGTERM');
    },
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const bound = setTimeout(() => child.kill('SIGKILL'), drainWithinMs);
  await exited;
  clearTimeout(bound);
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${url}/healthz`, { headersTimeout: 1_000 });
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}
