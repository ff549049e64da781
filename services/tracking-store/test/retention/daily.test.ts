/**
 * Goal: retention runs soon after a start and daily from then on, sooner after it could not, and
 * stopping waits for it.
 * Method: mocked timers, runs that only tell that they were asked for.
 */
import { mock } from 'node:test';
import { testLog } from '@rastro/testing';
import t from 'tap';
import { startRetention } from '../../src/retention/daily.ts';
import type { RetentionReport } from '../../src/retention/retention.ts';

const minuteMs = 60_000;
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

await t.test(
  'after a minute, then daily, or a quarter of an hour after it could not',
  async (t) => {
    mock.timers.enable({ apis: ['setTimeout'] });
    t.teardown(() => mock.timers.reset());
    const outcomes: (RetentionReport['outcome'] | Error)[] = [
      'busy',
      new Error('Postgres is away'),
      'done',
      'done',
    ];
    let runs = 0;
    const retention = startRetention(async () => {
      const outcome = outcomes[runs] ?? 'done';
      runs += 1;
      if (outcome instanceof Error) throw outcome;
      return { outcome, droppedMonths: [], truncatedEvents: 0 };
    }, testLog());
    for (const [minutes, expected] of [
      [0, 0],
      [1, 1],
      [15, 2],
      [15, 3],
      [60, 3],
      [23 * 60, 4],
    ] as const) {
      mock.timers.tick(minutes * minuteMs);
      await settled();
      t.equal(runs, expected, `after ${minutes} more minutes`);
    }
    await retention[Symbol.asyncDispose]();
    mock.timers.tick(48 * 60 * minuteMs);
    await settled();
    t.equal(runs, 4, 'never after it was stopped');
  },
);

await t.test('stopping tells the run under way and waits for it', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const ended = Promise.withResolvers<void>();
  let isAborted = false;
  const retention = startRetention(async (signal) => {
    await ended.promise;
    isAborted = signal.aborted;
    return { outcome: 'postponed', droppedMonths: [], truncatedEvents: 0 };
  }, testLog());
  mock.timers.tick(minuteMs);
  let isStopped = false;
  const stopping = retention[Symbol.asyncDispose]().then(() => {
    isStopped = true;
  });
  await settled();
  t.equal(isStopped, false);
  ended.resolve();
  await stopping;
  t.equal(isAborted, true);
});
