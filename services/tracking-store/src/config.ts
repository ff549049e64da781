import { type Environment, readEnvironment, settings, wholeNumber } from '@rastro/runtime';

/** How long what is kept; also for the command line. */
const retention = {
  IP_RETENTION_DAYS: settings.ipRetentionDays(),
  EVENT_RETENTION_MONTHS: wholeNumber(
    0,
    1_200,
  )({
    default: 0,
    desc: 'months of events that are kept besides the one that runs; 0: all',
    example: '24',
  }),
};

/** @throws {ConfigError} */
export function readRetentionRules(environment: Environment) {
  const env = readEnvironment(environment, retention);
  return { ipDays: env.IP_RETENTION_DAYS, eventMonths: env.EVENT_RETENTION_MONTHS };
}

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
    ...retention,
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
    retention: { ipDays: env.IP_RETENTION_DAYS, eventMonths: env.EVENT_RETENTION_MONTHS },
  };
}
