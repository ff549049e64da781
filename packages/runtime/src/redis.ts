import { Redis } from 'ioredis';
import type { Logger } from './logger.ts';

export type { Redis } from 'ioredis';

/** Redis is only ever a cache: commands fail at once while it is away, and it comes back by itself. */
export function connectRedis(options: { url: string; service: string; log: Logger }): Redis {
  const { url, service, log } = options;
  const redis = new Redis(url, {
    connectionName: service,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(100 * 2 ** attempt, 5_000),
  });
  redis.on('error', (error) => log.debug({ err: error }, 'redis is away'));
  redis.on('ready', () => log.debug('redis is ready'));
  return redis;
}
