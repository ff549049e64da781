import { address, type Environment, readEnvironment, settings, wholeNumber } from '@rastro/runtime';

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
    REDIS_URL: settings.redisUrl(),
    RATE_LIMIT_PER_HOUR: wholeNumber(
      0,
      1_000_000_000,
    )({ default: 10_000, desc: 'ad links a client may open in an hour; 0: any', example: '10000' }),
    TRUSTED_PROXIES: settings.trustedProxies(),
    META_PIXEL_SCRIPT_URL: settings.metaPixelScriptUrl(),
    UTMIFY_PIXEL_SCRIPT_URL: address(
      'http',
      'https',
    )({
      default: 'https://cdn.utmify.com.br/scripts/pixel/pixel.js',
      desc: "UTMify's pixel script",
      example: 'https://cdn.utmify.com.br/scripts/pixel/pixel.js',
    }),
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
    redisUrl: env.REDIS_URL,
    rateLimitPerHour: env.RATE_LIMIT_PER_HOUR,
    trustedProxies: env.TRUSTED_PROXIES,
    pixelScriptUrl: env.META_PIXEL_SCRIPT_URL,
    utmifyScriptUrl: env.UTMIFY_PIXEL_SCRIPT_URL,
    telegramLinkUrl: env.TELEGRAM_LINK_URL,
  };
}
