/** The event edge: batches from JetStream into the store. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ReplyOf, RequestOf, RastroEvent, trackingGet } from '@rastro/events';
import { type BatchExceptions, isOutage, type RequestResult } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';
import type { StoreMetrics } from './adapters/metrics.ts';
import type { FindTracking } from './adapters/tracking-reader.ts';
import type { StoreBatch, Stored } from './adapters/tracking-store.ts';

export interface BatchHandlerOptions {
  readonly store: StoreBatch;
  /** Told after the commit. */
  readonly onStored: (stored: Stored) => void;
  readonly metrics: StoreMetrics;
  readonly log: Logger;
  /** Aborted when the service stops: what waits for Postgres is then given back to the stream. */
  readonly stopping: AbortSignal;
}

export type BatchHandler = (events: readonly RastroEvent[]) => Promise<BatchExceptions>;

/**
 * Stores a batch whole. Where Postgres refuses its content, the batch is halved until the event
 * that is to blame stands alone: that one becomes a dead letter and all others are stored.
 */
export function createBatchHandler(options: BatchHandlerOptions): BatchHandler {
  const { onStored, metrics } = options;
  return async (events) => {
    const exceptions = new Map<string, { deadLetter: string }>();
    async function storeOrHalve(part: readonly RastroEvent[]): Promise<void> {
      try {
        const stored = await storePatiently(part, options);
        metrics.batchStored({ received: part.length, stored: stored.events });
        onStored(stored);
      } catch (error) {
        const [only] = part;
        if (!isRefusal(error) || !only) throw error;
        if (part.length === 1) {
          exceptions.set(only.id, { deadLetter: `cannot be stored: ${(error as Error).message}` });
          return;
        }
        const middle = part.length >> 1;
        await storeOrHalve(part.slice(0, middle));
        await storeOrHalve(part.slice(middle));
      }
    }
    await storeOrHalve(events);
    return exceptions;
  };
}

const firstWaitMs = 100;
const longestWaitMs = 2_000;
const maxConflicts = 5;

/**
 * Waits here for a Postgres that is away: given back to the stream, each event would return at a
 * time of its own, up to a minute after Postgres did.
 */
async function storePatiently(
  events: readonly RastroEvent[],
  { store, stopping, log }: BatchHandlerOptions,
) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store(events);
    } catch (error) {
      const isWorthWaiting = isOutage(error) || (isConflict(error) && attempt <= maxConflicts);
      if (!isWorthWaiting || stopping.aborted) throw error;
      log.warn({ err: error, attempt, events: events.length }, 'not stored yet; trying again');
      const waitMs = Math.min(firstWaitMs * 2 ** (attempt - 1), longestWaitMs);
      await delay(waitMs, undefined, { signal: stopping }).catch(() => {});
    }
  }
}

const sqlState = (error: unknown): string => String((error as { code?: unknown }).code);

const noPartitionForRow = '23514';

/** Dead-locks and serialization failures, or a month that was dropped under our feet. */
const isConflict = (error: unknown): boolean =>
  sqlState(error).startsWith('40') || sqlState(error) === noPartitionForRow;

/** Postgres' classes 22 and 23: the data is to blame, and will be the next time too. */
const isRefusal = (error: unknown): boolean => /^2[23]...$/.test(sqlState(error));

type Asked = RequestOf<typeof trackingGet>;
type Told = RequestResult<ReplyOf<typeof trackingGet>>;

/** NATS `tracking.get`. */
export function createTrackingGetHandler(find: FindTracking): (asked: Asked) => Promise<Told> {
  return async (asked) => {
    const value = await find(asked);
    if (value) return { ok: true, value };
    const message = `Nothing is known of this tracking token in workspace ${asked.workspaceId}.`;
    return { ok: false, error: { code: 'not_found', message } };
  };
}
