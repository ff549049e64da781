/** Customers of many bots who walk from START to the delivery link, each in his own time. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DataOf } from '@rastro/events';
import type { ChatMessage, sandboxClient } from './sandbox-client.ts';

export interface Customer {
  readonly userId: number;
  readonly bot: string;
  /** Counted from the first customer's START. */
  readonly startsMs: number;
  /** Blocks the bot once he has seen the PIX, and comes back after so long. */
  readonly blocksForMs: number | null;
}

export interface CrowdOptions {
  readonly client: ReturnType<typeof sandboxClient>;
  /** The charge that was opened for him, once there is one. */
  readonly chargeOf: (userId: number) => DataOf<'PaymentCreated'> | undefined;
  /** Pays, and has the delivery issued. */
  readonly pay: (charge: DataOf<'PaymentCreated'>) => Promise<void>;
  readonly block: (customer: Customer, isBlocked: boolean) => Promise<void>;
  readonly linkOf: (userId: number) => string;
}

export interface Walk {
  readonly customer: Customer;
  /** From START to the link; null for one who is still waiting at the end. */
  readonly tookMs: number | null;
  /** The last thing that he was waiting for. */
  readonly at: string;
}

/** A customer looks at his phone after so long, and more and more seldom: looking costs time too. */
const firstLookMs = 1_500;
const longestLookMs = 6_000;
/** One who hears nothing for so long presses START again. */
const patienceMs = 20_000;

export const wordsOf = ({ text, caption }: ChatMessage): string => text ?? caption ?? '';

export async function walk(
  options: CrowdOptions,
  customer: Customer,
  deadlineMs: number,
): Promise<Walk> {
  const { client, chargeOf, pay, block, linkOf } = options;
  const { userId, bot, startsMs, blocksForMs } = customer;
  await delay(startsMs);
  const startedMs = performance.now();
  let at = 'welcome';

  async function sees<T>(find: (messages: readonly ChatMessage[]) => T | undefined): Promise<T> {
    let sinceMs = performance.now();
    for (let lookMs = firstLookMs; ; lookMs = Math.min(lookMs * 1.4, longestLookMs)) {
      await delay(lookMs);
      const found = find(await client.messages(bot, userId));
      if (found !== undefined) return found;
      if (performance.now() > deadlineMs) throw new Error(`${userId} waits for ${at}`);
      if (performance.now() - sinceMs > patienceMs) {
        await client.start(bot, userId, '');
        sinceMs = performance.now();
      }
    }
  }
  try {
    await client.start(bot, userId, '');
    const [message, data] = await sees((messages) => {
      for (const one of messages) {
        const button = one.reply_markup?.inline_keyboard.flat().find(isBuy);
        if (button?.callback_data !== undefined) return [one, button.callback_data] as const;
      }
      return undefined;
    });
    await client.press(bot, userId, message.message_id, data);
    at = 'the PIX';
    const charge = await sees((messages) => {
      const own = chargeOf(userId);
      const isShown = messages.some((one) => wordsOf(one).includes(own?.pixCode ?? '\n\n'));
      return isShown ? own : undefined;
    });
    if (blocksForMs !== null) await block(customer, true);
    await pay(charge);
    if (blocksForMs !== null) {
      await delay(blocksForMs);
      await block(customer, false);
    }
    at = 'the link';
    await sees((messages) => messages.find((one) => wordsOf(one).includes(linkOf(userId))));
    return { customer, tookMs: performance.now() - startedMs, at };
  } catch (error) {
    if (performance.now() <= deadlineMs) throw error;
    return { customer, tookMs: null, at };
  }
}

const isBuy = ({ text }: { text: string }): boolean => text === 'Comprar';
