/** How the command line finds the house: the environment first, else what runs in the data folder. */
import { readGraphConfig } from '@rastro/capi-dispatcher/config';
import { connectNats, type Nats } from '@rastro/messaging';
import { ConfigError, createLogger } from '@rastro/runtime';
import { type HouseConfig, readHouseConfig } from '../config.ts';
import { vendorAddresses } from '../house-environment.ts';
import { findRunning } from '../running.ts';
import { type HouseSecrets, houseSecrets } from '../secrets.ts';

export interface Connection {
  readonly config: HouseConfig;
  readonly secrets: HouseSecrets;
  readonly consoleUrl: string;
  /** Of the Bot API that the running house's bots use. */
  readonly telegramApiUrl: string;
  /** The Graph API that the running house sends conversions to. */
  readonly graph: ReturnType<typeof readGraphConfig>;
  readonly postgresUrl: () => string;
  /** Undefined where nobody told; a cache can be done without. */
  readonly redisUrl: string | undefined;
  readonly natsUrl: () => string;
  /** Where visitors reach the house: of the running one, else as the environment has it. */
  readonly publicOrigin: string;
  /** Null where the house speaks to the real ones. */
  readonly sandboxUrl: string | null;
  readonly nats: () => Promise<Nats>;
}

/** @throws {ConfigError} when an address is needed that neither the environment nor a house gives. */
export function connection(): Connection {
  const config = readHouseConfig(process.env);
  const running = findRunning(config.dataDir);
  const vendors = vendorAddresses(running?.sandboxUrl ?? null);
  function need(name: string, given: string | undefined): string {
    if (given !== undefined) return given;
    throw new ConfigError([
      `${name} is not set, and no Rastro runs in ${config.dataDir} (npm start)`,
    ]);
  }
  const natsUrl = (): string => need('NATS_URL', config.natsUrl ?? running?.natsUrl);
  return {
    config,
    secrets: houseSecrets(config.dataDir, config.environment),
    consoleUrl: running?.consoleUrl ?? config.publicOrigin,
    telegramApiUrl:
      config.telegramApiUrl ?? vendors['TELEGRAM_API_URL'] ?? 'https://api.telegram.org',
    graph: readGraphConfig({ ...vendors, ...config.environment }),
    postgresUrl: () => need('POSTGRES_URL', config.postgresUrl ?? running?.postgresUrl),
    redisUrl: config.redisUrl ?? running?.redisUrl,
    natsUrl,
    publicOrigin: running?.publicOrigin ?? config.publicOrigin,
    sandboxUrl: running?.sandboxUrl ?? null,
    nats: () => connectSoon(natsUrl()),
  };
}

const connectWithinMs = 10_000;

/** A service waits for NATS as long as it takes; a person at a terminal does not. */
async function connectSoon(url: string): Promise<Nats> {
  const log = createLogger({ service: 'cli', level: 'error' });
  const timer = setTimeout(() => {
    process.stderr.write(
      `NATS at ${new URL(url).host} did not answer within ${connectWithinMs} ms.\n`,
    );
    process.exit(1);
  }, connectWithinMs);
  const nats = await connectNats({ url, name: 'rastro-cli', log });
  clearTimeout(timer);
  return nats;
}
