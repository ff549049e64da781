/** Which workspace a token belongs to, for the clicks of late: bounded, the oldest go first. */
import { BoundedMap } from './bounded-map.ts';

export class RecentClicks {
  readonly #workspaces: BoundedMap<string, string>;

  constructor(capacity = 50_000) {
    this.#workspaces = new BoundedMap(capacity);
  }

  remember(trackingToken: string, workspaceId: string): void {
    this.#workspaces.set(trackingToken, workspaceId);
  }

  workspaceOf(trackingToken: string): string | undefined {
    return this.#workspaces.get(trackingToken);
  }
}
