/**
 * Answers in Redis under `tracking:<token>`. A copy is only ever used when it has the version that
 * Postgres names, so a lost invalidation cannot make an old answer pass for a new one.
 */
import { parseJson } from '@rastro/events';
import type { Logger, Redis } from '@rastro/runtime';
import type { TrackingAnswer } from '../core/journey.ts';

export interface CachedAnswer {
  readonly workspaceId: string;
  readonly version: number;
  readonly answer: TrackingAnswer;
}

export interface AnswerCache {
  /** Undefined when it is not there or Redis cannot be asked. */
  read(trackingToken: string): Promise<CachedAnswer | undefined>;
  write(trackingToken: string, entry: CachedAnswer): void;
  /** Frees what nobody may use any more. */
  drop(trackingTokens: readonly string[]): void;
}

const ttlSeconds = 30 * 24 * 60 * 60;
/** A hanging Redis must not make us slower than no Redis. */
const patienceMs = 200;

const keyOf = (trackingToken: string): string => `tracking:${trackingToken}`;

export function createAnswerCache(redis: Redis, log: Logger): AnswerCache {
  const ignore = (error: unknown): undefined => {
    log.debug({ err: error }, 'the cache was not reached');
    return undefined;
  };
  return {
    async read(trackingToken) {
      const timeout = Promise.withResolvers<null>();
      const timer = setTimeout(() => timeout.resolve(null), patienceMs);
      const text = await Promise.race([
        redis.get(keyOf(trackingToken)).catch(ignore),
        timeout.promise,
      ]);
      clearTimeout(timer);
      const parsed = text ? parseJson(text) : undefined;
      return parsed?.ok ? (parsed.value as CachedAnswer) : undefined;
    },
    write(trackingToken, entry) {
      redis.set(keyOf(trackingToken), JSON.stringify(entry), 'EX', ttlSeconds).catch(ignore);
    },
    drop(trackingTokens) {
      if (trackingTokens.length === 0) return;
      redis.unlink(trackingTokens.map(keyOf)).catch(ignore);
    },
  };
}
