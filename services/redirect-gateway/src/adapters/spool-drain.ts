/** Carries the spool to JetStream: oldest first, each line until it is acknowledged. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@rastro/runtime';
import type { Segment, Spool } from './spool.ts';
import type { Carried, SpoolRange } from './spool-range.ts';

export interface DrainOptions {
  readonly spool: Spool;
  /** Resolves once every event of the range is stored under its id, however often it is told. */
  readonly carry: (range: SpoolRange) => Promise<Carried>;
  readonly log: Logger;
  readonly onPublished: (count: number) => void;
}

const chunkBytes = 1024 ** 2;
/** While less than this waits, clicks gather for a moment: one batch costs little more than one. */
const gatherBelowBytes = 1024 ** 2;
const gatherMs = 50;
const idleMs = 500;
/** A drained segment is given up after this time, so that a crash repeats little. */
const sealAfterMs = 2_000;
const maxRetryMs = 5_000;
const lastDrainMs = 2_000;

/** Runs until disposed of, which gives what is left a short last chance; the rest waits on disk. */
export function startDrain(options: DrainOptions): AsyncDisposable {
  const drain = new Drain(options);
  const running = drain.run();
  return {
    [Symbol.asyncDispose]: async () => {
      drain.end();
      // A publish that hangs is given up: its event is on the disk, and its id makes it one.
      await Promise.race([running, delay(lastDrainMs, undefined, { ref: false })]);
    },
  };
}

class Drain {
  readonly #options: DrainOptions;
  #segment: Segment | undefined;
  #offset = 0;
  #failures = 0;
  #endMs: number | undefined;
  readonly #ending = Promise.withResolvers<void>();
  #bell = Promise.withResolvers<void>();

  constructor(options: DrainOptions) {
    this.#options = options;
    options.spool.onCommit = () => this.#bell.resolve();
  }

  end(): void {
    this.#endMs = performance.now() + lastDrainMs;
    this.#ending.resolve();
  }

  async run(): Promise<void> {
    const { log } = this.#options;
    for (;;) {
      try {
        const hasMoved = await this.#step();
        this.#failures = 0;
        if (hasMoved && !this.#isOver()) {
          await this.#gather();
          continue;
        }
        if (this.#endMs !== undefined) return;
        await this.#rest(idleMs, this.#bell.promise);
      } catch (error) {
        this.#failures += 1;
        if (this.#endMs !== undefined) return;
        const inMs = Math.min(100 * 2 ** this.#failures, maxRetryMs);
        // An outage is told once, not with each try.
        log[this.#failures === 3 ? 'warn' : 'debug'](
          { err: error, inMs },
          'events wait in the spool; they are published when NATS is back',
        );
        // A new click is no reason to try sooner.
        await this.#rest(inMs);
      }
    }
  }

  #isOver(): boolean {
    return this.#endMs !== undefined && performance.now() > this.#endMs;
  }

  async #rest(ms: number, ...reasonsToWake: Promise<void>[]): Promise<void> {
    const waking = new AbortController();
    const timeout = delay(ms, undefined, { signal: waking.signal }).catch(() => {});
    await Promise.race([timeout, this.#ending.promise, ...reasonsToWake]);
    waking.abort();
    this.#bell = Promise.withResolvers<void>();
  }

  async #gather(): Promise<void> {
    if (this.#waitingBytes() < gatherBelowBytes) await this.#rest(gatherMs);
  }

  #waitingBytes(): number {
    const { segments } = this.#options.spool;
    return segments.reduce((sum, { committedBytes }) => sum + committedBytes, -this.#offset);
  }

  /** Carries the next chunk of the oldest segment. False when there is nothing to do. */
  async #step(): Promise<boolean> {
    const { spool } = this.#options;
    const [segment] = spool.segments;
    if (segment !== this.#segment) {
      this.#segment = segment;
      this.#offset = 0;
    }
    if (!segment) return false;
    if (this.#offset < segment.committedBytes) {
      await this.#carryChunk(segment);
      return true;
    }
    if (segment.isSealed) {
      await spool.remove(segment);
      return true;
    }
    const isAged = Date.now() - segment.createdMs > sealAfterMs || this.#endMs !== undefined;
    if (!isAged) return false;
    await spool.seal(segment);
    return segment.isSealed;
  }

  async #carryChunk({ file, committedBytes }: Segment): Promise<void> {
    const { carry, log, onPublished } = this.#options;
    const start = this.#offset;
    const end = Math.min(committedBytes, start + chunkBytes);
    const range = { file, start, end, isToEndOfFile: end === committedBytes };
    const carried = await carry(range).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      log.error({ file }, 'a spool file was taken away with its events');
      return { bytes: end - start, events: 0, tornLines: 0 };
    });
    if (carried.tornLines > 0)
      log.error({ file, lines: carried.tornLines }, 'torn lines in the spool; they are left out');
    onPublished(carried.events);
    this.#offset = start + carried.bytes;
  }
}
