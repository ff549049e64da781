/**
 * Goal: what waits in a table is worked off as fast as there is room, however jobs end, and what is
 * under way is waited for at the end.
 * Method: a made-up table of 400 jobs of different lengths that nobody announces, polled hourly.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { startWorker } from '../../src/adapters/worker.ts';

await t.test('a backlog is worked off without being woken', async (t) => {
  const waiting = Array.from({ length: 400 }, (_, index) => index);
  let underWay = 0;
  let most = 0;
  const finished: number[] = [];
  const all = Promise.withResolvers<void>();
  const worker = startWorker<number>({
    async take(limit) {
      await delay(1);
      return waiting.splice(0, limit);
    },
    async run(job) {
      underWay += 1;
      most = Math.max(most, underWay);
      // Several end while the next ones are being looked for.
      await delay(job % 3);
      underWay -= 1;
      finished.push(job);
      if (finished.length === 400) all.resolve();
    },
    onError: (error) => t.fail(String(error)),
    concurrency: 8,
    pollMs: 3_600_000,
  });
  await all.promise;
  t.equal(most, 8, 'never more than there is room for');
  t.same(
    finished.toSorted((a, b) => a - b),
    Array.from(finished.keys()),
  );
  await worker[Symbol.asyncDispose]();
});

await t.test('a look that fails and a job that fails end nothing', async (t) => {
  const errors: string[] = [];
  let looks = 0;
  const done = Promise.withResolvers<void>();
  const worker = startWorker<number>({
    async take() {
      looks += 1;
      if (looks === 1) throw new Error('look');
      return looks < 5 ? [looks] : [];
    },
    async run(job) {
      if (job === 2) throw new Error('job');
      if (job === 4) done.resolve();
    },
    onError: (error) => errors.push((error as Error).message),
    concurrency: 1,
    pollMs: 5,
  });
  await done.promise;
  t.same(errors, ['look', 'job']);
  await worker[Symbol.asyncDispose]();
});
