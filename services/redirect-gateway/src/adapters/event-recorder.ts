/** Writes an event down before its visitor is answered, by the disk or, failing that, by NATS. */
import type { RastroEvent } from '@rastro/events';
import type { Logger } from '@rastro/runtime';
import type { Spool } from './spool.ts';

export interface RecorderOptions {
  readonly spool: Pick<Spool, 'append' | 'isStalled'>;
  /** Rejects at once while there is no connection. */
  readonly publish: (event: RastroEvent) => Promise<void>;
  readonly log: Logger;
  /** Counts events that the disk did not take. */
  readonly onDiskFailure: () => void;
}

/** How long a visitor waits for a disk that does not answer, and for a direct publish. */
const diskWaitMs = 1_000;
const publishWaitMs = 300;
/** Events kept in memory while disk and NATS are both away. */
const maxUnsaved = 10_000;
const retryMs = 1_000;
const alarmEveryMs = 10_000;

export class EventRecorder implements AsyncDisposable {
  readonly #options: RecorderOptions;
  readonly #unsaved = new Map<string, RastroEvent>();
  readonly #retry: NodeJS.Timeout;
  #alarmedAtMs = Number.NEGATIVE_INFINITY;
  #retrying: Promise<void> = Promise.resolve();

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#retry = setInterval(() => {
      this.#retrying = this.#retrying.then(() => this.#publishUnsaved());
    }, retryMs);
    this.#retry.unref();
  }

  /** Never rejects: whatever happens to the record, the visitor goes on to the bot. */
  async record(event: RastroEvent): Promise<void> {
    const { spool } = this.#options;
    if (spool.isStalled) return this.#recordDirectly(event, new Error('the disk does not answer'));
    const appended = spool.append(JSON.stringify(event));
    try {
      await withinTime(appended, diskWaitMs);
    } catch (error) {
      // It may still reach the disk later; the id makes both copies one.
      appended.catch(() => {});
      await this.#recordDirectly(event, error);
    }
  }

  async #recordDirectly(event: RastroEvent, error: unknown): Promise<void> {
    const { log, onDiskFailure } = this.#options;
    onDiskFailure();
    if (performance.now() - this.#alarmedAtMs > alarmEveryMs) {
      this.#alarmedAtMs = performance.now();
      log.error(
        { err: error },
        'RASTRO_DATA_DIR takes no more events: free space or mend the disk; publishing directly',
      );
    }
    if (this.#unsaved.size < maxUnsaved) this.#unsaved.set(event.id, event);
    else log.fatal({ eventId: event.id }, 'disk and NATS are both away; an event is lost');
    await withinTime(this.#publish(event), publishWaitMs).catch(() => {});
  }

  async #publish(event: RastroEvent): Promise<void> {
    await this.#options.publish(event);
    this.#unsaved.delete(event.id);
  }

  async #publishUnsaved(): Promise<void> {
    for (const event of this.#unsaved.values()) {
      try {
        await this.#publish(event);
      } catch {
        return; // in a while, from the start
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#retry);
    await this.#retrying;
    await this.#publishUnsaved();
  }
}

function withinTime(promise: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
