/** Goal: order within a key, parallelism across keys, a bound on both. Method: recorded runs. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Lanes } from '../src/lanes.ts';

await t.test('tasks of one key run in order and never together', async (t) => {
  const lanes = new Lanes(8);
  const log: string[] = [];
  let running = 0;
  for (let i = 0; i < 20; i += 1) {
    await lanes.accept('chat', async () => {
      running += 1;
      t.equal(running, 1);
      await delay(Math.random() * 3);
      log.push(String(i));
      running -= 1;
    });
  }
  await lanes.idle();
  t.same(
    log,
    Array.from({ length: 20 }, (_, i) => String(i)),
  );
});

await t.test('keys run side by side, up to the limit', async (t) => {
  const lanes = new Lanes(4);
  let running = 0;
  let most = 0;
  for (let i = 0; i < 40; i += 1) {
    await lanes.accept(`chat-${i}`, async () => {
      running += 1;
      most = Math.max(most, running);
      await delay(2);
      running -= 1;
    });
  }
  await lanes.idle();
  t.equal(most, 4);
});
