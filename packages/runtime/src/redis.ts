import { Redis } from 'ioredis';
import type { Logger } from './logger.ts';

export type { Redis } from 'ioredis';

export interface RedisOptions {
  readonly url: string;
  readonly service: string;
  readonly log: Logger;
  /**
   * Commands fail after this long, and a server that says nothing for three times as long is
   * left, so that what it owes does not pile up; commands of one turn share a write.
   */
  readonly patienceMs?: number;
}

/** Redis is only ever a cache: commands fail at once while it is away, and it comes back by itself. */
export function connectRedis({ url, service, log, patienceMs }: RedisOptions): Redis {
  const impatient =
    patienceMs === undefined
      ? {}
      : { commandTimeout: patienceMs, socketTimeout: 3 * patienceMs, enableAutoPipelining: true };
  const redis = new Redis(url, {
    connectionName: service,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    ...impatient,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(100 * 2 ** attempt, 5_000),
  });
  redis.on('error', (error) => log.debug({ err: error }, 'redis is away'));
  redis.on('ready', () => log.debug('redis is ready'));
  return redis;
}
