/**
 * Finds out whose visitor a beacon is of. Clicks of late are remembered; others are looked up
 * while the beacon waits, since the page that sent it is not made to.
 */
import type { RastroEvent } from '@rastro/events';
import type { Pools } from './adapters/pools.ts';
import type { RecentClicks } from './adapters/recent-clicks.ts';
import { wrapped } from './click-desk.ts';
import { type Captured, signalsCaptured } from './core/beacon.ts';

export interface BeaconDeskParts {
  readonly recentClicks: Pick<RecentClicks, 'workspaceOf'>;
  readonly pools: Pick<Pools, 'workspaceOf'>;
  /** Workspaces by token, of those of these tokens that are known. */
  readonly lookUp: (tokens: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  /** Resolves once the event is safe; never rejects. */
  readonly record: (event: RastroEvent) => Promise<void>;
  /** Counts beacons that are dropped, since nobody knows whose they are. */
  readonly onUnknown: () => void;
  readonly limits?: Partial<typeof defaultLimits>;
}

const defaultLimits = {
  /** How long a beacon waits to be known. */
  patienceMs: 5 * 60_000,
  /** Beacons that wait at a time, about 1 KB each. */
  capacity: 10_000,
  lookUpEveryMs: 1_000,
  /** Tokens asked about at a time. */
  batch: 200,
};

interface Waiting {
  readonly captured: Captured[];
  readonly untilMs: number;
}

export class BeaconDesk implements AsyncDisposable {
  readonly #parts: BeaconDeskParts;
  readonly #limits: typeof defaultLimits;
  /** By token, who came first at the front; who was asked about goes to the back. */
  readonly #waiting = new Map<string, Waiting>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: BeaconDeskParts) {
    this.#parts = parts;
    this.#limits = { ...defaultLimits, ...parts.limits };
  }

  /** Beacons that wait to be known. */
  get count(): number {
    return this.#count;
  }

  /** Resolves once it is safe, or waits; never rejects. */
  async receive(captured: Captured): Promise<void> {
    const token = captured.beacon.trackingToken;
    const workspaceId = this.#parts.recentClicks.workspaceOf(token);
    if (workspaceId !== undefined) return this.#record([captured], workspaceId);
    if (this.#count >= this.#limits.capacity || this.#isStopped) return this.#settle([captured]);
    const untilMs = performance.now() + this.#limits.patienceMs;
    const waiting = this.#waiting.get(token) ?? { captured: [], untilMs };
    waiting.captured.push(captured);
    this.#waiting.set(token, waiting);
    this.#count += 1;
    this.#askLater();
  }

  #askLater(): void {
    if (this.#isStopped || this.#waiting.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#asking = this.#ask().finally(() => this.#askLater());
    }, this.#limits.lookUpEveryMs).unref();
  }

  async #ask(): Promise<void> {
    const { lookUp, recentClicks } = this.#parts;
    const tokens = [...this.#waiting.keys()].slice(0, this.#limits.batch);
    // Whoever cannot be asked knows nothing.
    const found = await lookUp(tokens).catch(() => new Map<string, string>());
    for (const token of tokens) {
      const waiting = this.#waiting.get(token);
      if (!waiting) continue;
      this.#waiting.delete(token);
      const workspaceId = recentClicks.workspaceOf(token) ?? found.get(token);
      if (workspaceId === undefined && performance.now() < waiting.untilMs) {
        this.#waiting.set(token, waiting);
        continue;
      }
      this.#count -= waiting.captured.length;
      await (workspaceId === undefined
        ? this.#settle(waiting.captured)
        : this.#record(waiting.captured, workspaceId));
    }
  }

  async #record(captured: readonly Captured[], workspaceId: string): Promise<void> {
    const { record } = this.#parts;
    await Promise.all(
      captured.map((one) => {
        const { beacon, capturedAt } = one;
        return record(wrapped(signalsCaptured(one), workspaceId, beacon.trackingToken, capturedAt));
      }),
    );
  }

  /** By the page's own word, or by there being only one workspace; else they are lost. */
  async #settle(captured: readonly Captured[]): Promise<void> {
    for (const one of captured) {
      const workspaceId = this.#parts.pools.workspaceOf(one.beacon.slug);
      if (workspaceId === null) this.#parts.onUnknown();
      else await this.#record([one], workspaceId);
    }
  }

  /** What still waits is settled as if its time were up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#asking;
    const left = [...this.#waiting.values()].flatMap(({ captured }) => captured);
    this.#waiting.clear();
    this.#count = 0;
    await this.#settle(left);
  }
}
