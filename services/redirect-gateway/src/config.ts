import { type Environment, readEnvironment, settings } from '@rastro/runtime';

export type Config = ReturnType<typeof readConfig>;

/** @throws {ConfigError} naming every variable that is missing or wrong. */
export function readConfig(environment: Environment) {
  const env = readEnvironment(environment, {
    HOST: settings.host(),
    PORT: settings.port(8101),
    LOG_LEVEL: settings.logLevel(),
    PUBLIC_ORIGIN: settings.publicOrigin(),
    RASTRO_DATA_DIR: settings.dataDir(),
    NATS_URL: settings.natsUrl(),
    NATS_REPLICAS: settings.natsReplicas(),
    TRUSTED_PROXIES: settings.trustedProxies(),
    META_PIXEL_SCRIPT_URL: settings.metaPixelScriptUrl(),
    TELEGRAM_LINK_URL: settings.telegramLinkUrl(),
  });
  return {
    host: env.HOST,
    port: env.PORT,
    logLevel: env.LOG_LEVEL,
    publicOrigin: env.PUBLIC_ORIGIN,
    dataDir: env.RASTRO_DATA_DIR,
    natsUrl: env.NATS_URL,
    natsReplicas: env.NATS_REPLICAS,
    trustedProxies: env.TRUSTED_PROXIES,
    pixelScriptUrl: env.META_PIXEL_SCRIPT_URL,
    telegramLinkUrl: env.TELEGRAM_LINK_URL,
  };
}
