/** Which workspace a token belongs to, for the clicks of late: bounded, the oldest go first. */
export class RecentClicks {
  readonly #workspaces = new Map<string, string>();
  readonly #capacity: number;

  constructor(capacity = 50_000) {
    this.#capacity = capacity;
  }

  remember(trackingToken: string, workspaceId: string): void {
    this.#workspaces.set(trackingToken, workspaceId);
    if (this.#workspaces.size <= this.#capacity) return;
    // A Map lists its keys in the order they came.
    const [oldest] = this.#workspaces.keys();
    if (oldest !== undefined) this.#workspaces.delete(oldest);
  }

  workspaceOf(trackingToken: string): string | undefined {
    return this.#workspaces.get(trackingToken);
  }
}
