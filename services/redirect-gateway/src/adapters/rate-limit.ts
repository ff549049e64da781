/**
 * How often a client may ask in an hour, counted in Redis by all gateways together, so that no
 * visitor ever waits for Redis: a request is judged from memory, and counted in the background.
 *
 * Nearly every visitor asks a few times and never again. So hits are gathered here until a client
 * has made a hundredth of its allowance, and only then told: Redis hears of the few who matter,
 * and a client gets at most a hundredth more from each gateway process than its allowance.
 */
import { clientNetwork, type Redis } from '@rastro/runtime';
import { LRUCache } from 'lru-cache';
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { OutageLog } from './outage-log.ts';

export interface RateLimitOptions {
  readonly redis: Redis;
  /** Of the keys in Redis, `<name>:<network>`. */
  readonly name: string;
  /** Hits an hour. */
  readonly perHour: number;
  readonly outage: OutageLog;
}

/** All addresses of a network together: who has a /64 has addresses without end. */
interface Client {
  readonly network: string;
  unreported: number;
}

/** Addresses that are not public are nobody's: all visitors behind a proxy might share one. */
const nobody = 'nobody';

const windowSeconds = 3_600;
const reportAfterMs = 50;
/** After a failure. */
const pauseMs = 1_000;
/** Kept of each kind, about 100 bytes each. */
const maxKept = 50_000;
const maxReports = 2_000;

export class RateLimit implements Disposable {
  readonly #options: RateLimitOptions;
  readonly #limiter: RateLimiterRedis;
  /** Hits after which Redis is told. */
  readonly #portion: number;
  /** By address as it came, so that it is read only once. */
  readonly #addresses = new LRUCache<string, Client | typeof nobody>({ max: maxKept });
  readonly #clients = new LRUCache<string, Client>({ max: maxKept });
  /** Networks that are over, with the time in ms at which they are let in again. */
  readonly #blocked = new LRUCache<string, number>({ max: maxKept });
  #reports = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #isReporting = false;
  #isStopped = false;

  constructor(options: RateLimitOptions) {
    this.#options = options;
    const { redis, name, perHour } = options;
    this.#portion = Math.max(1, Math.floor(perHour / 100));
    this.#limiter = new RateLimiterRedis({
      storeClient: redis,
      keyPrefix: name,
      points: perHour,
      duration: windowSeconds,
      rejectIfRedisNotReady: true,
    });
  }

  /** Seconds until this address is let in again; 0 when it is let in, which counts as a hit. */
  take(address: string): number {
    const client = this.#addresses.get(address) ?? this.#meet(address);
    if (client === nobody) return 0;
    const { network } = client;
    const wait = this.#blocked.size === 0 ? 0 : this.#waitOf(network);
    if (wait > 0) return wait;
    client.unreported += 1;
    if (client.unreported >= this.#portion) this.#report(network, client);
    return 0;
  }

  #meet(address: string): Client | typeof nobody {
    const network = clientNetwork(address);
    const client = network === null ? nobody : this.#clientOf(network);
    this.#addresses.set(address, client);
    return client;
  }

  /** Who is forgotten has told of all but a hundredth of its allowance. */
  #clientOf(network: string): Client {
    const known = this.#clients.get(network);
    if (known) return known;
    const client = { network, unreported: 0 };
    this.#clients.set(network, client);
    return client;
  }

  #waitOf(network: string): number {
    const untilMs = this.#blocked.get(network);
    if (untilMs === undefined) return 0;
    const waitMs = untilMs - Date.now();
    if (waitMs > 0) return Math.ceil(waitMs / 1_000);
    this.#blocked.delete(network);
    return 0;
  }

  #report(network: string, client: Client): void {
    const known = this.#reports.get(network);
    if (known === undefined && this.#reports.size >= maxReports) return; // open
    this.#reports.set(network, (known ?? 0) + client.unreported);
    client.unreported = 0;
    if (!this.#isReporting && !this.#isStopped) this.#later(reportAfterMs);
  }

  /** One round at a time: a Redis that hangs is owed no more than one. */
  async #tell(): Promise<void> {
    const reports = this.#reports;
    this.#timer = undefined;
    if (reports.size === 0) return;
    this.#reports = new Map();
    this.#isReporting = true;
    const outcomes = await Promise.all(
      [...reports].map(([network, hits]) => this.#consume(network, hits)),
    );
    if (this.#isStopped) return;
    this.#isReporting = false;
    const failure = outcomes.find((outcome) => outcome !== null);
    if (failure !== undefined) {
      this.#options.outage.report(failure);
      this.#later(pauseMs);
      return;
    }
    this.#options.outage.isOver();
    if (this.#reports.size > 0) this.#later(reportAfterMs);
  }

  #later(ms: number): void {
    this.#timer ??= setTimeout(() => void this.#tell(), ms).unref();
  }

  /** Null when it went well, whatever came of it. */
  async #consume(network: string, hits: number): Promise<unknown> {
    try {
      this.#note(network, await this.#limiter.consume(network, hits));
    } catch (error) {
      // The library rejects with a plain result when somebody is over.
      if (!(error instanceof RateLimiterRes)) return error;
      this.#note(network, error);
    }
    return null;
  }

  #note(network: string, { remainingPoints, msBeforeNext }: RateLimiterRes): void {
    if (remainingPoints > 0) return;
    this.#blocked.set(network, Date.now() + msBeforeNext);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#isStopped = true;
  }
}
