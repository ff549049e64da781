/** The stand-ins as a process of their own: what they cost is not the service's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repository } from '@rastro/infra/services';
import type { SandboxWorld } from '@rastro/sandbox';
import { request } from 'undici';

export interface SandboxProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** `/control` of the sandbox. */
  control<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<T>;
}

/** @param options.folder for the file that names what the sandbox knows. */
export async function startSandboxProcess(options: {
  readonly folder: string;
  readonly world: SandboxWorld;
}): Promise<SandboxProcess> {
  const worldFile = join(options.folder, 'world.json');
  writeFileSync(worldFile, JSON.stringify(options.world));
  const child = spawn(process.execPath, [join(repository, 'packages/sandbox/src/main.ts')], {
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      PORT: '0',
      PUBLIC_ORIGIN: 'http://127.0.0.1:9',
      SANDBOX_WORLD_FILE: worldFile,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const url = /http\S+/.exec(line)?.[0] ?? '';
  return {
    url,
    pid: child.pid ?? 0,
    async control<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<T> {
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
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill();
  await exited;
}
