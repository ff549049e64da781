/** Pools by slug and their bots as they are right now, from the catalog and the bots' reports. */
import type { Catalog, Owned } from '@rastro/messaging';
import type { Candidate } from '../core/bot-choice.ts';
import {
  type BotHealth,
  evolveHealth,
  type HealthReport,
  isHealthy,
  sharePercentOf,
} from '../core/bot-health.ts';

export type OwnedPool = Owned<'pool'>;

export class Pools {
  readonly #catalog: Catalog;
  #bySlug: Map<string, OwnedPool> | undefined;
  #health: BotHealth = new Map();
  /** False until the catalog was heard of at all: an unknown slug may then well exist. */
  isComplete = false;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** To be called when the catalog has changed. */
  refresh(): void {
    this.#bySlug = undefined;
  }

  report(report: HealthReport): void {
    this.#health = evolveHealth(this.#health, report);
  }

  get health(): readonly HealthReport[] {
    return [...this.#health.values()];
  }

  find(slug: string): OwnedPool | undefined {
    this.#bySlug ??= new Map(this.#catalog.list('pool').map((pool) => [pool.item.slug, pool]));
    return this.#bySlug.get(slug);
  }

  /** The pool's enabled bots of its own workspace, in the pool's order. */
  candidates(pool: OwnedPool): Candidate[] {
    return pool.item.bots.flatMap(({ bot: botId, weight, priority }) => {
      const bot = this.#catalog.get('bot', botId);
      if (!bot?.item.enabled || bot.workspaceId !== pool.workspaceId) return [];
      const health = this.#health;
      const sharePercent = sharePercentOf(health, botId);
      return [{ botId, weight, priority, isHealthy: isHealthy(health, botId), sharePercent }];
    });
  }

  username(botId: string): string | undefined {
    return this.#catalog.get('bot', botId)?.item.username;
  }

  /** Of the pool with this slug; failing that, the only one there is. */
  workspaceOf(slug: string | null): string | null {
    const pool = slug === null ? undefined : this.find(slug);
    if (pool) return pool.workspaceId;
    const ids = new Set(this.#catalog.list('pool').map(({ workspaceId }) => workspaceId));
    const [only] = ids;
    return ids.size === 1 && only !== undefined ? only : null;
  }
}
