/**
 * Which bot of a pool a visitor is handed to.
 * Who has been with a bot stays while it is healthy; others go to healthy bots, the highest
 * priority first, shared by the pool's strategy. With nobody healthy any enabled bot is better
 * than none: its health may be what is wrong. One that has just recovered is in the draw for its
 * share of the new visitors only.
 */
import type { CatalogItem } from '@rastro/events';

export type Strategy = CatalogItem<'pool'>['strategy'];

/** An enabled bot of the pool. */
export interface Candidate {
  readonly botId: string;
  readonly weight: number;
  readonly priority: number;
  readonly isHealthy: boolean;
  /** How many of 100 new visitors may be handed to it; absent means all. */
  readonly sharePercent?: number;
}

/** What a pool's strategy remembers from one choice to the next, by bot id where it is a map. */
export interface ChoiceState {
  /** round_robin: the next turn. */
  readonly turn: number;
  /** weighted: the current weights of nginx's smooth weighted round robin. */
  readonly smooth: ReadonlyMap<string, number>;
  /** least_connections: visitors handed over in this window and in the one before. */
  readonly load: {
    readonly startedMs: number;
    readonly now: ReadonlyMap<string, number>;
    readonly before: ReadonlyMap<string, number>;
  };
}

export const initialChoiceState: ChoiceState = {
  turn: 0,
  smooth: new Map(),
  load: { startedMs: 0, now: new Map(), before: new Map() },
};

export interface ChoiceRequest {
  readonly strategy: Strategy;
  /** In the pool's order. */
  readonly candidates: readonly Candidate[];
  /** The bot that this visitor was handed to last time. */
  readonly stickyBotId: string | null;
  readonly nowMs: number;
  /** In [0, 1). */
  readonly random: number;
}

export interface Choice {
  readonly botId: string | null;
  readonly state: ChoiceState;
}

/** A conversation is taken to be lively for five to ten minutes. */
const loadWindowMs = 5 * 60_000;

/** `botId` is null only when there is no candidate at all. */
export function chooseBot(before: ChoiceState, request: ChoiceRequest): Choice {
  const { strategy, candidates, stickyBotId, nowMs } = request;
  const state = strategy === 'least_connections' ? withWindow(before, nowMs) : before;
  const healthy = candidates.filter((candidate) => candidate.isHealthy);
  const eligible = healthy.length > 0 ? healthy : candidates;
  const sticky = eligible.find(({ botId }) => botId === stickyBotId);
  const choice = sticky ? { botId: sticky.botId, state } : drawBot(state, eligible, request);
  if (strategy !== 'least_connections' || choice.botId === null) return choice;
  return { botId: choice.botId, state: withVisitor(choice.state, choice.botId) };
}

/** Recovering bots sit this visit out as often as their shares say, unless nobody else is there. */
function drawBot(
  state: ChoiceState,
  eligible: readonly Candidate[],
  request: ChoiceRequest,
): Choice {
  const { present, random } = drawPresent(eligible, request.random);
  const drawn = present.length > 0 ? present : eligible;
  const choice = pick(state, highestPriority(drawn), { ...request, random });
  return drawn.length === eligible.length ? choice : keepingSmooth(state, choice, eligible);
}

/**
 * One number decides about every recovering bot and is as good as new afterwards: what is left of
 * it, stretched, is evenly spread again.
 */
function drawPresent(
  eligible: readonly Candidate[],
  random: number,
): { present: Candidate[]; random: number } {
  const present: Candidate[] = [];
  let left = random;
  for (const candidate of eligible) {
    const share = Math.min(candidate.sharePercent ?? 100, 100) / 100;
    const isPresent = left < share;
    left = isPresent ? left / share : (left - share) / (1 - share);
    // Rounding must not make a 1 of it.
    left = Math.min(left, 1 - Number.EPSILON);
    if (isPresent) present.push(candidate);
  }
  return { present, random: left };
}

/** Whoever sits one visit out goes on from the weight that he had, or would never be in front. */
function keepingSmooth(
  before: ChoiceState,
  { botId, state }: Choice,
  eligible: readonly Candidate[],
): Choice {
  if (state.smooth === before.smooth) return { botId, state };
  const smooth = new Map(state.smooth);
  for (const { botId: id } of eligible) {
    const value = before.smooth.get(id);
    if (value !== undefined && !smooth.has(id)) smooth.set(id, value);
  }
  return { botId, state: { ...state, smooth } };
}

function highestPriority(candidates: readonly Candidate[]): Candidate[] {
  const highest = Math.max(...candidates.map(({ priority }) => priority));
  return candidates.filter(({ priority }) => priority === highest);
}

function pick(state: ChoiceState, tier: readonly Candidate[], request: ChoiceRequest): Choice {
  if (tier.length === 0) return { botId: null, state };
  switch (request.strategy) {
    case 'round_robin': {
      const botId = tier[state.turn % tier.length]?.botId ?? null;
      return { botId, state: { ...state, turn: (state.turn + 1) % Number.MAX_SAFE_INTEGER } };
    }
    case 'weighted':
      return pickSmoothly(state, weighted(tier));
    case 'least_connections':
      return { botId: leastLoaded(state.load, weighted(tier)), state };
    case 'random':
      return { botId: tier[Math.floor(request.random * tier.length)]?.botId ?? null, state };
  }
}

/** Weight 0 takes a bot out of the draw, unless all of them have it. */
function weighted(tier: readonly Candidate[]): readonly Candidate[] {
  const drawn = tier.filter(({ weight }) => weight > 0);
  return drawn.length > 0 ? drawn : tier.map((candidate) => ({ ...candidate, weight: 1 }));
}

/**
 * Everybody gains its weight, the one that leads is taken and pays the total: {5, 1, 1} gives
 * a a b a c a a, never five in a row.
 */
function pickSmoothly(state: ChoiceState, tier: readonly Candidate[]): Choice {
  const raised = tier.map(
    ({ botId, weight }) => [botId, (state.smooth.get(botId) ?? 0) + weight] as const,
  );
  const [botId, value] = raised.reduce((best, next) => (next[1] > best[1] ? next : best));
  const total = tier.reduce((sum, { weight }) => sum + weight, 0);
  return { botId, state: { ...state, smooth: new Map(raised).set(botId, value - total) } };
}

function leastLoaded(load: ChoiceState['load'], tier: readonly Candidate[]): string | null {
  const loads = tier.map(({ botId, weight }) => ({
    botId,
    load: ((load.now.get(botId) ?? 0) + (load.before.get(botId) ?? 0)) / weight,
  }));
  return loads.reduce((best, next) => (next.load < best.load ? next : best)).botId;
}

function withWindow(state: ChoiceState, nowMs: number): ChoiceState {
  const { load } = state;
  const age = nowMs - load.startedMs;
  if (age < loadWindowMs) return state;
  const before = age < 2 * loadWindowMs ? load.now : new Map<string, number>();
  return { ...state, load: { startedMs: nowMs, now: new Map(), before } };
}

function withVisitor(state: ChoiceState, botId: string): ChoiceState {
  const now = new Map(state.load.now);
  now.set(botId, (now.get(botId) ?? 0) + 1);
  return { ...state, load: { ...state.load, now } };
}
