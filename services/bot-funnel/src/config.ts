import { type Environment, oneOf, readEnvironment, settings } from '@rastro/runtime';

export type Config = ReturnType<typeof readConfig>;

/** @throws {ConfigError} naming every variable that is missing or wrong. */
export function readConfig(environment: Environment) {
  const env = readEnvironment(environment, {
    HOST: settings.host(),
    PORT: settings.port(8103),
    LOG_LEVEL: settings.logLevel(),
    NATS_URL: settings.natsUrl(),
    NATS_REPLICAS: settings.natsReplicas(),
    POSTGRES_URL: settings.postgresUrl(),
    PUBLIC_ORIGIN: settings.publicOrigin(),
    RASTRO_MASTER_KEY: settings.masterKey(),
    TELEGRAM_API_URL: settings.telegramApiUrl(),
    TELEGRAM_UPDATES: oneOf(
      'auto',
      'webhook',
      'polling',
    )({ default: 'auto', desc: 'how updates reach us', example: 'polling' }),
    TRUSTED_PROXIES: settings.trustedProxies(),
  });
  // Telegram calls https addresses only; everywhere else we have to ask.
  const fitting = env.PUBLIC_ORIGIN.startsWith('https:') ? 'webhook' : 'polling';
  return {
    host: env.HOST,
    port: env.PORT,
    logLevel: env.LOG_LEVEL,
    natsUrl: env.NATS_URL,
    natsReplicas: env.NATS_REPLICAS,
    postgresUrl: env.POSTGRES_URL,
    publicOrigin: env.PUBLIC_ORIGIN,
    masterKey: env.RASTRO_MASTER_KEY,
    telegramApiUrl: env.TELEGRAM_API_URL,
    telegramUpdates: env.TELEGRAM_UPDATES === 'auto' ? fitting : env.TELEGRAM_UPDATES,
    trustedProxies: env.TRUSTED_PROXIES,
  } as const;
}
