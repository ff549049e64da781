/**
 * Answers in Redis: `tracking:<token>` holds what is known of a token, `tracking:fbclid:<fbclid>`
 * the token of a click id. A copy is only ever used when it is of the very row that Postgres has,
 * so a lost write cannot make an old answer pass for a new one.
 */
import { parseJson } from '@rastro/events';
import type { Logger, Redis } from '@rastro/runtime';
import type { TrackingAnswer } from '../core/journey.ts';

export interface CachedAnswer {
  readonly workspaceId: string;
  /** Number of events in the session. */
  readonly version: number;
  /** Changes with each write of the session's row, also one that leaves the version as it was. */
  readonly rowId: string;
  readonly session: TrackingAnswer['session'];
  /** Null where it was not known; whoever reads composes it. */
  readonly journey: TrackingAnswer['journey'] | null;
}

export interface CacheWrite {
  readonly trackingToken: string;
  readonly entry: CachedAnswer;
  /** Of a click that was just stored. */
  readonly fbclid: string | null;
}

export interface AnswerCache {
  /** Undefined when it is not there or Redis cannot be asked. */
  read(trackingToken: string): Promise<CachedAnswer | undefined>;
  /** The token that was stored last with this click id. */
  tokenOf(fbclid: string): Promise<string | undefined>;
  /** Not waited for; given up when Redis is away or does not keep up. */
  write(writes: readonly CacheWrite[]): void;
  /** Frees what nobody may use any more. */
  drop(trackingTokens: readonly string[]): void;
}

const ttlSeconds = 30 * 24 * 60 * 60;
/** A hanging Redis must not make us slower than no Redis. */
const patienceMs = 200;
/** Sent at once, and sets of them that may be under way: together a bound on what waits here. */
const writesAtOnce = 500;
const maxUnderWay = 8;

const keyOf = (trackingToken: string): string => `tracking:${trackingToken}`;
const clickKeyOf = (fbclid: string): string => `tracking:fbclid:${fbclid}`;

export function createAnswerCache(redis: Redis, log: Logger): AnswerCache {
  let underWay = 0;
  const ignore = (error: unknown): undefined => {
    log.debug({ err: error }, 'the cache was not reached');
    return undefined;
  };
  async function get(key: string): Promise<string | null | undefined> {
    const timeout = Promise.withResolvers<null>();
    const timer = setTimeout(() => timeout.resolve(null), patienceMs);
    const text = await Promise.race([redis.get(key).catch(ignore), timeout.promise]);
    clearTimeout(timer);
    return text;
  }
  async function send(writes: readonly CacheWrite[]): Promise<void> {
    const pipeline = redis.pipeline();
    for (const { trackingToken, entry, fbclid } of writes) {
      pipeline.set(keyOf(trackingToken), JSON.stringify(entry), 'EX', ttlSeconds);
      if (fbclid !== null) pipeline.set(clickKeyOf(fbclid), trackingToken, 'EX', ttlSeconds);
    }
    underWay += 1;
    await pipeline.exec().catch(ignore);
    underWay -= 1;
  }
  return {
    async read(trackingToken) {
      const text = await get(keyOf(trackingToken));
      const parsed = text ? parseJson(text) : undefined;
      return parsed?.ok ? (parsed.value as CachedAnswer) : undefined;
    },
    async tokenOf(fbclid) {
      return (await get(clickKeyOf(fbclid))) ?? undefined;
    },
    write(writes) {
      for (let i = 0; i < writes.length; i += writesAtOnce) {
        if (redis.status !== 'ready' || underWay >= maxUnderWay) return;
        void send(writes.slice(i, i + writesAtOnce));
      }
    },
    drop(trackingTokens) {
      if (trackingTokens.length === 0) return;
      redis.unlink(trackingTokens.map(keyOf)).catch(ignore);
    },
  };
}
