/** What the all-in-one and the command line read from the environment. */
import { resolve } from 'node:path';
import {
  address,
  type Environment,
  oneOf,
  readEnvironment,
  settings,
  wholeNumber,
} from '@rastro/runtime';
import { repository } from './services.ts';

export type HouseConfig = ReturnType<typeof readHouseConfig>;

const optionalAddress = (desc: string, example: string, ...schemes: string[]) =>
  address(...schemes)({ default: undefined, desc, example });

/** @throws {ConfigError} naming every variable that is wrong. */
export function readHouseConfig(environment: Environment) {
  const env = readEnvironment(environment, {
    PUBLIC_ORIGIN: settings.publicOrigin(),
    HOST: settings.host(),
    PORT: wholeNumber(
      1,
      65_535,
    )({
      default: undefined,
      desc: 'port of the edge; unset: that of PUBLIC_ORIGIN, or 8080 behind TLS',
      example: '8080',
    }),
    RASTRO_DATA_DIR: settings.dataDir(),
    // A person at a terminal wants to know where to click; LOG_LEVEL=info tells the rest.
    LOG_LEVEL: settings.logLevel('warn'),
    SANDBOX: oneOf(
      'on',
      'off',
    )({ default: 'on', desc: 'stand-ins for Meta, Telegram and PIX', example: 'off' }),
    NATS_URL: optionalAddress(
      'NATS server; unset: a private one',
      'nats://127.0.0.1:4222',
      'nats',
      'tls',
    ),
    POSTGRES_URL: optionalAddress(
      'Postgres with the right to create schemas and roles; unset: a private one',
      'postgres://postgres:password@127.0.0.1:5432/rastro',
      'postgres',
      'postgresql',
    ),
    REDIS_URL: optionalAddress(
      'Redis; unset: a private one',
      'redis://127.0.0.1:6379',
      'redis',
      'rediss',
    ),
    TELEGRAM_API_URL: optionalAddress(
      "Telegram's Bot API; unset: the sandbox's, or Telegram's own",
      'https://api.telegram.org',
      'http',
      'https',
    ),
  });
  return {
    environment,
    publicOrigin: env.PUBLIC_ORIGIN,
    /** A port that somebody chose is not exchanged for a free one behind their back. */
    isPortGiven: Boolean(environment['PUBLIC_ORIGIN'] ?? environment['PORT']),
    host: env.HOST,
    port: env.PORT ?? portOf(env.PUBLIC_ORIGIN),
    dataDir: resolve(repository, env.RASTRO_DATA_DIR),
    logLevel: env.LOG_LEVEL,
    isSandboxOn: env.SANDBOX === 'on',
    natsUrl: env.NATS_URL,
    postgresUrl: env.POSTGRES_URL,
    redisUrl: env.REDIS_URL,
    telegramApiUrl: env.TELEGRAM_API_URL,
  };
}

/** Behind TLS somebody else listens on the public port and forwards to ours. */
function portOf(publicOrigin: string): number {
  const url = new URL(publicOrigin);
  return url.protocol === 'https:' ? 8080 : Number(url.port || 80);
}
