import { address, type Environment, readEnvironment, settings, wholeNumber } from '@rastro/runtime';
import { defaultFailover } from './core/failover.ts';
import { defaultSchedule } from './core/schedule.ts';

export type Config = ReturnType<typeof readConfig>;

const gatewayAddress = (name: string, example: string) =>
  address('http', 'https')({ default: example, desc: `${name}'s API`, example });

/** @throws {ConfigError} naming every variable that is missing or wrong. */
export function readConfig(environment: Environment) {
  const env = readEnvironment(environment, {
    HOST: settings.host(),
    PORT: settings.port(8104),
    LOG_LEVEL: settings.logLevel(),
    NATS_URL: settings.natsUrl(),
    NATS_REPLICAS: settings.natsReplicas(),
    POSTGRES_URL: settings.postgresUrl(),
    RASTRO_MASTER_KEY: settings.masterKey(),
    PUBLIC_ORIGIN: settings.publicOrigin(),
    TRUSTED_PROXIES: settings.trustedProxies(),
    MERCADOPAGO_API_URL: gatewayAddress('Mercado Pago', 'https://api.mercadopago.com'),
    PUSHINPAY_API_URL: gatewayAddress('PushinPay', 'https://api.pushinpay.com.br/api'),
    WOOVI_API_URL: gatewayAddress('Woovi', 'https://api.woovi.com'),
    ABACATEPAY_API_URL: gatewayAddress('AbacatePay', 'https://api.abacatepay.com'),
    PIX_EXPIRY_MINUTES: wholeNumber(
      1,
      7 * 24 * 60,
    )({ default: 30, desc: 'how long a PIX code can be paid', example: '30' }),
  });
  return {
    host: env.HOST,
    port: env.PORT,
    logLevel: env.LOG_LEVEL,
    natsUrl: env.NATS_URL,
    natsReplicas: env.NATS_REPLICAS,
    postgresUrl: env.POSTGRES_URL,
    masterKey: env.RASTRO_MASTER_KEY,
    publicOrigin: env.PUBLIC_ORIGIN,
    trustedProxies: env.TRUSTED_PROXIES,
    apiUrls: {
      mercadopago: env.MERCADOPAGO_API_URL,
      pushinpay: env.PUSHINPAY_API_URL,
      woovi: env.WOOVI_API_URL,
      abacatepay: env.ABACATEPAY_API_URL,
    },
    pixExpirySeconds: env.PIX_EXPIRY_MINUTES * 60,
    /** When gateways are asked again; not from the environment, since their terms fix it. */
    schedule: defaultSchedule,
    /** When the next account is tried; not from the environment, since our callers' waits fix it. */
    failover: defaultFailover,
    /**
     * How long webhooks are kept; not from the environment, since a reason fixes it: a payment can
     * be disputed for 80 days, and after that what the gateway said of it proves nothing any more.
     */
    webhookDays: 90,
  };
}
