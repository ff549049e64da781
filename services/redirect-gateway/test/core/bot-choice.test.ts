/**
 * Goal: visitors are shared out as the pool's strategy says, stay with a healthy bot, and reach
 * some bot as long as one is enabled.
 * Method: 100,000 choices a strategy with the shares counted to 1 %, and the rules of health,
 * priority and stickiness as properties over generated pools.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  type Candidate,
  type ChoiceRequest,
  type ChoiceState,
  chooseBot,
  initialChoiceState,
} from '../../src/core/bot-choice.ts';

const bot = (botId: string, rest: Partial<Candidate> = {}): Candidate => ({
  botId,
  weight: 1,
  priority: 0,
  isHealthy: true,
  ...rest,
});

// A small generator of our own, so that the shares are the same in every run.
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

function shares(request: Pick<ChoiceRequest, 'strategy' | 'candidates'>, count = 100_000) {
  const random = seeded(42);
  const counted = new Map<string | null, number>();
  let state: ChoiceState = initialChoiceState;
  for (let at = 0; at < count; at += 1) {
    const choice = chooseBot(state, { ...request, stickyBotId: null, nowMs: at, random: random() });
    state = choice.state;
    counted.set(choice.botId, (counted.get(choice.botId) ?? 0) + 1);
  }
  return (botId: string): number => (counted.get(botId) ?? 0) / count;
}

const near = (actual: number, wanted: number): boolean => Math.abs(actual - wanted) <= 0.01;

await t.test('shares over 100,000 clicks', async (t) => {
  const three = [bot('a', { weight: 5 }), bot('b', { weight: 2 }), bot('c')];
  for (const strategy of ['round_robin', 'random'] as const) {
    const share = shares({ strategy, candidates: three });
    for (const { botId } of three) t.ok(near(share(botId), 1 / 3), `${strategy} ${botId}`);
  }
  for (const strategy of ['weighted', 'least_connections'] as const) {
    const share = shares({ strategy, candidates: three });
    for (const { botId, weight } of three)
      t.ok(near(share(botId), weight / 8), `${strategy} ${botId} has ${share(botId)}`);
  }
  const resting = shares({ strategy: 'weighted', candidates: [bot('a', { weight: 0 }), bot('b')] });
  t.equal(resting('a'), 0, 'weight 0 rests');
});

await t.test('weighted is smooth: no bot gets its visitors in a row', async (t) => {
  let state: ChoiceState = initialChoiceState;
  const order: (string | null)[] = [];
  const candidates = [bot('a', { weight: 5 }), bot('b'), bot('c')];
  for (let at = 0; at < 7; at += 1) {
    const choice = chooseBot(state, {
      strategy: 'weighted',
      candidates,
      stickyBotId: null,
      nowMs: 0,
      random: 0,
    });
    state = choice.state;
    order.push(choice.botId);
  }
  t.same(order, ['a', 'a', 'b', 'a', 'c', 'a', 'a']);
});

await t.test('least_connections makes room for a bot that comes back', async (t) => {
  const ask = (state: ChoiceState, candidates: Candidate[], nowMs: number) =>
    chooseBot(state, {
      strategy: 'least_connections',
      candidates,
      stickyBotId: null,
      nowMs,
      random: 0,
    });
  let state: ChoiceState = initialChoiceState;
  for (let at = 0; at < 100; at += 1)
    state = ask(state, [bot('a'), bot('b', { isHealthy: false })], at).state;
  t.equal(ask(state, [bot('a'), bot('b')], 100).botId, 'b');
  const muchLater = ask(state, [bot('a'), bot('b')], 60 * 60_000);
  t.equal(muchLater.botId, 'a', 'an old load is forgotten');
});

const strategies = fc.constantFrom(
  'round_robin',
  'weighted',
  'least_connections',
  'random',
) as fc.Arbitrary<ChoiceRequest['strategy']>;
const pools = fc.uniqueArray(
  fc.record({
    botId: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    weight: fc.integer({ min: 0, max: 10 }),
    priority: fc.constantFrom(-1, 0, 1),
    isHealthy: fc.boolean(),
  }),
  { selector: ({ botId }) => botId, maxLength: 5 },
);
const requests = fc.record({
  strategy: strategies,
  candidates: pools,
  stickyBotId: fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'elsewhere')),
  nowMs: fc.nat(),
  random: fc.double({ min: 0, max: 0.999_999, noNaN: true }),
});

await t.test('rules that hold for every pool, however the visits before went', async (t) => {
  fc.assert(
    fc.property(fc.array(requests, { maxLength: 20 }), requests, (before, request) => {
      const state = before.reduce((s, r) => chooseBot(s, r).state, initialChoiceState);
      const { botId } = chooseBot(state, request);
      const { candidates, stickyBotId } = request;
      const healthy = candidates.filter((c) => c.isHealthy);
      if (candidates.length === 0) return botId === null;
      const chosen = candidates.find((c) => c.botId === botId);
      if (!chosen) return false;
      if (healthy.some((c) => c.botId === stickyBotId)) return botId === stickyBotId;
      if (healthy.length === 0 && candidates.some((c) => c.botId === stickyBotId))
        return botId === stickyBotId;
      const eligible = healthy.length > 0 ? healthy : candidates;
      return eligible.includes(chosen) && eligible.every((c) => c.priority <= chosen.priority);
    }),
    { numRuns: 500 },
  );
  t.pass('held');
});

await t.test('a bot that recovers gets its share of what it will get, and no more', async (t) => {
  for (const strategy of ['round_robin', 'weighted', 'least_connections', 'random'] as const) {
    for (const sharePercent of [10, 50]) {
      const three = [bot('a'), bot('b', { sharePercent }), bot('c')];
      const share = shares({ strategy, candidates: three });
      // Where the load is levelled it is drawn whenever it may be: it has the least.
      const most = strategy === 'least_connections' ? 1 : 1 / 3;
      const wanted = Math.min((most * sharePercent) / 100, 1 / 3);
      const name = `${strategy}, ${sharePercent} %: b has ${share('b')}`;
      t.ok(near(share('b'), wanted), name);
      t.ok(near(share('a'), share('c')), `${strategy}: the others have equal shares`);
    }
  }
});

await t.test(
  'a bot that recovers keeps its own visitors, and serves where it is alone',
  async (t) => {
    const pool = [
      bot('a'),
      bot('b', { sharePercent: 1, priority: 1 }),
      bot('c', { isHealthy: false }),
    ];
    const ask = (candidates: Candidate[], stickyBotId: string | null, random: number) =>
      chooseBot(initialChoiceState, {
        strategy: 'random',
        candidates,
        stickyBotId,
        nowMs: 0,
        random,
      }).botId;
    t.equal(ask(pool, 'b', 0.5), 'b', 'who was with it stays');
    t.equal(ask(pool, null, 0.5), 'a', 'others go elsewhere, whatever its priority');
    t.equal(ask(pool, null, 0.009), 'b');
    for (const random of [0, 0.5, 1 - Number.EPSILON]) {
      t.equal(ask(pool.slice(1), null, random), 'b', 'better than one that is ill');
    }
    const both = [bot('a', { sharePercent: 10 }), bot('b', { sharePercent: 10 })];
    t.ok(ask(both, null, 0.999), 'somebody, when both sit out');
  },
);

await t.test('rules that hold while bots recover, too', async (t) => {
  const percents = fc.option(fc.integer({ min: 1, max: 100 }), { nil: 100 });
  const visits = fc.tuple(requests, fc.array(percents, { minLength: 5, maxLength: 5 }));
  fc.assert(
    fc.property(fc.array(visits, { minLength: 1, maxLength: 20 }), (history) => {
      let state = initialChoiceState;
      for (const [request, shares] of history) {
        const candidates = request.candidates.map((candidate, index) => ({
          ...candidate,
          sharePercent: shares[index] ?? 100,
        }));
        const choice = chooseBot(state, { ...request, candidates });
        state = choice.state;
        const healthy = candidates.filter(({ isHealthy }) => isHealthy);
        const chosen = candidates.find(({ botId }) => botId === choice.botId);
        if (candidates.length > 0 && !chosen) return false;
        if (healthy.length > 0 && !chosen?.isHealthy) return false;
        const isMine = healthy.some(({ botId }) => botId === request.stickyBotId);
        if (isMine && choice.botId !== request.stickyBotId) return false;
        if (isMine || healthy.length === 0) continue;
        // Only a bot that recovers is ever passed over by one of a lower priority.
        const passedOver = healthy.filter(({ priority }) => priority > (chosen?.priority ?? 0));
        if (passedOver.some(({ sharePercent }) => sharePercent === 100)) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass('held');
});
