/** Runs in a thread of its own, with a connection of its own: see carrier.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { connectNats, publishAll } from '@rastro/messaging';
import { type Carried, carryRange, type SpoolRange } from './spool-range.ts';

export interface CarrierOptions {
  readonly natsUrl: string;
  /** Shown in the server's connection list. */
  readonly name: string;
}

export type CarrierAnswer =
  | { readonly ok: true; readonly value: Carried }
  | { readonly ok: false; readonly message: string; readonly code: string | undefined };

const { natsUrl, name } = workerData as CarrierOptions;
// The main thread tells of outages, once for both.
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const nats = await connectNats({ url: natsUrl, name, log: silent });

async function answer(range: SpoolRange): Promise<CarrierAnswer> {
  try {
    const value = await carryRange(range, (publications) => publishAll(nats, publications));
    return { ok: true, value };
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    return { ok: false, message, code };
  }
}

parentPort?.on('message', (range: SpoolRange) => {
  void answer(range).then((told) => parentPort?.postMessage(told));
});
