/** How many clicks came from an address of late: bounded, forgotten with the process. */
import { clientNetwork } from '@rastro/runtime';
import { burstWindowMs } from '@rastro/traffic';

/**
 * Two generations of windows: what is left of the one before counts by the share of it that still
 * lies within the window, as if its clicks had come evenly.
 */
export class AddressCounts {
  readonly #capacity: number;
  #startedMs = 0;
  #now = new Map<string, number>();
  #before = new Map<string, number>();

  /** @param capacity addresses in each generation; with more, new ones are not counted. */
  constructor(capacity = 50_000) {
    this.#capacity = capacity;
  }

  /**
   * Counts a click and returns those within the window, with this one.
   * Without a public address it is 0 for everybody: many of those are a proxy that is missing in
   * TRUSTED_PROXIES, and say nothing about people.
   */
  count(publicAddress: string | null, nowMs: number): number {
    if (publicAddress === null) return 0;
    this.#turn(nowMs);
    // An IPv6 host has all of its /64 to itself, and may come from another address each time.
    const isV6 = publicAddress.includes(':');
    const key = (isV6 ? clientNetwork(publicAddress) : null) ?? publicAddress;
    const known = this.#now.get(key);
    const clicks = (known ?? 0) + 1;
    if (known !== undefined || this.#now.size < this.#capacity) this.#now.set(key, clicks);
    const before = this.#before.get(key);
    if (before === undefined) return clicks;
    const share = 1 - (nowMs - this.#startedMs) / burstWindowMs;
    return clicks + Math.floor(before * share);
  }

  /** A clock that was set back begins anew too. */
  #turn(nowMs: number): void {
    const ageMs = nowMs - this.#startedMs;
    if (ageMs >= 0 && ageMs < burstWindowMs) return;
    const isNext = ageMs >= 0 && ageMs < 2 * burstWindowMs;
    this.#before = isNext ? this.#now : new Map<string, number>();
    this.#startedMs = isNext ? this.#startedMs + burstWindowMs : nowMs;
    this.#now = new Map<string, number>();
  }
}
