/** Keeps a chat in order while its /start waits for the click that it names. */
import { LRUCache } from 'lru-cache';
import type { Incoming } from '../core/incoming.ts';
import { clickWaitMs } from '../core/retry.ts';
import { leadKey } from './lead-store.ts';

export interface WaitingChats {
  /** Whether an earlier update of that chat still waits, so that this one has to wait as well. */
  isBehind(incoming: Incoming): boolean;
  /** A /start whose click is not known yet. */
  wait(incoming: Incoming): void;
  /** It waits no longer. */
  go(incoming: Incoming): void;
}

/** A /start that another process took over in the meantime holds nobody for longer than this. */
const holdMs = clickWaitMs + 1_000;
const maxChats = 100_000;

/** Remembered by this process alone: after a restart an update may overtake a waiting /start. */
export function createWaitingChats(): WaitingChats {
  /** The waiting update of each chat. */
  const waiting = new LRUCache<string, number>({ max: maxChats, ttl: holdMs });
  return {
    isBehind: (incoming) =>
      (waiting.get(leadKey(incoming)) ?? Number.POSITIVE_INFINITY) < incoming.updateId,
    wait(incoming) {
      const key = leadKey(incoming);
      if (!waiting.has(key)) waiting.set(key, incoming.updateId);
    },
    go(incoming) {
      const key = leadKey(incoming);
      if (waiting.get(key) === incoming.updateId) waiting.delete(key);
    },
  };
}
