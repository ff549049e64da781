/** The thread that reads the spool and talks to JetStream, so that visitors need not wait for it. */
import { Worker } from 'node:worker_threads';
import type { CarrierAnswer, CarrierOptions } from './carrier-thread.ts';
import type { Carried, SpoolRange } from './spool-range.ts';

export interface Carrier extends AsyncDisposable {
  /** One range at a time. @throws when some of it may not be stored, or the thread has died. */
  readonly carry: (range: SpoolRange) => Promise<Carried>;
}

/**
 * A chunk and its events are a few MB, and gone with the next one. Left to itself the thread's heap
 * grows to many times that before anything of it is given back.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 128 };

/** A thread that dies is started again with the next range. */
export function startCarrier(options: CarrierOptions): Carrier {
  let worker: Worker | undefined;
  let waiting: PromiseWithResolvers<Carried> | undefined;

  function start(): Worker {
    const started = new Worker(new URL('./carrier-thread.ts', import.meta.url), {
      workerData: options,
      resourceLimits,
    });
    /** What a thread says after it was given up concerns nobody. */
    function lose(error: Error): void {
      if (worker !== started) return;
      worker = undefined;
      waiting?.reject(error);
    }
    started.on('message', (answer: CarrierAnswer) => {
      if (answer.ok) waiting?.resolve(answer.value);
      else waiting?.reject(Object.assign(new Error(answer.message), { code: answer.code }));
    });
    started.on('error', lose);
    started.on('exit', (code) => lose(new Error(`the carrier's thread ended with ${code}`)));
    return started;
  }
  return {
    carry(range) {
      waiting = Promise.withResolvers();
      worker ??= start();
      worker.postMessage(range);
      return waiting.promise;
    },
    async [Symbol.asyncDispose]() {
      await worker?.terminate();
    },
  };
}
