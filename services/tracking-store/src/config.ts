import { type Environment, readEnvironment, settings } from '@rastro/runtime';

export type Config = ReturnType<typeof readConfig>;

/** @throws {ConfigError} naming every variable that is missing or wrong. */
export function readConfig(environment: Environment) {
  const env = readEnvironment(environment, {
    HOST: settings.host(),
    PORT: settings.port(8102),
    LOG_LEVEL: settings.logLevel(),
    NATS_URL: settings.natsUrl(),
    NATS_REPLICAS: settings.natsReplicas(),
    POSTGRES_URL: settings.postgresUrl(),
    REDIS_URL: settings.redisUrl(),
    RASTRO_API_KEY: settings.apiKey(),
    TRUSTED_PROXIES: settings.trustedProxies(),
  });
  return {
    host: env.HOST,
    port: env.PORT,
    logLevel: env.LOG_LEVEL,
    natsUrl: env.NATS_URL,
    natsReplicas: env.NATS_REPLICAS,
    postgresUrl: env.POSTGRES_URL,
    redisUrl: env.REDIS_URL,
    apiKey: env.RASTRO_API_KEY,
    trustedProxies: env.TRUSTED_PROXIES,
  };
}
