/** Each service's environment, the same whether it shares our process or has its own. */
import { type Environment } from '@rastro/runtime';
import type { HouseConfig } from './config.ts';
import { rolePassword, roleUrl } from './database.ts';
import type { HouseServers } from './house-servers.ts';
import type { HouseSecrets } from './secrets.ts';
import type { ServiceEntry } from './services.ts';

/** Those that open sealed secrets; nobody else is given the key. */
const keyHolders = new Set(['bot-funnel', 'payment-confirmer', 'capi-dispatcher']);

/** What the sandbox stands in for, unless the environment says otherwise. */
export function vendorAddresses(sandboxUrl: string | null): Environment {
  if (sandboxUrl === null) return {};
  return {
    META_GRAPH_URL: `${sandboxUrl}/graph`,
    META_PIXEL_SCRIPT_URL: `${sandboxUrl}/pixel/fbevents.js`,
    TELEGRAM_API_URL: `${sandboxUrl}/telegram`,
    TELEGRAM_LINK_URL: `${sandboxUrl}/t.me`,
    MERCADOPAGO_API_URL: `${sandboxUrl}/mercadopago`,
    PUSHINPAY_API_URL: `${sandboxUrl}/pushinpay`,
    WOOVI_API_URL: `${sandboxUrl}/woovi`,
    ABACATEPAY_API_URL: `${sandboxUrl}/abacatepay`,
    SANDBOX_URL: sandboxUrl,
  };
}

export function serviceEnvironment(options: {
  config: HouseConfig;
  service: ServiceEntry;
  servers: Pick<HouseServers, 'natsUrl' | 'postgresUrl' | 'redisUrl'>;
  secrets: HouseSecrets;
  publicOrigin: string;
  sandboxUrl: string | null;
  port: number;
}): Environment {
  const { config, service, servers, secrets, publicOrigin, sandboxUrl, port } = options;
  const { PATH, RASTRO_MASTER_KEY: _notForAll, ...given } = config.environment;
  const schema = service.database?.schema;
  const password = schema && rolePassword(schema, secrets.masterKey, config.environment);
  return {
    ...(PATH === undefined ? {} : { PATH }),
    ...vendorAddresses(sandboxUrl),
    ...given,
    LOG_LEVEL: config.logLevel,
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_ORIGIN: publicOrigin,
    RASTRO_DATA_DIR: config.dataDir,
    RASTRO_API_KEY: secrets.apiKey,
    NATS_URL: servers.natsUrl,
    REDIS_URL: servers.redisUrl,
    ...(schema && password ? { POSTGRES_URL: roleUrl(servers.postgresUrl, schema, password) } : {}),
    ...(keyHolders.has(service.name) ? { RASTRO_MASTER_KEY: secrets.masterKey } : {}),
  };
}
