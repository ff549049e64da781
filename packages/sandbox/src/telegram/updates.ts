/**
 * A bot's incoming updates: kept until confirmed (24 h at most), fetched by getUpdates or pushed to
 * its webhook, never both.
 */
import type { Journal, Table } from '../journal.ts';
import type { Log } from '../log.ts';
import { createPendingUpdates, type PendingUpdates } from './pending-updates.ts';
import { BotApiError, type Update, type WebhookSettings } from './types.ts';
import { WebhookPump } from './webhook-pump.ts';

export interface UpdatesQuery {
  offset: number;
  limit: number;
  timeoutSeconds: number;
  allowedUpdates?: string[];
}

interface Poller {
  wake: () => void;
  cancel: (error: BotApiError) => void;
}

/** What a bot does not get unless it asks for it. */
const unaskedKinds = ['chat_member', 'message_reaction', 'message_reaction_count'];

export class UpdateQueue {
  readonly #pending: PendingUpdates;
  readonly #webhooks: Table<WebhookSettings>;
  readonly #allowed: Table<string[]>;
  readonly #pump: WebhookPump;
  readonly #pollers = new Map<string, Poller>();

  /** @param onReply runs the method call that a bot answered a webhook with */
  constructor(
    journal: Journal,
    log: Log,
    onReply: (bot: string, call: Record<string, unknown>) => void,
  ) {
    this.#pending = createPendingUpdates(journal);
    this.#webhooks = journal.table<WebhookSettings>('telegram.webhooks', 1000);
    this.#allowed = journal.table<string[]>('telegram.allowed', 1000);
    const edges = {
      settings: (bot: string) => this.#webhooks.get(bot),
      onFailure: (bot: string, problem: string) => this.#recordFailure(bot, problem),
      onReply,
    };
    this.#pump = new WebhookPump(this.#pending, edges, log);
    for (const [bot] of this.#webhooks.entries()) this.#pump.restart(bot);
  }

  push(bot: string, chatId: number, update: Update): void {
    const allowed = this.#allowed.get(bot) ?? [];
    const kind = Object.keys(update).find((key) => key !== 'update_id') ?? '';
    const isWanted = allowed.length > 0 ? allowed.includes(kind) : !unaskedKinds.includes(kind);
    if (!isWanted) return;
    this.#pending.add({ bot, chatId, update, createdAtMs: Date.now() });
    this.#pollers.get(bot)?.wake();
    this.#pump.onNewUpdate(bot);
  }

  pendingCount(bot: string): number {
    return this.#pending.count(bot);
  }

  webhook(bot: string): WebhookSettings | undefined {
    return this.#webhooks.get(bot);
  }

  setWebhook(bot: string, settings: WebhookSettings, dropPending: boolean): void {
    if (dropPending) this.#drop(bot);
    this.#webhooks.put(bot, settings);
    this.#allowed.put(bot, settings.allowedUpdates);
    const description = 'Conflict: terminated by setWebhook request';
    this.#pollers.get(bot)?.cancel(new BotApiError(409, description));
    this.#pump.restart(bot);
  }

  deleteWebhook(bot: string, dropPending: boolean): void {
    if (dropPending) this.#drop(bot);
    this.#webhooks.delete(bot);
    this.#pump.restart(bot);
  }

  /** @throws BotApiError 409 while a webhook is set, or when another call takes over */
  async getUpdates(bot: string, query: UpdatesQuery): Promise<Update[]> {
    if (this.#webhooks.get(bot) !== undefined) {
      throw new BotApiError(
        409,
        "Conflict: can't use getUpdates method while webhook is active; " +
          'use deleteWebhook to delete the webhook first',
      );
    }
    const description =
      'Conflict: terminated by other getUpdates request; ' +
      'make sure that only one bot instance is running';
    this.#pollers.get(bot)?.cancel(new BotApiError(409, description));
    if (query.allowedUpdates !== undefined) this.#allowed.put(bot, query.allowedUpdates);
    this.#confirm(bot, query.offset);
    const isIdle = this.#pending.count(bot) === 0;
    if (isIdle && query.timeoutSeconds > 0) await this.#wait(bot, query.timeoutSeconds);
    return [...this.#pending.of(bot)].slice(0, query.limit).map((one) => one.update);
  }

  reset(): void {
    this.#pending.clear();
    for (const [bot] of this.#webhooks.entries()) this.#pump.restart(bot);
  }

  async close(): Promise<void> {
    for (const poller of this.#pollers.values()) poller.wake();
    await this.#pump.close();
  }

  /** An offset confirms all before it; a negative one keeps only the last that many. */
  #confirm(bot: string, offset: number): void {
    const all = [...this.#pending.of(bot)];
    const from = offset < 0 ? (all.at(offset) ?? all[0])?.update.update_id : offset;
    for (const one of all) if (one.update.update_id < (from ?? 0)) this.#pending.remove(one);
  }

  #drop(bot: string): void {
    for (const one of this.#pending.of(bot)) this.#pending.remove(one);
  }

  #recordFailure(bot: string, problem: string): void {
    const settings = this.#webhooks.get(bot);
    if (settings === undefined) return;
    const lastErrorDate = Math.floor(Date.now() / 1000);
    this.#webhooks.put(bot, { ...settings, lastErrorDate, lastErrorMessage: problem });
  }

  async #wait(bot: string, timeoutSeconds: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const poller = { wake: resolve, cancel: reject };
    const timer = setTimeout(resolve, timeoutSeconds * 1000);
    this.#pollers.set(bot, poller);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      if (this.#pollers.get(bot) === poller) this.#pollers.delete(bot);
    }
  }
}
