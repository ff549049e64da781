/** `/healthz`, `/readyz` and `/metrics`: for the machine that runs us, never behind the edge. */
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { HttpServer } from './http-server.ts';

export { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Throws when a dependency cannot be used right now. */
export type ReadinessCheck = () => Promise<void> | void;

const checkTimeoutMs = 2_000;

/** A registry for one service; several can live in one process. */
export function createMetrics(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  return registry;
}

/** Node's own figures: once a process, whatever number of services it runs. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
}

/** Adds the three routes; `/readyz` has a line for each dependency and 503 while one is missing. */
export function addHealthRoutes(
  app: HttpServer,
  options: { checks: Readonly<Record<string, ReadinessCheck>>; metrics: Registry },
): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const lines = await Promise.all(
      Object.entries(options.checks).map(
        async ([name, check]) => `${name}: ${await resultOf(check)}`,
      ),
    );
    const isReady = lines.every((line) => line.endsWith(': ok'));
    return reply
      .code(isReady ? 200 : 503)
      .type('text/plain')
      .send(`${lines.join('\n')}\n`);
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(options.metrics.contentType).send(await options.metrics.metrics()),
  );
}

async function resultOf(check: ReadinessCheck): Promise<string> {
  const timeout = AbortSignal.timeout(checkTimeoutMs);
  const timedOut = new Promise<string>((resolve) => {
    timeout.addEventListener('abort', () => resolve(`no answer within ${checkTimeoutMs} ms`));
  });
  const checked = Promise.resolve()
    .then(check)
    .then(
      () => 'ok',
      (error: unknown) => `failed (${error instanceof Error ? error.message : 'unknown error'})`,
    );
  return Promise.race([checked, timedOut]);
}
