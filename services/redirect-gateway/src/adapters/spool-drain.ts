/** Carries the spool to JetStream: oldest first, each line until it is acknowledged. */
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isEventType, parseJson, type RastroEvent } from '@rastro/events';
import type { Logger } from '@rastro/runtime';
import type { Segment, Spool } from './spool.ts';

export interface DrainOptions {
  readonly spool: Spool;
  /** Resolves once the event is stored under its id, however often it is told. */
  readonly publish: (event: RastroEvent) => Promise<void>;
  readonly log: Logger;
  readonly onPublished: (count: number) => void;
}

const chunkBytes = 512 * 1024;
const inFlight = 256;
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
        if (hasMoved && !this.#isOver()) continue;
        if (this.#endMs !== undefined) return;
        await this.#rest(idleMs);
      } catch (error) {
        this.#failures += 1;
        if (this.#endMs !== undefined) return;
        const inMs = Math.min(100 * 2 ** this.#failures, maxRetryMs);
        // An outage is told once, not with each try.
        log[this.#failures === 3 ? 'warn' : 'debug'](
          { err: error, inMs },
          'events wait in the spool; they are published when NATS is back',
        );
        await this.#rest(inMs);
      }
    }
  }

  #isOver(): boolean {
    return this.#endMs !== undefined && performance.now() > this.#endMs;
  }

  async #rest(ms: number): Promise<void> {
    const waking = new AbortController();
    const timeout = delay(ms, undefined, { signal: waking.signal }).catch(() => {});
    // After a failure a new click is no reason to try sooner.
    const bell = this.#failures > 0 ? [] : [this.#bell.promise];
    await Promise.race([timeout, this.#ending.promise, ...bell]);
    waking.abort();
    this.#bell = Promise.withResolvers<void>();
  }

  /** Publishes the next chunk of the oldest segment. False when there is nothing to do. */
  async #step(): Promise<boolean> {
    const { spool } = this.#options;
    const [segment] = spool.segments;
    if (segment !== this.#segment) {
      this.#segment = segment;
      this.#offset = 0;
    }
    if (!segment) return false;
    if (this.#offset < segment.committedBytes) {
      await this.#publishChunk(segment);
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

  async #publishChunk(segment: Segment): Promise<void> {
    const end = Math.min(segment.committedBytes, this.#offset + chunkBytes);
    const chunk = await readRange(segment.file, this.#offset, end).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#options.log.error(
        { file: segment.file },
        'a spool file was taken away with its events',
      );
      return Buffer.alloc(end - this.#offset, '\n');
    });
    // Only the last line of a file can be torn, by a crash in the middle of a write.
    const lastNewline = end === segment.committedBytes ? chunk.length : chunk.lastIndexOf(10) + 1;
    const taken = chunk.subarray(0, lastNewline || chunk.length);
    const events = taken
      .toString('utf8')
      .split('\n')
      .flatMap((line) => this.#read(line));
    for (let at = 0; at < events.length; at += inFlight) {
      const slice = events.slice(at, at + inFlight);
      await allOrThrow(slice.map((event) => this.#options.publish(event)));
      this.#options.onPublished(slice.length);
    }
    this.#offset += taken.length;
  }

  #read(line: string): RastroEvent[] {
    if (line === '') return [];
    const json = parseJson(line);
    const event = json.ok ? (json.value as Partial<RastroEvent> | null) : null;
    if (event?.id && event.workspaceid && event.type && isEventType(event.type))
      return [event as RastroEvent];
    this.#options.log.error({ bytes: line.length }, 'a torn line in the spool; it is left out');
    return [];
  }
}

/** Waits for all, so that none goes on behind our back. @throws the first failure. */
async function allOrThrow(promises: Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

async function readRange(file: string, start: number, end: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.alloc(end - start);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    if (bytesRead !== buffer.length) throw new Error(`${file} is shorter than it was`);
    return buffer;
  } finally {
    await handle.close();
  }
}
