/**
 * Goal: `rastro catalog apply` says whose each new bot's token is, and a token that Telegram
 * refuses, or that is another bot's, changes nothing and is named by its line, never by itself.
 * Method: the real command against a real operator-console and the sandbox's Telegram.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { services } from '@rastro/infra/services';
import { startSandbox } from '@rastro/sandbox';
import { migratedDatabase, startTestServers, testLog, testMasterKey } from '@rastro/testing';
import t from 'tap';
import { runRastro } from '../support/rastro-process.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
const entry = services.find(({ name }) => name === 'operator-console');
const folders = entry?.database?.folders ?? [];
const database = stack.use(await migratedDatabase(servers, { schema: 'catalog', folders }));
const apiKey = 'a-key-of-at-least-16';
const console_ = await entry?.start(
  {
    PORT: '0',
    NATS_URL: servers.nats.url,
    POSTGRES_URL: database.url,
    RASTRO_API_KEY: apiKey,
  },
  testLog(),
);
if (console_) stack.use(console_);
const tokenA = '7000000001:AAtokenOfA';
const tokenB = '7000000002:AAtokenOfB';
const sandbox = stack.use(
  await startSandbox({
    port: 0,
    publicOrigin: 'https://go.example.com',
    world: {
      bots: [
        { token: tokenA, username: 'Receitas_A_bot' },
        { token: tokenB, username: 'receitas_b_bot' },
      ],
      pixels: [],
      pixAccounts: [],
    },
  }),
);

interface Bot {
  readonly id: string;
  readonly username: string;
  readonly token: string;
}

const botA = { id: 'bot-a', username: 'receitas_a_bot', token: tokenA };
const botB = { id: 'bot-b', username: 'receitas_b_bot', token: tokenB };

/** The bots stand from line 8 on, five lines each. */
function textOf(bots: readonly Bot[]): string {
  return `workspace: demo
accounts:
  - { id: pix, kind: standard-webhooks, apiUrl: 'http://127.0.0.1:9', credentials: { apiKey: k } }
products: [{ id: ebook, name: E-book, priceCents: 1990, currency: BRL }]
funnels:
  - { id: default, steps: [{ id: welcome, text: Olá, buttons: [{ label: Comprar, buy: ebook }] }] }
bots:
${bots
  .map(
    ({ id, username, token }) => `  - id: ${id}
    username: ${username}
    token: '${token}'
    funnel: default
    account: pix
`,
  )
  .join('')}`;
}

const telegramUrl = `${sandbox.url}/telegram`;

async function apply(bots: readonly Bot[], args: string[] = [], apiUrl = telegramUrl) {
  const file = join(servers.folder, 'catalog.yaml');
  writeFileSync(file, textOf(bots));
  const rastro = runRastro(['infra/cli/main.ts', 'catalog', 'apply', file, ...args], {
    PUBLIC_ORIGIN: console_?.url ?? '',
    RASTRO_API_KEY: apiKey,
    RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
    RASTRO_DATA_DIR: join(servers.folder, 'data'),
    TELEGRAM_API_URL: apiUrl,
  });
  const code = await rastro.exit();
  return { code, output: rastro.output() };
}

async function knownBots(): Promise<string[]> {
  const rows = await database.sql<{ id: string }[]>`
    select id from entries where kind = 'bot' order by id`;
  return rows.map(({ id }) => id);
}

await t.test('a token that is refused, or another bot’s, changes nothing', async (t) => {
  const wrong = { ...botB, token: '7000000002:AArevoked' };
  const refused = await apply([botA, wrong]);
  t.equal(refused.code, 2, refused.output);
  t.match(refused.output, 'bot-a: @Receitas_A_bot\n');
  t.match(
    refused.output,
    /catalog\.yaml:15: bots "bot-b" token: Telegram refuses this token \(401 Unauthorized\)/,
  );
  t.notMatch(refused.output, 'AArevoked');
  const swapped = await apply([
    { ...botA, token: tokenB },
    { ...botB, token: 'nonsense' },
  ]);
  t.equal(swapped.code, 2);
  t.match(swapped.output, /:9: bots "bot-a" username: .*@receitas_b_bot, not to @receitas_a_bot/);
  t.match(swapped.output, /:15: bots "bot-b" token: .*123456:ABC-def/);
  t.notMatch(swapped.output, 'nonsense');
  t.same(await knownBots(), []);
});

await t.test('whose the tokens are is said once', async (t) => {
  const dry = await apply([botA], ['--dry-run']);
  t.equal(dry.code, 0, dry.output);
  t.match(dry.output, 'bot-a: @Receitas_A_bot\n');
  t.match(dry.output, 'would change');
  t.same(await knownBots(), []);
  const first = await apply([botA]);
  t.equal(first.code, 0, first.output);
  t.match(first.output, 'bot-a: @Receitas_A_bot\n');
  const second = await apply([botA, botB]);
  t.notMatch(second.output, 'bot-a: @');
  t.match(second.output, 'bot-b: @receitas_b_bot\n');
  t.same(await apply([botA, botB]), { code: 0, output: 'Nothing to change.\n' });
  t.same(await knownBots(), ['bot-a', 'bot-b']);
});

await t.test('a Telegram that does not answer keeps nobody from working', async (t) => {
  const bot = { ...botB, id: 'bot-c', token: '7000000003:AAtokenOfC' };
  const { code, output } = await apply([bot], [], 'http://127.0.0.1:9');
  t.equal(code, 0, output);
  t.match(output, /bot-c: not checked, Telegram did not answer \(ECONNREFUSED\)/);
  t.notMatch(output, 'AAtokenOfC');
  t.same(await knownBots(), ['bot-a', 'bot-b', 'bot-c']);
});
