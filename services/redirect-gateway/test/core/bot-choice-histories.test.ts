/**
 * Goal: over long histories, with bots that fall ill, recover, come and go, each strategy's shares
 * stay within 1 % of what it promises, and a visitor never moves while his bot is healthy.
 * Method: 100,000 choices a phase from a fixed seed, the promise worked out beside it; then
 * generated histories of visits and changes, each visit held against the rules.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  type Candidate,
  type ChoiceState,
  chooseBot,
  initialChoiceState,
  type Strategy,
} from '../../src/core/bot-choice.ts';

const strategies = ['round_robin', 'weighted', 'least_connections', 'random'] as const;

// A small generator of our own, so that the shares are the same in every run.
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

type Counts = Map<string, number>;
const add = (counts: Counts, botId: string, count: number): void =>
  void counts.set(botId, (counts.get(botId) ?? 0) + count);

/** A pool in use: its memory goes on from phase to phase, a visitor comes each millisecond. */
function poolInUse(strategy: Strategy) {
  const random = seeded(42);
  let state: ChoiceState = initialChoiceState;
  let nowMs = 0;
  return (candidates: readonly Candidate[], stickyBotId: string | null = null): string => {
    const request = { strategy, candidates, stickyBotId, nowMs: (nowMs += 1), random: random() };
    const choice = chooseBot(state, request);
    state = choice.state;
    return choice.botId ?? 'none';
  };
}

const count = 100_000;

function countOf(choose: () => string): Counts {
  const counts: Counts = new Map();
  for (let at = 0; at < count; at += 1) add(counts, choose(), 1);
  return counts;
}

const five: readonly Candidate[] = [
  { botId: 'a', weight: 5, priority: 1, isHealthy: true },
  { botId: 'b', weight: 2, priority: 1, isHealthy: true },
  { botId: 'c', weight: 1, priority: 1, isHealthy: true },
  { botId: 'd', weight: 3, priority: 0, isHealthy: true },
  { botId: 'e', weight: 1, priority: -1, isHealthy: true },
];
const without = (...ill: string[]): Candidate[] =>
  five.map((one) => ({ ...one, isHealthy: !ill.includes(one.botId) }));

/** What a strategy promises those who are in the draw: equal shares, or shares by weight. */
function promised(strategy: Strategy, pool: readonly Candidate[]): Counts {
  const healthy = pool.filter(({ isHealthy }) => isHealthy);
  const eligible = healthy.length > 0 ? healthy : pool;
  const highest = Math.max(...eligible.map(({ priority }) => priority));
  const tier = eligible.filter(({ priority }) => priority === highest);
  const isByWeight = strategy === 'weighted' || strategy === 'least_connections';
  const partOf = (one: Candidate): number => (isByWeight ? one.weight : 1);
  const whole = tier.reduce((sum, one) => sum + partOf(one), 0);
  return new Map(tier.map((one) => [one.botId, partOf(one) / whole]));
}

/** The largest difference between a share and its promise, of all bots. */
function deviation(counts: Counts, promise: Counts): number {
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  const ids = new Set([...counts.keys(), ...promise.keys()]);
  return Math.max(
    ...[...ids].map((id) => Math.abs((counts.get(id) ?? 0) / total - (promise.get(id) ?? 0))),
  );
}

const everybody = five.map(({ botId }) => botId);
const phases = [
  ['all healthy', five],
  ['b ill', without('b')],
  ['all back', five],
  ['the first tier ill', without('a', 'b', 'c')],
  ['the first two tiers ill', without('a', 'b', 'c', 'd')],
  ['nobody healthy', without(...everybody)],
  ['all back again', five],
] as const;

await t.test('shares within 1 %, by priority, through illness and recovery', async (t) => {
  for (const strategy of ['round_robin', 'weighted', 'random'] as const) {
    const choose = poolInUse(strategy);
    for (const [name, pool] of phases) {
      const off = deviation(
        countOf(() => choose(pool)),
        promised(strategy, pool),
      );
      t.ok(off <= 0.01, `${strategy}, ${name}: ${(off * 100).toFixed(2)} % off`);
    }
  }
});

await t.test('least_connections levels the load of those who are there', async (t) => {
  const choose = poolInUse('least_connections');
  const healthy = countOf(() => choose(five));
  t.ok(deviation(healthy, promised('least_connections', five)) <= 0.01, 'all healthy');
  const ill = countOf(() => choose(without('b')));
  t.ok(deviation(ill, promised('least_connections', without('b'))) <= 0.01, 'b ill');
  const back = countOf(() => choose(five));
  const whole: Counts = new Map();
  for (const counts of [healthy, ill, back]) for (const [botId, n] of counts) add(whole, botId, n);
  const off = deviation(whole, promised('least_connections', five));
  t.ok(off <= 0.01, `b has caught up: ${(off * 100).toFixed(2)} % off`);
  const settled = countOf(() => choose(five));
  t.ok(deviation(settled, promised('least_connections', five)) <= 0.01, 'and is one of them again');
});

await t.test('a bot that falls ill and recovers over and over skews nothing', async (t) => {
  for (const strategy of ['round_robin', 'weighted', 'random'] as const) {
    const random = seeded(7);
    const choose = poolInUse(strategy);
    const counts: Counts = new Map();
    const promise: Counts = new Map();
    let pool = five as Candidate[];
    for (let at = 0; at < count; at += 1) {
      // About every hundred visitors; health is asked for by the minute in truth.
      if (random() < 0.01) pool = random() < 0.5 ? without('b') : [...five];
      add(counts, choose(pool), 1);
      for (const [botId, share] of promised(strategy, pool)) add(promise, botId, share / count);
    }
    const off = deviation(counts, promise);
    t.ok(off <= 0.01, `${strategy}: ${(off * 100).toFixed(2)} % off`);
  }
});

await t.test('visitors who stay with their bot do not skew the draw for the others', async (t) => {
  for (const strategy of strategies) {
    const random = seeded(11);
    const choose = poolInUse(strategy);
    const drawn: Counts = new Map();
    const all: Counts = new Map();
    for (let at = 0; at < count; at += 1) {
      const sticky = random() < 0.2 ? 'b' : null;
      const botId = choose(five, sticky);
      add(all, botId, 1);
      if (sticky === null) add(drawn, botId, 1);
    }
    // least_connections makes up for them: the load is what it levels.
    const counts = strategy === 'least_connections' ? all : drawn;
    const off = deviation(counts, promised(strategy, five));
    t.ok(off <= 0.01, `${strategy}: ${(off * 100).toFixed(2)} % off`);
  }
});

const botIds = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const changes = fc.oneof(
  { weight: 8, arbitrary: fc.record({ visitor: fc.nat({ max: 9 }) }) },
  { weight: 3, arbitrary: fc.record({ botId: botIds, isHealthy: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ botId: botIds, isInPool: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ botId: botIds, priority: fc.constantFrom(-1, 0, 1) }) },
  { weight: 1, arbitrary: fc.record({ strategy: fc.constantFrom(...strategies) }) },
  { weight: 1, arbitrary: fc.record({ passedMs: fc.nat({ max: 900_000 }) }) },
);
const histories = fc.array(fc.tuple(changes, fc.double({ min: 0, max: 0.999_999, noNaN: true })), {
  minLength: 50,
  maxLength: 1_000,
  size: 'max',
});

/** Why this choice breaks a rule; undefined when it breaks none. */
function broken(before: string | null, now: string | null, pool: readonly Candidate[]) {
  const chosen = pool.find(({ botId }) => botId === now);
  const mine = pool.find(({ botId }) => botId === before);
  const healthy = pool.filter(({ isHealthy }) => isHealthy);
  if (pool.length === 0) return now === null ? undefined : 'a bot out of nowhere';
  if (!chosen) return 'no bot, or one that is not in the pool';
  if (healthy.length > 0 && !chosen.isHealthy) return 'an ill bot while a healthy one was there';
  if (mine?.isHealthy) return chosen === mine ? undefined : 'moved while the bot was healthy';
  if (healthy.length === 0 && mine) return chosen === mine ? undefined : 'moved for no better bot';
  const eligible = healthy.length > 0 ? healthy : pool;
  const isOutranked = eligible.some(({ priority }) => priority > chosen.priority);
  return isOutranked ? 'a higher priority was passed over' : undefined;
}

await t.test('a visitor moves when his bot is ill or gone, and never otherwise', async (t) => {
  let visits = 0;
  let moves = 0;
  fc.assert(
    fc.property(histories, (history) => {
      const pool = new Map(five.map((one) => [one.botId, { ...one, isInPool: true }]));
      const botOf = new Map<number, string | null>();
      let state = initialChoiceState;
      let strategy: Strategy = 'round_robin';
      let nowMs = 0;
      for (const [change, random] of history) {
        if ('visitor' in change) {
          const stickyBotId = botOf.get(change.visitor) ?? null;
          const candidates = [...pool.values()].filter(({ isInPool }) => isInPool);
          const request = { strategy, candidates, stickyBotId, nowMs: (nowMs += 10), random };
          const choice = chooseBot(state, request);
          const why = broken(stickyBotId, choice.botId, candidates);
          if (why) throw new Error(why);
          visits += 1;
          if (stickyBotId !== null && choice.botId !== stickyBotId) moves += 1;
          state = choice.state;
          // Without a bot there is no page, and the browser keeps the cookie it had.
          botOf.set(change.visitor, choice.botId ?? stickyBotId);
        } else if ('botId' in change) {
          const before = pool.get(change.botId);
          if (before) pool.set(change.botId, { ...before, ...change });
        } else if ('strategy' in change) strategy = change.strategy;
        else nowMs += change.passedMs;
      }
    }),
    { numRuns: 300 },
  );
  t.ok(moves > 200, `${visits} visits, ${moves} moves, each for a reason`);
});
