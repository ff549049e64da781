/** What stands between the service and the sandbox's gateway, and the service as a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually, testMasterKey } from '@rastro/testing';
import type { World } from './world.ts';

/**
 * `pass`: as the sandbox answers. `hang`: nothing is passed on and nothing answered. `swallow`:
 * passed on, and the answer is lost. A number: answered with that status, not passed on.
 */
export type ProxyMode = 'pass' | 'hang' | 'swallow' | number;

export interface Proxy extends AsyncDisposable {
  readonly url: string;
  /** Requests that came for it to make a charge. */
  readonly creations: () => number;
  /** For creations only; all else passes. */
  setMode(mode: ProxyMode | (() => ProxyMode)): void;
}

/** Passes everything on to the sandbox, and lets a test strike before the answer goes back. */
export async function startProxy(
  world: World,
  onAnswer: (request: IncomingMessage) => Promise<void> = async () => {},
): Promise<Proxy> {
  let creations = 0;
  let modeNow: () => ProxyMode = () => 'pass';
  const server = createServer((request, reply) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = 'GET', url } = request;
      if (method === 'POST') creations += 1;
      const mode = method === 'POST' ? modeNow() : 'pass';
      if (mode === 'hang') return;
      if (typeof mode === 'number') {
        reply.writeHead(mode, { 'content-type': 'application/json' }).end('{}');
        return;
      }
      const headers = { ...request.headers } as Record<string, string>;
      for (const name of ['host', 'connection', 'content-length', 'transfer-encoding']) {
        delete headers[name];
      }
      const body = method === 'GET' ? null : Buffer.concat(chunks);
      const answer = await fetch(`${world.sandbox.url}${url}`, { method, headers, body });
      const text = await answer.text();
      await onAnswer(request);
      if (mode === 'swallow') return;
      reply.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    creations: () => creations,
    setMode: (mode) => {
      modeNow = typeof mode === 'function' ? mode : () => mode;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The service on its own, ready, with the world's catalog and sandbox. */
export async function startProcess(world: World): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../src/main.ts')], {
    env: {
      NATS_URL: world.config.natsUrl,
      POSTGRES_URL: world.config.postgresUrl,
      RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
      PUBLIC_ORIGIN: world.config.publicOrigin,
      PORT: String(world.config.port),
      LOG_LEVEL: 'warn',
    },
    stdio: 'ignore',
  });
  await eventually(
    async () => {
      const answer = await fetch(`${world.config.publicOrigin}/readyz`);
      if (!answer.ok) throw new Error(await answer.text());
    },
    { timeoutMs: 30_000 },
  );
  return child;
}
