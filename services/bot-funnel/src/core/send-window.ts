/** How the sends of one bot went in the last minute, to tell its own trouble from everybody's. */

/** Of one bot, by the number of the ten seconds that it belongs to. */
export interface SendWindow {
  readonly slots: readonly {
    readonly slot: number;
    readonly ok: number;
    readonly failed: number;
  }[];
}

export const emptyWindow: SendWindow = { slots: [] };

export interface SendCounts {
  readonly ok: number;
  readonly failed: number;
}

const slotMs = 10_000;
const slots = 6;

/** @param isOk Telegram served the bot, also where it refused the chat. */
export function noteSend(window: SendWindow, isOk: boolean, nowMs: number): SendWindow {
  const slot = Math.floor(nowMs / slotMs);
  const recent = window.slots.filter((one) => one.slot > slot - slots);
  const last = recent.at(-1);
  const now = last?.slot === slot ? last : { slot, ok: 0, failed: 0 };
  const before = last?.slot === slot ? recent.slice(0, -1) : recent;
  const counted = isOk ? { ...now, ok: now.ok + 1 } : { ...now, failed: now.failed + 1 };
  return { slots: [...before, counted] };
}

export function countSends(window: SendWindow, nowMs: number): SendCounts {
  const oldest = Math.floor(nowMs / slotMs) - slots;
  return sumOf(window.slots.filter(({ slot }) => slot > oldest));
}

export function sumOf(counts: Iterable<SendCounts>): SendCounts {
  let [ok, failed] = [0, 0];
  for (const count of counts) {
    ok += count.ok;
    failed += count.failed;
  }
  return { ok, failed };
}

const leastSends = 10;

/** At least ten sends, half of them failed, while those of the other bots mostly work. */
export function isSuspect(own: SendCounts, others: SendCounts): boolean {
  const count = own.ok + own.failed;
  return count >= leastSends && own.failed * 2 >= count && others.ok > others.failed;
}
