/**
 * Goal: what waits in a table is worked off as fast as there is room, however jobs end; one account
 * does not take all the room; and what is under way is waited for at the end.
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
    accountOf: (job) => (job % 2 === 0 ? 'a' : 'b'),
    concurrency: 8,
    concurrencyPerAccount: 8,
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
    accountOf: () => 'a',
    concurrency: 1,
    concurrencyPerAccount: 1,
    pollMs: 5,
  });
  await done.promise;
  t.same(errors, ['look', 'job']);
  await worker[Symbol.asyncDispose]();
});

await t.test('an account whose gateway hangs leaves room for the others', async (t) => {
  const waiting = Array.from({ length: 40 }, (_, index) => ({
    index,
    account: index < 30 ? 'hangs' : 'fine',
  }));
  const hanging = Promise.withResolvers<void>();
  const done: number[] = [];
  const allFine = Promise.withResolvers<void>();
  let most = 0;
  let stuck = 0;
  const worker = startWorker<(typeof waiting)[number]>({
    // Oldest first, as the tables have it: those of the account that hangs stand in front.
    async take(limit, busyAccounts) {
      const free = waiting.filter(({ account }) => !busyAccounts.includes(account)).slice(0, limit);
      for (const job of free) waiting.splice(waiting.indexOf(job), 1);
      return free;
    },
    async run({ index, account }) {
      if (account === 'hangs') {
        stuck += 1;
        most = Math.max(most, stuck);
        await hanging.promise;
        stuck -= 1;
      }
      done.push(index);
      if (done.filter((one) => one >= 30).length === 10) allFine.resolve();
    },
    accountOf: ({ account }) => account,
    onError: (error) => t.fail(String(error)),
    concurrency: 6,
    concurrencyPerAccount: 4,
    pollMs: 10,
  });
  await allFine.promise;
  t.ok(done.every((index) => index >= 30));
  t.equal(most, 4);
  hanging.resolve();
  await worker[Symbol.asyncDispose]();
});
