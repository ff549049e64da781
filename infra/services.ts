/** The seven services as the machine room sees them: what to start, where it keeps its rows. */
import { join } from 'node:path';
import { eventStoreMigrations, type MigrationFolder } from '@rastro/event-store';
import type { Environment, Logger, RunningService } from '@rastro/runtime';

export interface ServiceEntry {
  readonly name: string;
  /** Null for the gateway, which needs no database to answer. */
  readonly database: {
    readonly schema: string;
    readonly folders: readonly MigrationFolder[];
  } | null;
  /** Public paths that the edge sends here, longest first where they overlap. */
  readonly paths: readonly string[];
  /** Checks the environment and starts, in the calling process. */
  readonly start: (environment: Environment, log: Logger) => Promise<RunningService>;
}

export const repository = join(import.meta.dirname, '..');

/** What a process of its own runs. */
export const mainFile = (service: string): string =>
  join(repository, 'services', service, 'src/main.ts');

const ownMigrations = (service: string): MigrationFolder => ({
  name: 'service',
  path: join(repository, 'services', service, 'migrations'),
});

/** A schema with the event store's tables in it. */
const eventSourced = (service: string, schema: string) => ({
  schema,
  folders: [eventStoreMigrations, ownMigrations(service)],
});

/** A schema of the service's own tables alone. */
const plain = (service: string, schema: string) => ({ schema, folders: [ownMigrations(service)] });

/** Loads a service only when it is started: the command line has no use for the code of seven. */
function starting<C>(
  loadConfig: () => Promise<{ readConfig: (environment: Environment) => C }>,
  loadService: () => Promise<{
    startService: (config: C, log: Logger) => Promise<RunningService>;
  }>,
): ServiceEntry['start'] {
  return async (environment, log) => {
    const [{ readConfig }, { startService }] = await Promise.all([loadConfig(), loadService()]);
    return startService(readConfig(environment), log);
  };
}

export const services: readonly ServiceEntry[] = [
  {
    name: 'operator-console',
    database: plain('operator-console', 'catalog'),
    paths: ['/api/v1', '/console'],
    start: starting(
      () => import('@rastro/operator-console/config'),
      () => import('@rastro/operator-console/service'),
    ),
  },
  {
    name: 'tracking-store',
    database: plain('tracking-store', 'tracking'),
    paths: ['/api/tracking'],
    start: starting(
      () => import('@rastro/tracking-store/config'),
      () => import('@rastro/tracking-store/service'),
    ),
  },
  {
    name: 'redirect-gateway',
    database: null,
    paths: ['/go', '/api/tracking/cookies'],
    start: starting(
      () => import('@rastro/redirect-gateway/config'),
      () => import('@rastro/redirect-gateway/service'),
    ),
  },
  {
    name: 'payment-confirmer',
    database: eventSourced('payment-confirmer', 'payments'),
    paths: ['/webhooks'],
    start: starting(
      () => import('@rastro/payment-confirmer/config'),
      () => import('@rastro/payment-confirmer/service'),
    ),
  },
  {
    name: 'bot-funnel',
    database: eventSourced('bot-funnel', 'funnel'),
    paths: ['/telegram'],
    start: starting(
      () => import('@rastro/bot-funnel/config'),
      () => import('@rastro/bot-funnel/service'),
    ),
  },
  {
    name: 'delivery-web',
    database: eventSourced('delivery-web', 'delivery'),
    paths: ['/delivery'],
    start: starting(
      () => import('@rastro/delivery-web/config'),
      () => import('@rastro/delivery-web/service'),
    ),
  },
  {
    name: 'capi-dispatcher',
    database: eventSourced('capi-dispatcher', 'capi'),
    paths: [],
    start: starting(
      () => import('@rastro/capi-dispatcher/config'),
      () => import('@rastro/capi-dispatcher/service'),
    ),
  },
];
