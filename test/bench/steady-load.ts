/** An open loop at a constant rate: what one request waits, the next one does not. */
import { setTimeout as delay } from 'node:timers/promises';

export interface SteadyLoad {
  readonly total: number;
  readonly perSecond: number;
  /** Resolves with the status, or null where there was no answer; never rejects. */
  readonly send: (index: number) => Promise<number | null>;
}

export interface SteadyAnswers {
  /** From when a request was due to the end of its answer, in ms, by index. */
  readonly latencyMs: Float64Array;
  readonly notOk: number;
  /** When the first one was due, in epoch ms. */
  readonly startedAtMs: number;
}

/** It keeps numbers and no objects: its own garbage collection would be measured as the service's. */
export async function loadSteadily({ total, perSecond, send }: SteadyLoad): Promise<SteadyAnswers> {
  const latencyMs = new Float64Array(total);
  let notOk = 0;
  let answered = 0;
  const startedMs = performance.now();
  const startedAtMs = Date.now();
  const sendOne = async (index: number): Promise<void> => {
    if ((await send(index)) !== 200) notOk += 1;
    latencyMs[index] = performance.now() - startedMs - (index * 1_000) / perSecond;
    answered += 1;
  };
  let sent = 0;
  while (answered < total) {
    const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1_000) + 1;
    for (; sent < Math.min(due, total); sent += 1) void sendOne(sent);
    await delay(1);
  }
  return { latencyMs, notOk, startedAtMs };
}

/** @param share e.g. 0.99 */
export const percentileOf = (sorted: Float64Array, share: number): number =>
  sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
