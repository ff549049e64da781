/**
 * Goal: a funnel that leads nowhere is refused, with the place of each mistake.
 * Method: a catalog file with one mistake of each kind, and the same one without them.
 */
import t from 'tap';
import { readCatalogFile } from '../../src/core/catalog-file.ts';

const product = { id: 'ebook', name: 'E-book', priceCents: 1990, currency: 'BRL' };

function problemsOf(funnel: object): string[] {
  const result = readCatalogFile({ workspace: 'demo', products: [product], funnels: [funnel] });
  return result.ok
    ? []
    : result.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const step = (id: string, more: object = {}) => ({ id, text: 'Olá', ...more });

await t.test('everything that a funnel may have', async (t) => {
  const bump = { product: 'ebook', text: 'E mais?', accept: 'Sim', decline: 'Não' };
  const funnel = {
    id: 'default',
    steps: [
      step('a', { next: 'b', media: { type: 'video', url: 'https://example.com/v.mp4' } }),
      step('b', { delaySeconds: 60, branches: [{ when: 'paid', goto: 'c' }] }),
      step('c', { buttons: [{ label: 'Comprar', buy: 'ebook', bump }] }),
    ],
    followUps: [{ id: 'f', on: 'pix_expired', product: 'ebook', goto: 'c' }],
    quietHours: { from: '22:00', to: '08:00' },
    messages: { refunded: '' },
    privacy: { controller: 'Loja', contact: 'a@example.com' },
  };
  t.same(problemsOf(funnel), []);
  const result = readCatalogFile({ workspace: 'demo', products: [product], funnels: [funnel] });
  const [, draft] = result.ok ? result.file.drafts : [];
  t.match(draft?.data, {
    followUps: [{ afterMinutes: 0, step: null }],
    quietHours: { utcOffsetMinutes: -180 },
    privacy: { policyUrl: null },
  });
});

await t.test('each mistake by its place', async (t) => {
  const bump = { product: 'gone', text: 'E mais?', accept: 'Sim', decline: 'Não' };
  const problems = problemsOf({
    id: 'default',
    steps: [
      step('a', {
        next: 'nowhere',
        branches: [{ when: 'paid', product: 'gone', goto: 'nowhere' }],
      }),
      step('b', { buttons: [{ label: 'X', goto: 'a', bump }] }),
      step('c', { next: 'd' }),
      step('d', { next: 'c' }),
    ],
    followUps: [
      { id: 'f', on: 'stalled', step: 'nowhere', goto: 'a' },
      { id: 'f', on: 'paid', goto: 'nowhere' },
    ],
  });
  for (const place of [
    /steps\.0\.next: there is no step "nowhere"/,
    /steps\.0\.branches\.0\.goto: there is no step "nowhere"/,
    /steps\.0\.branches\.0\.product: there is no product "gone"/,
    /steps\.1\.buttons\.0\.bump: stands beside buy only/,
    /steps\.1\.buttons\.0\.bump\.product: there is no product "gone"/,
    /steps\.2\.next: leads back to this step by itself/,
    /followUps\.0\.step: there is no step "nowhere"/,
    /followUps\.1\.goto: there is no step "nowhere"/,
    /followUps: two follow-ups have the same id/,
  ]) {
    t.ok(
      problems.some((problem) => place.test(problem)),
      `${place.source}: ${problems.join('\n')}`,
    );
  }
  t.match(
    problemsOf({ id: 'default', steps: [step('a', { media: { type: 'gif' } })] })[0],
    'media',
  );
});
