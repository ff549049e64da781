export { requireApiKey } from './api-key.ts';
export { clientNetwork, publicIp, truncatedIp } from './client-ip.ts';
export {
  address,
  ConfigError,
  type Environment,
  oneOf,
  proxyList,
  readEnvironment,
  secret,
  text,
  wholeNumber,
} from './environment.ts';
export {
  addHealthRoutes,
  addProcessMetrics,
  Counter,
  createMetrics,
  Gauge,
  Histogram,
  type ReadinessCheck,
  type Registry,
} from './health.ts';
export { jsonForScript } from './html.ts';
export {
  createHttpServer,
  type HttpServer,
  type HttpServerOptions,
  listen,
} from './http-server.ts';
export { type HourlyOptions, startHourly } from './hourly.ts';
export { idAtTime, newId, newToken, sha256Hex } from './ids.ts';
export { createLogger, type Logger } from './logger.ts';
export {
  checkPostgres,
  connectPostgres,
  type Queryable,
  type Sql,
  type Transaction,
} from './postgres.ts';
export {
  type HeadersOf,
  newPageNonces,
  type PageNonces,
  pixelPageHeaders,
  preparedPageHeaders,
} from './page-headers.ts';
export { Problem } from './problem.ts';
export {
  endProcess,
  nextSignal,
  type RunningService,
  runService,
  type ServiceProcess,
} from './process.ts';
export { connectRedis, type Redis } from './redis.ts';
export { deriveSecret, isSameSecret, openSecret, SealError, sealSecret } from './secrets.ts';
export { settings } from './settings.ts';
