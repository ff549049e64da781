/** Looks after the lanes: which has something due, which pixel is to be tried again, and when. */
import type { Logger, Sql } from '@rastro/runtime';
import { setTimeout as delay } from 'node:timers/promises';
import { expireParked } from './adapters/closures.ts';
import { tellParked, tellResumed } from './adapters/pixel-alarms.ts';
import {
  type AgendaItem,
  hasNothingToProbe,
  moveParkedRows,
  parkPixel,
  postponeProbe,
  readAgenda,
  resumePixel,
} from './adapters/pixels.ts';
import { settleLostLeases } from './adapters/settlements.ts';
import type { Tokens } from './adapters/tokens.ts';
import type { Pace } from './core/pace.ts';
import type { Errand } from './sender.ts';

export interface DispatcherOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly pace: Pace;
  readonly answered: ReadonlySet<string>;
  readonly tokens: Tokens;
  readonly sender: {
    drain(errand: Errand): Promise<void>;
    probe(errand: Errand): Promise<boolean>;
  };
  readonly stopping: AbortController;
}

export interface Dispatcher extends AsyncDisposable {
  /** Something may be due, or a token may be new. */
  wake(): void;
}

/** How long nothing is looked at when nobody wakes us: covers what other processes schedule. */
const idleMs = 1_000;
const sweepEveryMs = 500;
/** A lane that came to nothing rests, so that a failing database is not asked in a loop. */
const restMs = 500;
/**
 * A query hangs while nobody notices that its server is gone: without a word from it, until TCP
 * gives up, many minutes later. The look at the agenda is begun anew by then; for lanes that hang
 * see {@link Pace.laneBoundMs}.
 */
const tickBoundMs = 30_000;

export function startDispatcher(options: DispatcherOptions): Dispatcher {
  const watch = new Watch(options);
  const running = watch.run();
  return {
    wake: () => watch.wake(),
    [Symbol.asyncDispose]: async () => {
      options.stopping.abort();
      watch.wake();
      await running;
      await within(options.pace.leaseMs, watch.idle()).catch(() => {});
    },
  };
}

/** @throws when it takes longer; what it was doing goes on unobserved. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`not done within ${ms} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    late.catch(() => {});
    timer.abort();
  }
}

class Watch {
  readonly #options: DispatcherOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #restingUntil = new Map<string, number>();
  #woken = Promise.withResolvers<void>();
  #sweptAt = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  wake(): void {
    this.#woken.resolve();
  }

  async idle(): Promise<void> {
    await Promise.allSettled(this.#running.values());
  }

  async run(): Promise<void> {
    const { log, stopping } = this.#options;
    const { signal } = stopping;
    while (!signal.aborted) {
      this.#woken = Promise.withResolvers();
      const waitMs = await within(tickBoundMs, this.#tick()).catch((error: unknown) => {
        log.warn({ err: error }, 'the ledger cannot be read; trying again');
        return restMs;
      });
      const timer = new AbortController();
      const slept = delay(waitMs, undefined, { signal: timer.signal }).catch(() => {});
      await Promise.race([this.#woken.promise, slept]);
      timer.abort();
    }
  }

  /** @returns how long until there is something to do, as far as is known. */
  async #tick(): Promise<number> {
    await this.#sweep();
    const agenda = await readAgenda(this.#options.sql);
    const waits = agenda.map((item) => this.#attend(item));
    return Math.max(1, Math.min(idleMs, ...waits));
  }

  async #sweep(): Promise<void> {
    if (performance.now() - this.#sweptAt < sweepEveryMs) return;
    const { answered, log, sql } = this.#options;
    this.#sweptAt = performance.now();
    try {
      const lost = await settleLostLeases(this.#options, answered);
      if (lost > 0) log.warn({ events: lost }, 'leases ran out; the outcome of these is unknown');
      await moveParkedRows(sql);
      await expireParked(sql, log);
    } catch (error) {
      // What cannot be swept must not keep the others from being sent.
      log.error({ err: error }, 'the ledger could not be swept; trying again');
    }
  }

  #attend(item: AgendaItem): number {
    const { tokens } = this.#options;
    const fresh = tokens.fresh(item, item.failedTokens);
    const isParked = item.state === 'parked';
    if (isParked && (item.isPaused || (!fresh && !item.isProbeDue))) return idleMs;
    if (!isParked && (item.waitMs ?? 0) > 0) return item.waitMs ?? idleMs;
    const key = `${item.workspaceId} ${item.pixelId} ${isParked ? 'probe' : item.eventName}`;
    const rest = (this.#restingUntil.get(key) ?? 0) - performance.now();
    if (rest > 0) return rest;
    if (this.#running.has(key)) return idleMs;
    this.#start(key, (signal) =>
      isParked ? this.#probe(item, signal) : this.#drain(item, signal),
    );
    return idleMs;
  }

  /** @param work told by its signal that it was given up: it touches nothing from then on. */
  #start(key: string, work: (signal: AbortSignal) => Promise<void>): void {
    const { log, pace } = this.#options;
    const abandonment = new AbortController();
    const started = within(pace.laneBoundMs, work(abandonment.signal))
      .catch((error: unknown) => {
        log.error({ err: error, lane: key }, 'a lane was interrupted; it will go on');
        this.#restingUntil.set(key, performance.now() + restMs);
      })
      .finally(() => {
        abandonment.abort();
        this.#running.delete(key);
        this.wake();
      });
    this.#running.set(key, started);
  }

  async #drain(item: AgendaItem, signal: AbortSignal): Promise<void> {
    const { sender, sql, tokens, pace, log } = this.#options;
    const { failedTokens } = item;
    const token = tokens.fresh(item, failedTokens);
    if (token) return sender.drain({ lane: item, token, failedTokens, isProbe: false, signal });
    const reason = 'the catalog has no working access token for this pixel';
    const complaint = { code: null, subcode: null, reason, fingerprint: null };
    const { probeEveryMs } = pace;
    const isParked = await sql.begin((tx) =>
      parkPixel(tx, item, { ...complaint, hasOtherToken: false, probeEveryMs }),
    );
    if (isParked) await tellParked({ sql, log }, item, complaint);
  }

  async #probe(item: AgendaItem, signal: AbortSignal): Promise<void> {
    const { sender, sql, tokens, pace, log } = this.#options;
    const key = `${item.workspaceId} ${item.pixelId} probe`;
    this.#restingUntil.set(key, performance.now() + Math.max(restMs, pace.retryBaseMs));
    const { failedTokens } = item;
    const fresh = tokens.fresh(item, failedTokens);
    // Of several that were refused, the one that was refused longest ago.
    const [oldest] = tokens
      .candidates(item)
      .toSorted(
        (a, b) => failedTokens.indexOf(a.fingerprint) - failedTokens.indexOf(b.fingerprint),
      );
    const token = fresh ?? oldest;
    if (item.isProbeDue) await postponeProbe(sql, item, pace.probeEveryMs);
    if (!token || signal.aborted) return;
    const hasProbed = await sender.probe({
      lane: item,
      token,
      failedTokens,
      isProbe: true,
      signal,
    });
    if (!hasProbed && fresh && (await hasNothingToProbe(sql, item)) && !signal.aborted) {
      const isResumed = await sql.begin((tx) => resumePixel(tx, item, fresh.fingerprint));
      if (isResumed) tellResumed(log, item);
    }
  }
}
