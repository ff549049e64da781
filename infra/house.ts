/** The whole constellation: servers, sandbox, seven services, edge; in one process or in eight. */
import type { Environment, Logger, RunningService } from '@rastro/runtime';
import { freePort, isPortFree } from '@rastro/servers';
import { applyCatalog } from './catalog-client.ts';
import type { HouseConfig } from './config.ts';
import { migrateAll, rolePassword } from './database.ts';
import { startEdge } from './edge/edge.ts';
import { serviceEnvironment } from './house-environment.ts';
import { startHouseSandbox } from './house-sandbox.ts';
import { type HouseServers, startServers } from './house-servers.ts';
import type { Progress } from './progress.ts';
import { announceRunning } from './running.ts';
import { type HouseSecrets, houseSecrets } from './secrets.ts';
import { type ServiceChild, startServiceProcess } from './service-process.ts';
import { type ServiceEntry, services } from './services.ts';

export interface House extends AsyncDisposable {
  readonly publicOrigin: string;
  readonly sandboxUrl: string | null;
  readonly servers: HouseServers;
  readonly secrets: HouseSecrets;
  readonly urls: ReadonlyMap<string, string>;
  /** Empty when all services share our process. */
  readonly processes: ReadonlyMap<string, ServiceChild>;
  /** All that were started, by name; one that is disposed of stays away. */
  readonly running: ReadonlyMap<string, AsyncDisposable>;
}

export interface HouseOptions {
  readonly config: HouseConfig;
  readonly mode: 'one-process' | 'processes';
  readonly log: Logger;
  readonly progress: Progress;
}

/** The port of PUBLIC_ORIGIN belongs to somebody else. */
export class PortTakenError extends Error {
  readonly code = 'PUBLIC_PORT_TAKEN';

  constructor(port: number) {
    super(
      `Port ${port} is taken. Free it, or set PUBLIC_ORIGIN to another one, e.g. http://localhost:8090`,
    );
    this.name = 'PortTakenError';
  }
}

/** A failure half-way takes down what had been started. */
export async function startHouse(options: HouseOptions): Promise<House> {
  const { config, mode, log, progress } = options;
  await using stack = new AsyncDisposableStack();
  const { publicOrigin, port: publicPort } = await choosePublicOrigin(config, progress);
  const secrets = houseSecrets(config.dataDir, config.environment);
  const servers = stack.use(await startServers(config, { log, progress }));
  await progress.step('database schemas', () =>
    migrateAll({
      adminUrl: servers.postgresUrl,
      passwordOf: (schema) => rolePassword(schema, secrets.masterKey, config.environment),
    }),
  );
  const demo = config.isSandboxOn
    ? await progress.step('sandbox: Meta, Telegram and a PIX gateway', () =>
        startHouseSandbox(config, { publicOrigin, log: log.child({ service: 'sandbox' }) }),
      )
    : null;
  if (demo) stack.use(demo.sandbox);
  const sandboxUrl = demo?.sandbox.url ?? null;

  const environmentOf = (service: ServiceEntry, port: number): Environment =>
    serviceEnvironment({ config, service, servers, secrets, publicOrigin, sandboxUrl, port });
  const { urls, processes, running } = await progress.step('seven services', () =>
    mode === 'processes'
      ? startProcesses(stack, environmentOf, log)
      : startInOneProcess(stack, environmentOf, log),
  );
  const routes = services.flatMap(({ name, paths }) =>
    paths.map((path) => ({ path, upstream: urls.get(name) ?? '' })),
  );
  const edgeLog = log.child({ service: 'edge' });
  const edge = { host: config.host, port: publicPort, log: edgeLog, routes };
  stack.use(await startEdge({ ...edge, home: sandboxUrl ?? undefined }));

  const consoleUrl = urls.get('operator-console') ?? '';
  if (demo) {
    const api = { url: consoleUrl, apiKey: secrets.apiKey };
    await progress.step('demo catalog', () => applyCatalog(api, demo.catalog, secrets));
  }
  const { natsUrl, postgresUrl, redisUrl } = servers;
  const addresses = { publicOrigin, consoleUrl, natsUrl, postgresUrl, redisUrl, sandboxUrl };
  stack.use(announceRunning(config.dataDir, { ...addresses, pid: process.pid }));

  const owned = stack.move();
  return {
    publicOrigin,
    sandboxUrl,
    servers,
    secrets,
    urls,
    processes,
    running,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Started {
  readonly urls: Map<string, string>;
  readonly processes: Map<string, ServiceChild>;
  readonly running: ReadonlyMap<string, AsyncDisposable>;
}

type EnvironmentOf = (service: ServiceEntry, port: number) => Environment;

async function startInOneProcess(
  stack: AsyncDisposableStack,
  environmentOf: EnvironmentOf,
  log: Logger,
): Promise<Started> {
  const starting = services.map(async (service): Promise<[string, RunningService]> => {
    const running = await service.start(
      environmentOf(service, 0),
      log.child({ service: service.name }),
    );
    return [service.name, stack.use(running)];
  });
  // All are awaited even when one fails, so that each one that did start is on the stack.
  const results = await Promise.allSettled(starting);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  const running = new Map(await Promise.all(starting));
  return { urls: urlsOf(running), processes: new Map(), running };
}

async function startProcesses(
  stack: AsyncDisposableStack,
  environmentOf: EnvironmentOf,
  log: Logger,
): Promise<Started> {
  const processes = new Map<string, ServiceChild>();
  for (const service of services) {
    const port = await freePort();
    const environment = environmentOf(service, port);
    const child = startServiceProcess({ name: service.name, port, environment, log });
    processes.set(service.name, stack.use(child));
  }
  await Promise.all([...processes.values()].map((child) => child.ready()));
  return { urls: urlsOf(processes), processes, running: processes };
}

const urlsOf = (running: ReadonlyMap<string, { readonly url: string }>): Map<string, string> =>
  new Map([...running].map(([name, { url }]) => [name, url]));

async function choosePublicOrigin(
  config: HouseConfig,
  progress: Progress,
): Promise<{ publicOrigin: string; port: number }> {
  const { publicOrigin, port } = config;
  if (await isPortFree(port)) return { publicOrigin, port };
  if (config.isPortGiven) throw new PortTakenError(port);
  const free = await freePort();
  progress.say(`  Port ${port} is taken; using ${free}. PUBLIC_ORIGIN sets another one.`);
  return { publicOrigin: `http://localhost:${free}`, port: free };
}
