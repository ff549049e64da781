/**
 * Goal: ids are UUIDv7, never the same, and sort by their birth also within a millisecond.
 * Method: 200,000 of them in one go, far more than a millisecond makes.
 */
import { validate, version } from 'uuid';
import t from 'tap';
import { newId } from '../src/index.ts';

await t.test('newId', async (t) => {
  const before = Date.now();
  const ids = Array.from({ length: 200_000 }, newId);
  t.equal(new Set(ids).size, ids.length, 'no id twice');
  t.ok(
    ids.every((id, index) => index === 0 || (ids[index - 1] ?? '') < id),
    'in order of birth',
  );
  const [first = ''] = ids;
  t.ok(validate(first));
  t.equal(version(first), 7);
  const bornMs = Number.parseInt(first.replace('-', '').slice(0, 12), 16);
  t.ok(bornMs >= before && bornMs <= Date.now(), 'the time is in it');
  t.equal(new Set(ids.map((id) => id.slice(-12))).size, ids.length, 'the rest is random');
});
