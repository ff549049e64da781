/** Takes a visit in: picks the bot, mints the identity, writes the event down. */
import { randomUUID } from 'node:crypto';
import { envelop, type EventBody, type RastroEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import type { AgentFacts } from '@rastro/traffic';
import type { AddressCounts } from './adapters/address-counts.ts';
import type { OwnedPool, Pools } from './adapters/pools.ts';
import type { RecentClicks } from './adapters/recent-clicks.ts';
import { type ChoiceState, chooseBot, initialChoiceState } from './core/bot-choice.ts';
import {
  clickTracked,
  type Hashes,
  type Identity,
  mintIdentity,
  type Site,
  type Visit,
} from './core/click.ts';
import type { RefusalReason } from './core/gate.ts';

export interface ClickDeskParts {
  readonly pools: Pick<Pools, 'candidates' | 'username'>;
  readonly recentClicks: Pick<RecentClicks, 'remember'>;
  readonly addressCounts: Pick<AddressCounts, 'count'>;
  readonly agentFacts: (userAgent: string) => AgentFacts;
  readonly site: Site;
  readonly hashes: Hashes;
  /** Resolves once the event is safe; never rejects. */
  readonly record: (event: RastroEvent) => Promise<void>;
}

export interface Click {
  readonly botId: string;
  readonly username: string;
  readonly identity: Identity;
  readonly event: RastroEvent<'ClickTracked'>;
  /** Nobody is answered before this. */
  readonly recorded: Promise<void>;
}

export const stickyCookie = (poolId: string): string => `rastro_bot_${poolId}`;

export class ClickDesk {
  readonly #parts: ClickDeskParts;
  /** By pool id; a handful of numbers for each. */
  readonly #choices = new Map<string, ChoiceState>();

  constructor(parts: ClickDeskParts) {
    this.#parts = parts;
  }

  /** Null when the pool has no bot to hand the visitor to. */
  take(visit: Visit, pool: OwnedPool): Click | null {
    const { pools, site, hashes, record, recentClicks, addressCounts, agentFacts } = this.#parts;
    const nowMs = Date.now();
    const botId = this.#choose(visit, pool, nowMs);
    const username = botId === null ? undefined : pools.username(botId);
    if (botId === null || username === undefined) return null;
    const time = new Date(nowMs).toISOString();
    const mint = {
      trackingToken: randomUUID().replaceAll('-', ''),
      visitorId: randomUUID(),
      nowMs,
      time,
      random: Math.random(),
    };
    const identity = mintIdentity(visit, site, mint, hashes);
    const { item, workspaceId } = pool;
    const body = clickTracked({
      visit,
      site,
      pool: item,
      botId,
      identity,
      clickedAt: time,
      recentFromAddress: addressCounts.count(visit.clientIp, nowMs),
      agentFacts,
    });
    const event = wrapped(body, workspaceId, identity.trackingToken, time);
    recentClicks.remember(identity.trackingToken, workspaceId);
    return { botId, username, identity, event, recorded: record(event) };
  }

  #choose(visit: Visit, pool: OwnedPool, nowMs: number): string | null {
    const { id, strategy } = pool.item;
    const { botId, state } = chooseBot(this.#choices.get(id) ?? initialChoiceState, {
      strategy,
      candidates: this.#parts.pools.candidates(pool),
      stickyBotId: visit.cookies[stickyCookie(id)] ?? null,
      nowMs,
      random: Math.random(),
    });
    this.#choices.set(id, state);
    return botId;
  }

  /** Resolves once it is written down. */
  async refuse(pool: OwnedPool, reason: RefusalReason): Promise<void> {
    const refusalId = randomUUID();
    const refusedAt = new Date().toISOString();
    const { id: poolId, slug } = pool.item;
    const data = { refusalId, poolId, slug, reason, refusedAt };
    const body: EventBody<'ClickRefused'> = { type: 'ClickRefused', data };
    await this.#parts.record(wrapped(body, pool.workspaceId, refusalId, refusedAt));
  }
}

/** The house's envelope around what this service says. */
export function wrapped<T extends 'ClickTracked' | 'ClickRefused' | 'BrowserSignalsCaptured'>(
  body: EventBody<T>,
  workspaceId: string,
  aggregateId: string,
  time: string,
): RastroEvent<T> {
  return envelop(body, { id: newId(), time, source: 'redirect-gateway', workspaceId, aggregateId });
}
