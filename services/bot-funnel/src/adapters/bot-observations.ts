/** What this process sees of its bots in passing: how their sends go, and whom Telegram serves. */
import {
  countSends,
  emptyWindow,
  isSuspect,
  noteSend,
  type SendWindow,
  sumOf,
} from '../core/send-window.ts';
import type { CallFailure } from '../core/sending.ts';

export type SendOutcome = 'sent' | CallFailure['type'];

interface Observed {
  sends: SendWindow;
  /** When Telegram last did something for the bot. */
  servedAtMs: number | null;
  suspectedAtMs: number;
}

/** Whether an outcome shows that Telegram serves the bot; too many calls show neither. */
const worked = new Map<SendOutcome, boolean>([
  ['sent', true],
  ['blocked', true],
  ['refused', true],
  ['unknown', false],
  ['unauthorized', false],
]);

const suspectEveryMs = 10_000;

/** Times in milliseconds. */
export class BotObservations {
  readonly #bots = new Map<string, Observed>();

  #of(botId: string): Observed {
    const known = this.#bots.get(botId);
    if (known !== undefined) return known;
    const observed: Observed = { sends: emptyWindow, servedAtMs: null, suspectedAtMs: 0 };
    this.#bots.set(botId, observed);
    return observed;
  }

  noteServed(botId: string, nowMs: number): void {
    this.#of(botId).servedAtMs = nowMs;
  }

  /** @returns true when it is time to look at the bot, which is so once in a while. */
  noteSend(botId: string, outcome: SendOutcome, nowMs: number): boolean {
    const isOk = worked.get(outcome);
    if (isOk === undefined) return false;
    const bot = this.#of(botId);
    bot.sends = noteSend(bot.sends, isOk, nowMs);
    if (isOk) bot.servedAtMs = nowMs;
    const isTooSoon = nowMs - bot.suspectedAtMs < suspectEveryMs;
    if (isOk || isTooSoon || !this.isSuspect(botId, nowMs)) return false;
    bot.suspectedAtMs = nowMs;
    return true;
  }

  /** Its sends fail, and those of others do not. */
  isSuspect(botId: string, nowMs: number): boolean {
    const own = countSends(this.#of(botId).sends, nowMs);
    return isSuspect(own, sumOf(this.#others(botId).map(({ sends }) => countSends(sends, nowMs))));
  }

  /** When Telegram last did something for another bot. */
  othersServedAtMs(botId: string): number | null {
    return this.#others(botId).reduce<number | null>(
      (latest, { servedAtMs }) =>
        servedAtMs !== null && servedAtMs > (latest ?? 0) ? servedAtMs : latest,
      null,
    );
  }

  forget(botId: string): void {
    this.#bots.delete(botId);
  }

  #others(botId: string): Observed[] {
    return [...this.#bots].flatMap(([id, observed]) => (id === botId ? [] : [observed]));
  }
}
