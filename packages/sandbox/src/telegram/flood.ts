/** An optional strict flood limit; Telegram's own is not published, so that none is the default. */
import { BotApiError } from './types.ts';

export interface FloodLimits {
  /** Calls that show something, in any second; null for no limit. */
  perChatPerSecond: number | null;
  perBotPerSecond: number | null;
}

export interface FloodState extends FloodLimits {
  /** Calls that were refused, ever since the limits were set. */
  violations: { chat: number; bot: number };
}

const windowMs = 1_000;

export class Flood {
  #limits: FloodLimits = { perChatPerSecond: null, perBotPerSecond: null };
  #violations = { chat: 0, bot: 0 };
  #calls = new Map<string, number[]>();

  set(limits: FloodLimits): void {
    this.#limits = limits;
    this.#violations = { chat: 0, bot: 0 };
    this.#calls = new Map();
  }

  state(): FloodState {
    return { ...this.#limits, violations: { ...this.#violations } };
  }

  /** @throws BotApiError 429 where the call is one too many; one that is refused does not count. */
  admit(bot: string, method: string, chatId: string | null): void {
    if (!/^(?:send|edit)/.test(method) || method === 'sendchataction') return;
    const nowMs = performance.now();
    const { perChatPerSecond, perBotPerSecond } = this.#limits;
    const chat = this.#recent(`${bot}/${chatId}`, nowMs);
    const whole = this.#recent(bot, nowMs);
    const isOver = {
      chat: perChatPerSecond !== null && chat.length >= perChatPerSecond,
      bot: perBotPerSecond !== null && whole.length >= perBotPerSecond,
    };
    if (isOver.chat) this.#violations.chat += 1;
    if (isOver.bot) this.#violations.bot += 1;
    if (isOver.chat || isOver.bot) {
      throw new BotApiError(429, 'Too Many Requests: retry after 1', { retry_after: 1 });
    }
    if (perChatPerSecond !== null) chat.push(nowMs);
    if (perBotPerSecond !== null) whole.push(nowMs);
  }

  #recent(key: string, nowMs: number): number[] {
    const before = this.#calls.get(key) ?? [];
    const recent = before.filter((atMs) => nowMs - atMs < windowMs);
    if (recent.length > 0 || this.#isLimited()) this.#calls.set(key, recent);
    return recent;
  }

  #isLimited(): boolean {
    const { perChatPerSecond, perBotPerSecond } = this.#limits;
    return perChatPerSecond !== null || perBotPerSecond !== null;
  }
}
