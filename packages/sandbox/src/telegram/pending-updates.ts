/** The updates that wait for their bot, by bot and in order. */
import type { Journal } from '../journal.ts';
import type { Update } from './types.ts';

export interface PendingUpdate {
  bot: string;
  chatId: number;
  update: Update;
  createdAtMs: number;
}

export interface PendingUpdates {
  add(one: PendingUpdate): void;
  remove(one: PendingUpdate): void;
  of(bot: string): Iterable<PendingUpdate>;
  count(bot: string): number;
  clear(): void;
}

const maxPending = 20_000;

export function createPendingUpdates(journal: Journal): PendingUpdates {
  const table = journal.table<PendingUpdate>('telegram.updates', maxPending);
  const byBot = new Map<string, Map<number, PendingUpdate>>();
  const listOf = (bot: string) => {
    const list = byBot.get(bot) ?? new Map<number, PendingUpdate>();
    byBot.set(bot, list);
    return list;
  };
  const keyOf = (one: PendingUpdate) => `${one.bot}/${one.update.update_id}`;
  for (const one of table.values()) listOf(one.bot).set(one.update.update_id, one);
  table.onEvict((_key, one) => listOf(one.bot).delete(one.update.update_id));
  return {
    add(one) {
      listOf(one.bot).set(one.update.update_id, one);
      table.put(keyOf(one), one);
    },
    remove(one) {
      listOf(one.bot).delete(one.update.update_id);
      table.delete(keyOf(one));
    },
    of: (bot) => listOf(bot).values(),
    count: (bot) => listOf(bot).size,
    clear() {
      byBot.clear();
      table.clear();
    },
  };
}
