/** How a process lives: starts, says what it is, drains on SIGTERM, exits with a meaning. */
import { ConfigError, type Environment } from './environment.ts';
import { createLogger, type Logger } from './logger.ts';

/** A started service; disposing of it drains what is under way. */
export interface RunningService extends AsyncDisposable {
  /** Base URL, e.g. `http://127.0.0.1:8101`. */
  readonly url: string;
}

const drainTimeoutMs = 15_000;

export interface ServiceProcess<C extends { readonly logLevel: string }> {
  readonly name: string;
  readonly readConfig: (environment: Environment) => C;
  readonly startService: (config: C, log: Logger) => Promise<RunningService>;
}

/** Runs one service until a signal. Exit codes: 0 drained, 1 failed, 2 wrong configuration. */
export async function runService<C extends { readonly logLevel: string }>(
  service: ServiceProcess<C>,
  environment: Environment,
): Promise<void> {
  const config = readConfig(service, environment);
  if (config === null) return endProcess(2);
  const log = createLogger({ service: service.name, level: config.logLevel });
  process.on('uncaughtException', (error) => exitAfter(log, error));
  process.on('unhandledRejection', (error) => exitAfter(log, error));
  // A file that may not grow (`ulimit -f`) fails its write, which we can handle; by default the
  // signal would end the process.
  process.on('SIGXFSZ', () => log.debug('a file has reached the limit of its size'));
  const stopping = nextSignal();
  const running = await service.startService(config, log);
  log.info({ url: running.url }, 'ready');
  const signal = await stopping;
  log.info({ signal }, 'draining');
  setTimeout(
    () => exitAfter(log, new Error(`not drained within ${drainTimeoutMs} ms`)),
    drainTimeoutMs,
  ).unref();
  await running[Symbol.asyncDispose]();
  log.info('stopped');
  endProcess(0);
}

/** Null when it is wrong, which has been said then. */
function readConfig<C extends { readonly logLevel: string }>(
  service: ServiceProcess<C>,
  environment: Environment,
): C | null {
  try {
    return service.readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${service.name}: ${error.message}\n`);
    return null;
  }
}

/** How long something that was not closed may keep a process that is done. */
const lingerMs = 1_000;

/**
 * For whoever is done and has closed everything: the process ends by itself, having nothing left to
 * do. `process.exit` at once may hang for ever (decision 030), and is for what must not go on.
 */
export function endProcess(exitCode: number): void {
  process.exitCode = exitCode;
  setTimeout(() => process.exit(), lingerMs).unref();
}

/** The first signal asks to drain; a second one ends the process at once. */
export function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolve(signal);
        process.once(signal, () => process.exit(1));
      });
    }
  });
}

function exitAfter(log: Logger, error: unknown): void {
  log.fatal({ err: error }, 'stopping after an error that nothing handles');
  process.exit(1);
}
