/** Bounded concurrency in which tasks of one key run one after another, in order. */
export class Lanes {
  readonly #limit: number;
  readonly #tails = new Map<string, Promise<void>>();
  readonly #running = new Set<Promise<void>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves once there is room, not once the task is done: this is the back-pressure. */
  async accept(key: string, task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    const previous = this.#tails.get(key) ?? Promise.resolve();
    const current: Promise<void> = previous.then(task).finally(() => {
      this.#running.delete(current);
      if (this.#tails.get(key) === current) this.#tails.delete(key);
    });
    this.#running.add(current);
    this.#tails.set(key, current);
  }

  /** Resolves when everything accepted so far is done. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}
