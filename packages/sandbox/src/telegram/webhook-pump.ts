/** Pushes a bot's pending updates to its webhook until each has been answered with a 2xx. */
import type { Log } from '../log.ts';
import type { PendingUpdate, PendingUpdates } from './pending-updates.ts';
import { postUpdate } from './post-update.ts';
import type { WebhookSettings } from './types.ts';

export interface PumpEdges {
  settings(bot: string): WebhookSettings | undefined;
  onFailure(bot: string, problem: string): void;
  /** A bot may answer a webhook with a method call in the body. */
  onReply(bot: string, call: Record<string, unknown>): void;
}

interface BotState {
  busyChats: Set<number>;
  failures: number;
  timer: NodeJS.Timeout | null;
  /** Rises with each setWebhook: a failure at the old address says nothing about the new one. */
  generation: number;
}

const keptMs = 24 * 3600 * 1000;
const firstWaitMs = 500;
const longestWaitMs = 30_000;

/**
 * A chat's updates go out one after the other, several chats at once; while the webhook fails only
 * one update at a time is tried, with growing waits, as Telegram slows a failing bot.
 */
export class WebhookPump {
  readonly #pending: PendingUpdates;
  readonly #edges: PumpEdges;
  readonly #log: Log;
  readonly #states = new Map<string, BotState>();
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(pending: PendingUpdates, edges: PumpEdges, log: Log) {
    this.#pending = pending;
    this.#edges = edges;
    this.#log = log;
  }

  /** Starts again without the waits that earlier failures earned. */
  restart(bot: string): void {
    const state = this.#stateOf(bot);
    state.generation += 1;
    state.failures = 0;
    this.#run(bot);
  }

  onNewUpdate(bot: string): void {
    if (this.#stateOf(bot).timer === null) this.#run(bot);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const { timer } of this.#states.values()) if (timer !== null) clearTimeout(timer);
    await Promise.allSettled(this.#running);
  }

  #stateOf(bot: string): BotState {
    const found = this.#states.get(bot);
    if (found !== undefined) return found;
    const state: BotState = { busyChats: new Set(), failures: 0, timer: null, generation: 0 };
    this.#states.set(bot, state);
    return state;
  }

  #run(bot: string): void {
    const settings = this.#edges.settings(bot);
    const state = this.#stateOf(bot);
    if (state.timer !== null) clearTimeout(state.timer);
    state.timer = null;
    if (settings === undefined || this.#closing.signal.aborted) return;
    if (state.failures === 0) {
      this.#launch(bot, state, settings, settings.maxConnections);
    } else if (state.busyChats.size === 0) {
      const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** (state.failures - 1));
      state.timer = setTimeout(() => {
        state.timer = null;
        const current = this.#edges.settings(bot);
        if (current !== undefined) this.#launch(bot, state, current, 1);
      }, waitMs);
    }
  }

  #launch(bot: string, state: BotState, settings: WebhookSettings, connections: number): void {
    for (const one of this.#pending.of(bot)) {
      if (state.busyChats.size >= connections) return;
      if (state.busyChats.has(one.chatId)) continue;
      if (Date.now() - one.createdAtMs > keptMs) {
        this.#pending.remove(one);
        continue;
      }
      state.busyChats.add(one.chatId);
      const task = this.#deliver(one, state, settings).catch((error: unknown) =>
        this.#log.error({ err: error, bot }, 'an update could not be delivered'),
      );
      this.#running.add(task);
      void task.finally(() => this.#running.delete(task));
    }
  }

  async #deliver(one: PendingUpdate, state: BotState, settings: WebhookSettings): Promise<void> {
    const { generation, failures } = state;
    const result = await postUpdate(settings, one.update, this.#closing.signal);
    state.busyChats.delete(one.chatId);
    if (this.#closing.signal.aborted) return;
    if (result.ok) {
      state.failures = 0;
      this.#pending.remove(one);
      if (result.call !== null) this.#edges.onReply(one.bot, result.call);
    } else if (generation === state.generation) {
      // Many that fail at the same time are one failure.
      state.failures = Math.max(state.failures, failures + 1);
      this.#edges.onFailure(one.bot, result.problem);
    }
    this.#run(one.bot);
  }
}
