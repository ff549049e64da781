/** Goal: applying twice changes nothing, removal is asked for, names stay unique. Method: examples. */
import t from 'tap';
import { changesOf, conflictsOf, type Current } from '../../src/core/changes.ts';
import type { AnyDraft } from '../../src/core/entry.ts';

const product = (id: string, name = 'E-book'): AnyDraft => ({
  kind: 'product',
  id,
  data: { id, name, priceCents: 1990, currency: 'BRL', accessUrl: null },
});
const stored = (draft: AnyDraft, workspaceId = 'demo', version = 3): Current => ({
  ...draft,
  workspaceId,
  version,
});

const plan = (drafts: AnyDraft[], current: Current[], prune = false) =>
  changesOf({ workspaceId: 'demo', drafts, current, prune }).map(({ id, change, version }) => [
    id,
    change,
    version,
  ]);

await t.test('new, changed and unchanged entries', (t) => {
  t.same(plan([product('a')], []), [['a', 'created', 1]]);
  t.same(plan([product('a')], [stored(product('a'))]), []);
  t.same(plan([product('a', 'B')], [stored(product('a'))]), [['a', 'updated', 4]]);
  t.end();
});

await t.test('the order of keys, which the database does not keep, is no change', (t) => {
  const { data } = product('a');
  const reordered = Object.fromEntries(Object.entries(data).toReversed()) as typeof data;
  t.same(plan([product('a')], [{ ...stored(product('a')), data: reordered }]), []);
  t.end();
});

await t.test('what the file does not name is kept, unless pruning is asked for', (t) => {
  const current = [stored(product('a')), stored(product('b')), stored(product('c'), 'other')];
  t.same(plan([product('a')], current), []);
  t.same(plan([product('a')], current, true), [['b', 'removed', 4]]);
  t.same(
    plan([product('a')], [stored(product('a')), { ...stored(product('b')), data: null }], true),
    [],
  );
  t.end();
});

await t.test('an entry that was removed comes back under a higher version', (t) => {
  t.same(plan([product('a')], [{ ...stored(product('a')), data: null }]), [['a', 'created', 4]]);
  t.end();
});

await t.test('an id of another workspace is taken', (t) => {
  t.match(conflictsOf('demo', [product('a')], [stored(product('a'), 'other')]), [
    { id: 'a', reason: /another workspace/ },
  ]);
  t.same(conflictsOf('demo', [product('a')], [stored(product('a'), 'demo')]), []);
  t.end();
});
