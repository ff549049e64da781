/** What Redis is for here: counting who asks how often, and knowing whose a token is. */
import { connectRedis, type Logger } from '@rastro/runtime';
import { createOutageLog } from './adapters/outage-log.ts';
import { RateLimit } from './adapters/rate-limit.ts';
import { createLookUp, type LookUp } from './adapters/token-index.ts';
import { clientLimit, createProxyWarning, unlimited, type WaitOf } from './client-limit.ts';
import type { Config } from './config.ts';

export interface SharedMemory extends Disposable {
  readonly clickWaitOf: WaitOf;
  readonly beaconWaitOf: WaitOf;
  readonly lookUp: LookUp;
}

/** Nobody waits for it, so that a server that hangs costs as little as one that is gone. */
const patienceMs = 1_000;
/** A page tells again whenever its cookies have changed. */
const beaconsPerClick = 4;

export function connectSharedMemory(
  { redisUrl, rateLimitPerHour }: Pick<Config, 'redisUrl' | 'rateLimitPerHour'>,
  service: string,
  log: Logger,
): SharedMemory {
  using stack = new DisposableStack();
  const redis = connectRedis({ url: redisUrl, service, log, patienceMs });
  stack.defer(() => redis.disconnect());
  const outage = createOutageLog(log);
  const warn = createProxyWarning(log);
  const limit = (name: string, perHour: number): WaitOf => {
    if (perHour === 0) return unlimited;
    const rateLimit = stack.use(new RateLimit({ redis, name, perHour, outage }));
    return clientLimit(rateLimit.take.bind(rateLimit), warn);
  };
  const clickWaitOf = limit('rate:click', rateLimitPerHour);
  const beaconWaitOf = limit('rate:beacon', rateLimitPerHour * beaconsPerClick);
  const owned = stack.move();
  return {
    clickWaitOf,
    beaconWaitOf,
    lookUp: createLookUp(redis, outage),
    [Symbol.dispose]: () => owned.dispose(),
  };
}
