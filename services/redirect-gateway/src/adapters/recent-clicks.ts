import { LRUCache } from 'lru-cache';

/** Which workspace a token belongs to, for the clicks of late: bounded, the oldest go first. */
export class RecentClicks {
  readonly #workspaces: LRUCache<string, string>;

  constructor(capacity = 50_000) {
    this.#workspaces = new LRUCache({ max: capacity });
  }

  remember(trackingToken: string, workspaceId: string): void {
    this.#workspaces.set(trackingToken, workspaceId);
  }

  workspaceOf(trackingToken: string): string | undefined {
    return this.#workspaces.get(trackingToken);
  }
}
