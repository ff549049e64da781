/**
 * Goal: `rastro clicks` tells the counts of each pool, bot and class, and refuses what it does not
 * understand.
 * Method: the real command on a real Postgres with a few counted days.
 */
import { join } from 'node:path';
import { services } from '@rastro/infra/services';
import { migratedDatabase, startTestServers } from '@rastro/testing';
import t from 'tap';
import { runRastro } from '../support/rastro-process.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ postgres: true }));
const folders = services.find(({ name }) => name === 'tracking-store')?.database?.folders ?? [];
const database = stack.use(await migratedDatabase(servers, { schema: 'tracking', folders }));
await database.sql`
  insert into click_counts values
    ('demo', '2026-11-19', 'promo', 'bot-a', 'human', 5),
    ('demo', '2026-11-20', 'promo', 'bot-a', 'human', 7),
    ('demo', '2026-11-20', 'promo', 'bot-a', 'bot', 2),
    ('demo', '2026-11-20', 'promo', 'bot-b', 'human', 1),
    ('demo', '2026-11-20', 'other', 'bot-a', 'unknown', 3)`;

async function clicks(...args: string[]) {
  const environment = {
    POSTGRES_URL: servers.postgres.url,
    RASTRO_DATA_DIR: join(servers.folder, 'data'),
  };
  const rastro = runRastro(['infra/cli/main.ts', 'clicks', ...args], environment);
  const code = await rastro.exit();
  return { code, output: rastro.output() };
}

await t.test('sums over days, for programs and for people', async (t) => {
  const { code, output } = await clicks('--json');
  t.equal(code, 0, output);
  const row = { workspace: 'demo', pool: 'promo', bot: 'bot-a' };
  t.same(JSON.parse(output), [
    { ...row, pool: 'other', class: 'unknown', clicks: 3 },
    { ...row, class: 'bot', clicks: 2 },
    { ...row, class: 'human', clicks: 12 },
    { ...row, bot: 'bot-b', class: 'human', clicks: 1 },
  ]);
  const some = await clicks('--pool', 'promo', '--since', '2026-11-20');
  t.equal(some.code, 0, some.output);
  t.same(some.output.trimEnd().split('\n'), [
    'workspace  pool   bot    class  clicks',
    'demo       promo  bot-a  bot    2',
    'demo       promo  bot-a  human  7',
    'demo       promo  bot-b  human  1',
  ]);
  t.same(await clicks('--pool', 'nobodys'), { code: 0, output: 'nothing\n' });
});

await t.test('a day that is none is misuse', async (t) => {
  for (const day of ['yesterday', '2026-02-30', '2026-1-1']) {
    const { code, output } = await clicks('--since', day);
    t.equal(code, 2, day);
    t.match(output, '2026-11-20', 'with an example');
  }
});
