export { findBinary } from './binary.ts';
export { ServerError, type ServerErrorCode } from './error.ts';
export { reloadNats, startNats, workspacesFile } from './nats.ts';
export { freePort, isPortFree } from './port.ts';
export { startPostgres } from './postgres.ts';
export { startRedis } from './redis.ts';
export type { ServerOptions, ServerProcess } from './server-process.ts';
