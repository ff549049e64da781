/**
 * Goal: what was used last is still known, memory has a bound, and a full map is as fast as an
 * empty one. Method: more keys than fit; a million of them against the clock, with much slack (one
 * large Map whose oldest key is deleted each time would take half a minute).
 */
import t from 'tap';
import { BoundedMap } from '../../src/adapters/bounded-map.ts';

await t.test('the last ones are kept, the old ones go, and who is asked for stays', (t) => {
  const map = new BoundedMap<number, string>(100);
  t.ok(map.isEmpty);
  for (let key = 0; key < 1_000; key += 1) {
    map.set(key, `v${key}`);
    t.equal(map.get(7), key < 7 ? undefined : 'v7');
  }
  for (let key = 900; key < 1_000; key += 1) t.equal(map.get(key), `v${key}`);
  t.equal(map.get(500), undefined);
  map.set(999, 'again');
  t.equal(map.get(999), 'again');
  map.delete(999);
  t.equal(map.get(999), undefined);
  t.notOk(map.isEmpty);
  t.end();
});

await t.test('full is as fast as empty', (t) => {
  const map = new BoundedMap<number, number>(50_000);
  const startedMs = performance.now();
  for (let key = 0; key < 1_000_000; key += 1) map.set(key, key);
  const ms = performance.now() - startedMs;
  t.comment(`${ms.toFixed(0)} ns for each of a million`);
  t.ok(ms < 5_000);
  t.end();
});
