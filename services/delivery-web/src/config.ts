import { type Environment, readEnvironment, settings } from '@rastro/runtime';

export type Config = ReturnType<typeof readConfig>;

/** @throws {ConfigError} naming every variable that is missing or wrong. */
export function readConfig(environment: Environment) {
  const env = readEnvironment(environment, {
    HOST: settings.host(),
    PORT: settings.port(8105),
    LOG_LEVEL: settings.logLevel(),
    PUBLIC_ORIGIN: settings.publicOrigin(),
    NATS_URL: settings.natsUrl(),
    NATS_REPLICAS: settings.natsReplicas(),
    POSTGRES_URL: settings.postgresUrl(),
    TRUSTED_PROXIES: settings.trustedProxies(),
    META_PIXEL_SCRIPT_URL: settings.metaPixelScriptUrl(),
  });
  return {
    host: env.HOST,
    port: env.PORT,
    logLevel: env.LOG_LEVEL,
    publicOrigin: env.PUBLIC_ORIGIN,
    natsUrl: env.NATS_URL,
    natsReplicas: env.NATS_REPLICAS,
    postgresUrl: env.POSTGRES_URL,
    trustedProxies: env.TRUSTED_PROXIES,
    pixelScriptUrl: env.META_PIXEL_SCRIPT_URL,
  };
}
