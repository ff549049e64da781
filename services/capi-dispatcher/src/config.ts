import { type Environment, readEnvironment, settings, text } from '@rastro/runtime';
import { defaultPace } from './core/pace.ts';

export type Config = ReturnType<typeof readConfig>;

const graphVariables = () => ({
  META_GRAPH_URL: settings.metaGraphUrl(),
  META_GRAPH_VERSION: text({
    default: 'v26.0',
    desc: 'version of the Graph API',
    example: 'v26.0',
  }),
});

/**
 * Where Meta answers, for who calls it without being the service.
 * @throws {ConfigError} naming every variable that is wrong.
 */
export function readGraphConfig(environment: Environment) {
  const env = readEnvironment(environment, graphVariables());
  return { url: env.META_GRAPH_URL, version: env.META_GRAPH_VERSION };
}

/** @throws {ConfigError} naming every variable that is missing or wrong. */
export function readConfig(environment: Environment) {
  const env = readEnvironment(environment, {
    HOST: settings.host(),
    PORT: settings.port(8106),
    LOG_LEVEL: settings.logLevel(),
    NATS_URL: settings.natsUrl(),
    NATS_REPLICAS: settings.natsReplicas(),
    POSTGRES_URL: settings.postgresUrl(),
    RASTRO_MASTER_KEY: settings.masterKey(),
    PUBLIC_ORIGIN: settings.publicOrigin(),
    ...graphVariables(),
    TRUSTED_PROXIES: settings.trustedProxies(),
    IP_RETENTION_DAYS: settings.ipRetentionDays(),
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
    graphUrl: env.META_GRAPH_URL,
    graphVersion: env.META_GRAPH_VERSION,
    trustedProxies: env.TRUSTED_PROXIES,
    ipDays: env.IP_RETENTION_DAYS,
    pace: defaultPace,
  };
}
