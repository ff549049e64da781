/** Notices when Telegram refuses a bot as a whole and not one of its chats. */

export interface FloodWatch {
  /** @returns how long the whole bot has to wait, 0 where one chat is meant */
  refused(refusal: Refusal): number;
}

interface Refusal {
  readonly botId: string;
  readonly chatId: number;
  readonly retryAfterMs: number;
  /** Of any clock that only goes forward. */
  readonly atMs: number;
}

const windowMs = 1_000;
const chatsOfAWholeBot = 3;

export function createFloodWatch(): FloodWatch {
  const refusals = new Map<string, Refusal[]>();
  return {
    refused(refusal) {
      const { botId, atMs } = refusal;
      const before = refusals.get(botId) ?? [];
      const recent = [...before.filter((one) => atMs - one.atMs < windowMs), refusal];
      refusals.set(botId, recent);
      const chats = new Set(recent.map(({ chatId }) => chatId));
      if (chats.size < chatsOfAWholeBot) return 0;
      return Math.max(...recent.map(({ retryAfterMs }) => retryAfterMs));
    },
  };
}
