/**
 * Goal: `rastro payments reconcile` finds what webhooks lost, adds up both sides for each account,
 * and says by its exit code whether anybody has to look.
 * Method: the real command against a real payment-confirmer; the sandbox's bank takes money whose
 * webhooks are lost.
 */
import { join } from 'node:path';
import {
  paymentsCreate,
  paymentsReconcile,
  type RastroEvent,
  type ReplyOf,
  type RequestOf,
} from '@rastro/events';
import { services } from '@rastro/infra/services';
import { ask, connectNats, serveRequests } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import { startSandbox } from '@rastro/sandbox';
import {
  eventually,
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  sampleSecrets,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import t from 'tap';
import { runRastro } from '../support/rastro-process.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
const entry = services.find(({ name }) => name === 'payment-confirmer');
if (!entry?.database) throw new Error('there is no payment-confirmer');
const { folders } = entry.database;
const database = stack.use(await migratedDatabase(servers, { schema: 'payments', folders }));
const { sql } = database;
const sandbox = stack.use(
  await startSandbox({
    port: 0,
    publicOrigin: 'http://127.0.0.1:9',
    world: { bots: [], pixels: [], pixAccounts: [sampleSecrets] },
  }),
);
const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log: testLog() }));
const environment = {
  NATS_URL: servers.nats.url,
  POSTGRES_URL: database.url,
  RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
};
const service = await entry.start({ ...environment, PORT: '0' }, testLog());
stack.use(service);
await putCatalog(nats, 'demo', sampleCatalog({ apiUrl: sandbox.url }));

async function reconcile(...args: string[]) {
  const dataDir = { RASTRO_DATA_DIR: join(servers.folder, 'data') };
  const command = ['infra/cli/main.ts', 'payments', 'reconcile', ...args];
  const rastro = runRastro(command, { ...environment, ...dataDir });
  return { code: await rastro.exit(), output: rastro.output(), result: rastro.result() };
}

const jsonIn = (result: string) => JSON.parse(result) as Record<'payments' | 'accounts', object[]>;

async function bought(): Promise<string> {
  const request = { workspaceId: 'demo', checkoutId: newId(), botId: 'bot-a', productId: 'ebook' };
  const who = { poolId: null, leadId: null, telegramUserId: 1, trackingToken: null };
  // The catalog is on its way.
  const { paymentId } = await eventually(async () => {
    const reply = await ask(nats.connection, paymentsCreate, { ...request, ...who });
    if (!reply.ok) throw new Error(reply.error.message);
    return reply.value;
  });
  // Only the command asks about it, however long that takes to come.
  await sql`update charges set next_check_at = null where payment_id = ${paymentId}`;
  return paymentId;
}

async function atBank(paymentId: string, action: 'pay' | 'refund', body: object = {}) {
  const found = await fetch(`${sandbox.url}/control/pix/charges?external_reference=${paymentId}`);
  const [charge] = (await found.json()) as { charge_id: string }[];
  await fetch(`${sandbox.url}/control/pix/charges/${charge?.charge_id}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const later = () =>
  sql`update charges set asked_at = asked_at - interval '61 s', next_check_at = null`;
let old = '';

await t.test('nothing, then what was lost', async (t) => {
  const nothing = await reconcile();
  t.equal(nothing.code, 0, nothing.output);
  t.match(nothing.output, 'nothing');

  // Nobody listens at the webhooks' address.
  const paid = await bought();
  const refunded = await bought();
  await bought();
  old = await bought();
  await sql`update charges set created_at = now() - interval '8 days' where payment_id = ${old}`;
  await atBank(paid, 'pay');
  await atBank(refunded, 'pay');
  await atBank(refunded, 'refund', { amount_cents: 490 });
  await atBank(old, 'pay');
  const first = await reconcile('--json');
  t.equal(first.code, 1, first.output);
  const { payments, accounts } = jsonIn(first.result);
  const found = { workspaceId: 'demo', problem: null };
  t.match(payments, [
    { ...found, paymentId: paid, reply: { statusBefore: 'pending', statusHere: 'paid' } },
    { ...found, paymentId: refunded, reply: { statusHere: 'partially_refunded' } },
  ]);
  t.equal(payments.length, 2, 'what did not differ is left out, and what is older than a week');
  const account = {
    accountId: 'pix-sandbox',
    currency: 'BRL',
    charges: 3,
    unclear: 0,
    askedJustNow: 0,
  };
  const both = { payments: 2, cents: 1990 + 1500 };
  const sums = { hereBefore: { payments: 0, cents: 0 }, atGateway: both, hereNow: both };
  t.same(accounts, [{ ...account, ...sums }]);
  const types = await sql<Pick<RastroEvent, 'type'>[]>`
    select type from events where stream_id = ${`payment-${paid}`} order by version`;
  t.same(
    types.map(({ type }) => type),
    ['PaymentCreated', 'PaymentPaid'],
  );
});

await t.test('the same once more, at once and a minute later', async (t) => {
  // What was asked about just before is nothing that anybody has to look at.
  const tooSoon = await reconcile('--no-wait');
  t.equal(tooSoon.code, 0, tooSoon.output);
  t.notMatch(tooSoon.output, 'asked less than a minute ago');
  t.match(tooSoon.output, /pix-sandbox +3 +0 +3 +0 · /);
  const told = await reconcile('--no-wait', '--status', 'pending', '--all');
  t.equal(told.code, 0, told.output);
  t.match(told.output, /pending .*asked less than a minute ago/);

  await later();
  const [again, nobodys] = await Promise.all([
    reconcile('--account', 'pix-sandbox', '--workspace', 'demo'),
    reconcile('--account', 'pix-x'),
  ]);
  t.match(nobodys, { code: 0, output: /0 of 0/ });
  t.equal(again.code, 0, again.output);
  t.match(again.output, '3 of 3 asked about');
  const lines = again.result.trimEnd().split('\n');
  t.same(
    lines.map((line) => line.split(/ {2,}/)),
    [
      [
        'account',
        'charges',
        'unclear',
        'asked just now',
        'paid at gateway',
        'paid here before',
        'paid here now',
      ],
      ['pix-sandbox', '3', '0', '0', '2 · R$ 34,90', '2 · R$ 34,90', '2 · R$ 34,90'],
    ],
  );
  await later();
  const older = await reconcile('--since', '9d', '--until', '7d');
  t.equal(older.code, 1);
  t.match(older.output, new RegExp(`${old} +pix-sandbox +R\\$ 19,90 +pending +paid +paid`));
});

await t.test('misuse, and nobody there to ask', async (t) => {
  const wrong = [
    ['--since', 'yesterday'],
    ['--since', '2026-02-30'],
    ['--status', 'lost'],
    ['--since', '1d', '--until', '2d'],
  ];
  const ended = await Promise.all(wrong.map((args) => reconcile(...args)));
  t.same(
    ended.map(({ code }) => code),
    [2, 2, 2, 2],
    ended.map(({ output }) => output).join(''),
  );
  await service[Symbol.asyncDispose]();
  // Of many, the rest are not tried any more.
  await sql`
    insert into charges (payment_id, checkout_id, workspace_id, account_id, bot_id, product_id,
      product_name, amount_cents, currency, expires_in_seconds, state, gateway_charge_id, pix_code,
      expires_at)
    select gen_random_uuid(), gen_random_uuid(), 'demo', 'pix-many', 'bot-a', 'ebook',
      'E-book', 1990, 'BRL', 1800, 'open', 'chg_' || n, 'code', now() from generate_series(1, 500) n`;
  const [few, many] = await Promise.all([
    reconcile('--account', 'pix-sandbox', '--since', '30d', '--json'),
    reconcile('--account', 'pix-many'),
  ]);
  t.equal(few.code, 1, few.output);
  t.match(jsonIn(few.result).accounts, [{ charges: 4, unclear: 4 }]);
  // Who stops early tells what there is.
  const given = /^pix-many +(8|9|1[01]) +\1 +0 /m;
  t.match(many, { code: 1, output: /Given up: payments\.reconcile/, result: given });
});

type Request = RequestOf<typeof paymentsReconcile>;
type Reply = ReplyOf<typeof paymentsReconcile>;

const unpaid = {
  accountId: 'pix-b',
  statusAtGateway: 'pending',
  keptCentsBefore: 0,
  keptCentsHere: 0,
  keptCentsAtGateway: 0,
  isDifferent: false,
  retryInMs: null,
  problem: null,
};
const silent = { statusAtGateway: null, keptCentsAtGateway: null };
const away = { ...unpaid, ...silent, problem: 'the gateway is away' };
const early = { ...unpaid, ...silent, retryInMs: 500, problem: 'asked just before' };

/** Stands in for the service; resolves with what the command said of accounts, and each question. */
async function answered(own: object, args: string[], replyTo: (asked: number) => Partial<Reply>) {
  await sql`delete from charges where account_id <> 'pix-sandbox'`;
  const asked: string[] = [];
  await sql`
    insert into charges (payment_id, checkout_id, workspace_id, account_id, bot_id, product_id,
      product_name, amount_cents, currency, expires_in_seconds, state, gateway_charge_id, pix_code,
      expires_at)
    values (${newId()}, ${newId()}, 'demo', 'pix-b', 'bot-a', 'ebook', 'E-book', 1990, 'BRL', 1800,
      'open', 'chg_b', 'code', now())`;
  await using _ = await serveRequests(nats, {
    definition: paymentsReconcile,
    service: 'stand-in',
    handle: async ({ paymentId }: Request) => {
      asked.push(paymentId);
      const common = { paymentId, amountCents: 1990, currency: 'BRL' };
      const status = { statusBefore: 'pending', statusHere: 'pending' } as const;
      const value = {
        ...unpaid,
        ...own,
        ...common,
        ...status,
        strays: [],
        ...replyTo(asked.length),
      };
      return { ok: true, value };
    },
  });
  const ended = await reconcile('--account', 'pix-b', ...args);
  return { ...ended, asked: asked.length };
}

await t.test(
  'what was asked about just before is asked about once more, and no more',
  async (t) => {
    const told = /1 were asked about just before; once more in 1 s/;
    const [paid, keptCents] = ['paid', 1990] as const;
    const second = await answered(early, [], (asked) =>
      asked === 1
        ? {}
        : { ...unpaid, statusHere: paid, keptCentsAtGateway: keptCents, isDifferent: true },
    );
    t.match(second, { code: 1, output: told, asked: 2 });
    const never = await answered(early, [], () => ({}));
    t.match(never, { code: 0, output: told, asked: 2 });
    t.match(never.output, /pix-b +1 +0 +1 +0 · /);
    const refused = await answered(early, [], (asked) => (asked === 1 ? {} : away));
    t.match(refused, { code: 1, asked: 2 });
    t.match(refused.output, /pix-b +1 +1 +0 +0 · /);
    const outage = await answered(away, [], () => ({}));
    t.match(outage, { code: 1, asked: 1 });
  },
);

await t.test('money for a charge that nobody was shown is its own account’s', async (t) => {
  const stray = {
    ...unpaid,
    accountId: 'pix-a',
    statusAtGateway: 'paid',
    keptCentsAtGateway: 1990,
  };
  const surplus = { ...stray, isDifferent: true, problem: 'paid a second time' };
  const paid = { keptCentsBefore: 1990, keptCentsHere: 1990, keptCentsAtGateway: 1990 };
  const both = await answered(paid, [], () => ({ strays: [surplus] }));
  t.equal(both.code, 1);
  t.match(both.output, /pix-a +1 +0 +0 +1 · R\$ 19,90 +0 · R\$ 0,00 +0 · R\$ 0,00/);
  t.match(both.output, /pix-b +1 +0 +0 +1 · R\$ 19,90 +1 · R\$ 19,90 +1 · R\$ 19,90/);
  t.match(both.output, /pix-a +R\$ 19,90 +not shown +paid +not shown +paid a second time/);
  const json = await answered(away, ['--json'], () => ({ strays: [surplus] }));
  t.match(jsonIn(json.result).accounts, [
    { accountId: 'pix-a', unclear: 0, atGateway: { payments: 1, cents: 1990 } },
    { accountId: 'pix-b', unclear: 1, atGateway: { payments: 0, cents: 0 } },
  ]);
  const unasked = { ...early, accountId: 'pix-a' };
  const later = await answered({}, ['--no-wait'], () => ({ strays: [unasked] }));
  t.match(later, { code: 0, output: /pix-a +1 +0 +1 +0 · / });
});
