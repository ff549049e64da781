/**
 * Goal: the next account gets its turn in time, and one that is down costs few customers a wait.
 * Method: the order of accounts, their shares of the time, and an account's rest, step by step.
 */
import fc from 'fast-check';
import { ok } from 'node:assert/strict';
import t from 'tap';
import {
  attemptMs,
  type Circuit,
  defaultFailover,
  failedOnce,
  isResting,
  orderOf,
  takeTurn,
} from '../../src/core/failover.ts';

const { budgetMs, minAttemptMs, failuresUntilRest, restMs } = defaultFailover;

await t.test('order: each once, those that rest last', async (t) => {
  const resting = new Set(['a', 'c']);
  const order = orderOf(['a', 'b', 'a', 'c', 'd', 'b'], (id) => resting.has(id));
  t.same(order, ['b', 'd', 'a', 'c']);
  t.same(
    orderOf(['a', 'c'], (id) => resting.has(id)),
    ['a', 'c'],
    'all that is left',
  );
});

await t.test('time: an equal share, never too little, never too much in all', async (t) => {
  t.equal(attemptMs(defaultFailover, { leftMs: budgetMs, accountsLeft: 1 }), budgetMs);
  t.equal(attemptMs(defaultFailover, { leftMs: budgetMs, accountsLeft: 2 }), budgetMs / 2);
  t.equal(attemptMs(defaultFailover, { leftMs: budgetMs, accountsLeft: 9 }), minAttemptMs);
  t.equal(attemptMs(defaultFailover, { leftMs: 1_500, accountsLeft: 2 }), 1_500);
  t.equal(attemptMs(defaultFailover, { leftMs: 999, accountsLeft: 1 }), null);
  t.equal(attemptMs(defaultFailover, { leftMs: -5, accountsLeft: 1 }), null);
  const accounts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 });
  // How much of its share each account takes before it fails.
  fc.assert(
    fc.property(accounts, (shares) => {
      let leftMs = budgetMs;
      for (const [index, share] of shares.entries()) {
        const ms = attemptMs(defaultFailover, { leftMs, accountsLeft: shares.length - index });
        if (ms === null) return;
        ok(ms >= minAttemptMs / 2 && ms <= leftMs, `${ms} of ${leftMs}`);
        leftMs -= ms * share;
      }
    }),
  );
});

await t.test('rest: after failures in a row, and one probe after it', async (t) => {
  let circuit: Circuit = null;
  t.equal(isResting(circuit, 0), false);
  for (let failures = 1; failures < failuresUntilRest; failures += 1) {
    circuit = failedOnce(circuit, defaultFailover, 1_000);
    t.equal(isResting(circuit, 1_000), false, `after ${failures}`);
    t.equal(takeTurn(circuit, defaultFailover, 1_000), circuit, 'no probe yet');
  }
  circuit = failedOnce(circuit, defaultFailover, 1_000);
  t.equal(isResting(circuit, 1_000), true);
  t.equal(isResting(circuit, 1_000 + restMs - 1), true);
  const over = 1_000 + restMs;
  t.equal(isResting(circuit, over), false);
  circuit = takeTurn(circuit, defaultFailover, over);
  t.equal(isResting(circuit, over), true, 'the second to come does not probe');
  t.equal(isResting(circuit, over + restMs), false, 'a probe that never says');
  circuit = failedOnce(circuit, defaultFailover, over + 500);
  t.equal(isResting(circuit, over + 500 + restMs - 1), true, 'the probe failed');
});
