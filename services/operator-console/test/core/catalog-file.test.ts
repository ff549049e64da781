/**
 * Goal: a right file is read with its defaults; of a wrong one every problem is named at once.
 * Method: one good file, broken in one place after the other.
 */
import t from 'tap';
import { readCatalogFile } from '../../src/core/catalog-file.ts';
import { mapSecrets } from '../../src/core/secrets.ts';

const good = {
  workspace: 'demo',
  accounts: [
    {
      id: 'pix',
      kind: 'standard-webhooks',
      apiUrl: 'http://127.0.0.1:9300',
      credentials: { apiKey: 'k' },
    },
  ],
  products: [{ id: 'ebook', name: 'E-book', priceCents: 1990, currency: 'BRL' }],
  funnels: [
    {
      id: 'default',
      steps: [{ id: 'welcome', text: 'Olá', buttons: [{ label: 'Comprar', buy: 'ebook' }] }],
    },
  ],
  bots: [
    { id: 'bot-a', username: 'demo_a_bot', token: '123:abc', funnel: 'default', account: 'pix' },
  ],
  pools: [
    {
      id: 'promo',
      slug: 'promo',
      bots: [{ bot: 'bot-a' }],
      meta: { pixelId: '1', accessToken: 'EAA' },
    },
  ],
};

type Good = typeof good;

/** A deep copy with one thing changed. */
function broken(change: (file: Good & Record<string, unknown>) => void): unknown {
  const copy = structuredClone(good) as Good & Record<string, unknown>;
  change(copy);
  return copy;
}

const problemsOf = (content: unknown): string[] => {
  const result = readCatalogFile(content);
  return result.ok
    ? []
    : result.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

await t.test('what may be left out is filled in', (t) => {
  const result = readCatalogFile(good);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const pool = result.file.drafts.find(({ kind }) => kind === 'pool');
  t.match(pool?.data, {
    strategy: 'round_robin',
    bots: [{ bot: 'bot-a', weight: 1, priority: 0 }],
    gate: { enabled: false, param: 'grim' },
    meta: {
      enabled: true,
      purchaseTrigger: 'delivery',
      purchaseGraceMinutes: 10,
      events: { purchase: true },
    },
    consent: 'not_required',
  });
  t.match(result.file.drafts.find(({ kind }) => kind === 'bot')?.data, {
    runtime: 'managed',
    enabled: true,
  });
  t.end();
});

await t.test('a pool without meta sends nothing', (t) => {
  const result = readCatalogFile(
    broken((file) => Reflect.deleteProperty(file.pools[0] ?? {}, 'meta')),
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  t.match(result.file.drafts.find(({ kind }) => kind === 'pool')?.data, {
    meta: { enabled: false, pixelId: null },
  });
  t.end();
});

await t.test('each mistake is named where it stands', (t) => {
  const cases: [RegExp, (file: Good & Record<string, unknown>) => void][] = [
    [/^workspace: must be a short/, (file) => (file.workspace = 'Démo')],
    [/^pool: is not a section/, (file) => (file['pool'] = [])],
    [
      /^products\.0\.priceCents/,
      (file) => Object.assign(file.products[0] ?? {}, { priceCents: 19.9 }),
    ],
    [
      /^products\.0\.prize: is not a known field/,
      (file) => Object.assign(file.products[0] ?? {}, { prize: 1 }),
    ],
    [
      /^bots\.0\.funnel: there is no funnel "x"/,
      (file) => Object.assign(file.bots[0] ?? {}, { funnel: 'x' }),
    ],
    [/^bots\.0\.account: there is no account/, (file) => (file.accounts = [])],
    [/^pools\.0\.bots\.0\.bot: there is no bot/, (file) => (file.bots = [])],
    [/^funnels\.0\.steps\.0\.buttons\.0\.buy: there is no product/, (file) => (file.products = [])],
    [
      /^pools\.0\.meta\.pixelId: is needed/,
      (file) => Object.assign(file.pools[0]?.meta ?? {}, { pixelId: null }),
    ],
    [/^pools\.1\.id: .*twice/, (file) => file.pools.push(structuredClone(good.pools[0]!))],
    [
      /^pools\.0\.gate\.value: is needed/,
      (file) => Object.assign(file.pools[0] ?? {}, { gate: { enabled: true } }),
    ],
  ];
  for (const [expected, change] of cases) {
    const problems = problemsOf(broken(change));
    t.ok(
      problems.some((problem) => expected.test(problem)),
      `${expected.source} in ${problems.join(' | ')}`,
    );
  }
  t.end();
});

await t.test('all problems come at once', (t) => {
  const problems = problemsOf(
    broken((file) => {
      file.workspace = '';
      Object.assign(file.products[0] ?? {}, { currency: 'reais' });
      Object.assign(file.bots[0] ?? {}, { username: '1' });
    }),
  );
  t.equal(problems.length, 3);
  t.end();
});

await t.test('what is no mapping at all is refused in words', (t) => {
  for (const content of [null, 1, 'x', []]) t.match(problemsOf(content), [/must be a mapping/]);
  t.end();
});

await t.test('only a bot that somebody else runs may keep its token to itself', async (t) => {
  const without = (rest: object) =>
    broken((file) => {
      const { token: _token, ...bot } = good.bots[0] as Good['bots'][number];
      file['bots'] = [{ ...bot, ...rest }] as never;
    });
  t.match(problemsOf(without({})), [/^bots\.0\.token: is needed/]);
  t.same(problemsOf(without({ runtime: 'external' })), []);
  const result = readCatalogFile(without({ runtime: 'external' }));
  const bot = result.ok ? result.file.drafts.find(({ kind }) => kind === 'bot') : undefined;
  t.same(bot && mapSecrets(bot, () => 'sealed'), bot, 'there is nothing to seal');
});
