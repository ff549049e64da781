/** Keeps a chat in order while its /start waits for the click that it names. */
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

/** Remembered by this process alone: after a restart an update may overtake a waiting /start. */
export function createWaitingChats(now: () => number = Date.now): WaitingChats {
  // In the order of their times, more or less: the oldest is looked at first.
  const chats = new Map<string, { readonly updateId: number; readonly until: number }>();
  return {
    isBehind(incoming) {
      const first = chats.get(leadKey(incoming));
      return first !== undefined && first.until > now() && first.updateId < incoming.updateId;
    },
    wait(incoming) {
      for (const [key, { until }] of chats) {
        if (until > now()) break;
        chats.delete(key);
      }
      const key = leadKey(incoming);
      if ((chats.get(key)?.until ?? 0) > now()) return;
      const { updateId, receivedAt } = incoming;
      chats.set(key, { updateId, until: Date.parse(receivedAt) + holdMs });
    },
    go(incoming) {
      const key = leadKey(incoming);
      if (chats.get(key)?.updateId === incoming.updateId) chats.delete(key);
    },
  };
}
