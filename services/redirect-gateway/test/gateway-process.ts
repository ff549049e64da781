/** The gateway as a process of its own, to be killed at any moment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface GatewayProcess {
  readonly url: string;
  /** Resolves when the process is gone. */
  readonly end: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>;
}

const mainFile = join(import.meta.dirname, '../src/main.ts');
/** Redis is not needed to answer. */
const nowhere = 'redis://127.0.0.1:9';
const readyWithinMs = 60_000;

/** @param maxFileBlocks no file may become larger than so many blocks of 512 bytes. */
export async function startGatewayProcess(
  environment: Readonly<Record<string, string>>,
  { maxFileBlocks }: { maxFileBlocks?: number } = {},
): Promise<GatewayProcess> {
  const limit = maxFileBlocks === undefined ? '' : `ulimit -f ${maxFileBlocks} && `;
  const command = `${limit}exec "$0" "$@"`;
  const child = spawn('sh', ['-c', command, process.execPath, mainFile], {
    env: { PATH: process.env['PATH'] ?? '', PORT: '0', REDIS_URL: nowhere, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  return {
    url: await readyUrl(child),
    end: async (signal) => {
      child.kill(signal);
      await exited;
    },
  };
}

function readyUrl(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    reject(new Error(`the gateway was not ready within ${readyWithinMs} ms`));
  }, readyWithinMs);
  child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)));
  if (!child.stdout) throw new Error('the gateway has no stdout');
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { msg, url } = JSON.parse(line) as { msg?: string; url?: string };
    if (msg === 'ready' && url) resolve(url);
  });
  return promise.finally(() => clearTimeout(timer));
}
