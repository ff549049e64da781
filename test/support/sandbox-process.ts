/** The stand-ins as a process of their own: what they do costs the tested process nothing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repository } from '@rastro/infra/services';
import type { SandboxWorld } from '@rastro/sandbox';
import { request } from 'undici';

export interface SandboxProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** `/control` of the sandbox. */
  readonly control: <T>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
  ) => Promise<T>;
}

/** @param options.isLogFull the Graph keeps every event of every request. */
export async function startSandboxProcess(options: {
  readonly world: SandboxWorld;
  readonly isLogFull?: boolean;
}): Promise<SandboxProcess> {
  const { world, isLogFull = false } = options;
  const child = spawn(process.execPath, [join(repository, 'packages/sandbox/src/main.ts')], {
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      PORT: '0',
      PUBLIC_ORIGIN: 'http://127.0.0.1:9',
      ...(isLogFull ? { SANDBOX_GRAPH_LOG: 'full' } : {}),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const url = /http\S+/.exec(line)?.[0] ?? '';
  const sandbox: SandboxProcess = {
    url,
    pid: child.pid ?? 0,
    async control<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown) {
      const answer = await request(`${url}/control${path}`, {
        method,
        ...(body === undefined
          ? {}
          : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${text}`);
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    [Symbol.asyncDispose]: () => end(child),
  };
  await sandbox.control('PUT', '/world', world);
  return sandbox;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill();
  await exited;
}
