/** Which customer pressed a button, until the bot answers; the oldest are forgotten. */
export class OpenQueries {
  readonly #queries = new Map<string, { userId: number; atMs: number }>();
  readonly #maxQueries: number;

  constructor(maxQueries: number) {
    this.#maxQueries = maxQueries;
  }

  open(bot: string, queryId: string, userId: number): void {
    this.#queries.set(`${bot}/${queryId}`, { userId, atMs: Date.now() });
    const oldest = this.#queries.keys().next();
    if (this.#queries.size > this.#maxQueries && !oldest.done) this.#queries.delete(oldest.value);
  }

  /** Who pressed and when; null for a query that is unknown or already answered. */
  close(bot: string, queryId: string): { userId: number; atMs: number } | null {
    const key = `${bot}/${queryId}`;
    const found = this.#queries.get(key) ?? null;
    this.#queries.delete(key);
    return found;
  }
}
