import type { Transaction } from './types.ts';

/**
 * Remembers a message in the transaction of its effect: true the first time, false for a
 * redelivery, whose effect has already been committed.
 */
export async function isFirstDelivery(
  tx: Transaction,
  consumer: string,
  messageId: string,
): Promise<boolean> {
  const rows = await tx`
    insert into inbox (consumer, message_id) values (${consumer}, ${messageId})
    on conflict do nothing returning 1`;
  return rows.length === 1;
}

/** The same for many messages at once: the ids among them that were not seen before. */
export async function firstDeliveries(
  tx: Transaction,
  consumer: string,
  messageIds: readonly string[],
): Promise<Set<string>> {
  const rows = await tx<{ messageId: string }[]>`
    insert into inbox (consumer, message_id)
    select ${consumer}, unnest(${messageIds as string[]}::text[])
    on conflict do nothing returning message_id`;
  return new Set(rows.map(({ messageId }) => messageId));
}
