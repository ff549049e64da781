/**
 * Goal: what webhooks lost is found whatever the status, within the budget of one question a
 * minute, and told with both sides' words and amounts; old webhooks are deleted, and no others.
 * Method: real NATS and Postgres, the sandbox's gateway with its webhooks lost, and two accounts.
 */
import { paymentsReconcile, paymentsRevalidate } from '@rastro/events';
import { ask } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import t from 'tap';
import { startHousekeeping, sweep } from '../src/adapters/housekeeping.ts';
import { botId, eventOf, hurried, startTwoAccounts } from './two-accounts.ts';
import {
  atBank,
  bought,
  chargeAtBank,
  chargeOf,
  chargesOf,
  sees,
  setFaults,
  start,
} from './world.ts';

const accounts = await startTwoAccounts();
t.teardown(() => accounts[Symbol.asyncDispose]());
const { world, first, settle } = accounts;
const service = await start(world, { failover: hurried });
t.teardown(() => service[Symbol.asyncDispose]());
const lost = { api: 'pixWebhooks', action: { lose: true } };
await setFaults(world, [lost]);

const reconcile = (paymentId: string, workspaceId = 'demo') =>
  ask(world.nats.connection, paymentsReconcile, { workspaceId, paymentId });

/** As if the last question were more than a minute ago. */
async function reconcileLater(paymentId: string) {
  await world.sql`
    update charges set asked_at = now() - interval '61 s' where payment_id = ${paymentId}`;
  const reply = await reconcile(paymentId);
  if (!reply.ok) throw new Error(reply.error.message);
  return reply.value;
}

const asked = async (paymentId: string) =>
  (await world.sql`select asked_count from charges where payment_id = ${paymentId}`)[0]?.[
    'askedCount'
  ];

await t.test('paid, refunded in part, in whole: each found once', async (t) => {
  const { paymentId } = await bought(world);
  await atBank(world, paymentId, 'pay');
  const reply = await reconcile(paymentId);
  t.same(reply, {
    ok: true,
    value: {
      paymentId,
      accountId: 'pix-sandbox',
      amountCents: 1990,
      currency: 'BRL',
      statusBefore: 'pending',
      statusHere: 'paid',
      statusAtGateway: 'paid',
      keptCentsBefore: 0,
      keptCentsHere: 1990,
      keptCentsAtGateway: 1990,
      isDifferent: true,
      problem: null,
    },
  });
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const same = await reconcileLater(paymentId);
  t.match(same, {
    statusBefore: 'paid',
    statusAtGateway: 'paid',
    isDifferent: false,
    problem: null,
  });

  await atBank(world, paymentId, 'refund', { amount_cents: 500 });
  const kept = { keptCentsBefore: 1990, keptCentsHere: 1490, keptCentsAtGateway: 1490 };
  const part = { statusBefore: 'paid', statusHere: 'partially_refunded', ...kept };
  t.match(await reconcileLater(paymentId), { ...part, isDifferent: true, problem: null });
  await atBank(world, paymentId, 'refund', { amount_cents: 1490 });
  const gone = { statusHere: 'refunded', keptCentsHere: 0, keptCentsAtGateway: 0 };
  t.match(await reconcileLater(paymentId), { ...gone, isDifferent: true });
  const types = ['PaymentCreated', 'PaymentPaid', 'PaymentRefunded', 'PaymentRefunded'];
  await sees(world, paymentId, ...types);
  t.match(await reconcileLater(paymentId), { ...gone, isDifferent: false });
});

await t.test('the budget is everybody’s', async (t) => {
  const { paymentId } = await bought(world);
  const request = { workspaceId: 'demo', paymentId };
  await ask(world.nats.connection, paymentsRevalidate, request);
  await atBank(world, paymentId, 'pay');
  const refused = { statusHere: 'pending', statusAtGateway: null, keptCentsAtGateway: null };
  const tooSoon = { ...refused, isDifferent: false, problem: 'asked less than a minute ago' };
  t.match(await reconcile(paymentId), { ok: true, value: tooSoon });
  t.equal(await asked(paymentId), 1);
  await world.sql`
    update charges set asked_at = now() - interval '61 s' where payment_id = ${paymentId}`;
  const replies = await Promise.all([1, 2, 3].map(() => reconcile(paymentId)));
  const found = replies.filter((reply) => reply.ok && reply.value.isDifferent);
  t.equal(found.length, 1, 'one of three at once asks');
  t.equal(await asked(paymentId), 2);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const unknown = { ok: false, error: { code: 'not_found' } };
  t.match(await reconcile(paymentId, 'other'), unknown);
  t.match(await reconcile(newId()), unknown);
});

await t.test(
  'a dispute whose end nobody told us of ends with the next look at the delivery',
  async (t) => {
    const { paymentId } = await bought(world);
    await atBank(world, paymentId, 'pay');
    await atBank(world, paymentId, 'dispute');
    t.match(await reconcileLater(paymentId), { statusHere: 'disputed' });
    await atBank(world, paymentId, 'settle', { won: true });
    const revalidate = () =>
      ask(world.nats.connection, paymentsRevalidate, { workspaceId: 'demo', paymentId });
    t.match(await revalidate(), { value: { status: 'disputed' } }, 'the minute is not over');
    await world.sql`
    update charges set asked_at = now() - interval '61 s' where payment_id = ${paymentId}`;
    t.match(await revalidate(), { value: { status: 'paid' } });
    const count = await asked(paymentId);
    await world.sql`
    update charges set asked_at = now() - interval '61 s' where payment_id = ${paymentId}`;
    t.match(await revalidate(), { value: { status: 'paid' } });
    t.equal(await asked(paymentId), count, 'what is paid is not asked about');
    const ways = ['PaymentDisputed', 'PaymentDisputed'];
    await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid', ...ways);
  },
);

await t.test('a gateway that is away, knows nothing, or says what cannot be', async (t) => {
  const { paymentId } = await bought(world);
  await atBank(world, paymentId, 'pay');
  const charge = await chargeOf(world, paymentId);
  const match = { method: 'GET', path: `/charges/${charge.charge_id}` };
  const told = async (action: object) => {
    await setFaults(world, [lost, { api: 'pix', match, action }]);
    const reply = await reconcileLater(paymentId);
    t.match(reply, { statusBefore: 'pending', statusHere: 'pending', keptCentsAtGateway: null });
    await setFaults(world, [lost]);
    return reply;
  };
  const says = (changes: object) => ({ status: 200, body: { ...charge, ...changes } });
  const away = { statusAtGateway: null, isDifferent: false, problem: /503/ };
  t.match(await told({ status: 503, body: {} }), away);
  const other = { statusAtGateway: 'paid', isDifferent: true, problem: /amountCents is 1989/ };
  t.match(await told(says({ status: 'paid', amount_cents: 1989 })), other);
  const strange = { statusAtGateway: 'on_hold', isDifferent: true, problem: /unknown status/ };
  t.match(await told(says({ status: 'on_hold' })), strange);
  const missing = { statusAtGateway: null, isDifferent: true, problem: /does not know it/ };
  t.match(await told({ status: 404, body: {} }), missing);
  await sees(world, paymentId, 'PaymentCreated');
  t.match(await reconcileLater(paymentId), { statusHere: 'paid', isDifferent: true });
});

await t.test('a charge that nobody was shown, and whose webhook was lost', async (t) => {
  first.setMode('swallow');
  const shown = await bought(world, { botId });
  settle();
  const { paymentId } = shown;
  const charges = await chargesOf(world, paymentId);
  const own = charges.find((charge) => charge.pix_code === shown.pixCode);
  const stray = charges.find((charge) => charge.pix_code !== shown.pixCode);
  if (!own || !stray) throw new Error(`there are ${charges.length} charges`);
  // The answer comes after all: its id is known from then on.
  await world.sql`
    update charge_attempts set gateway_charge_id = ${stray.charge_id}
    where payment_id = ${paymentId} and account_id = 'pix-sandbox'`;
  const quiet = { accountId: 'pix-second', isDifferent: false, problem: null };
  t.match(await reconcileLater(paymentId), { ...quiet, keptCentsAtGateway: 0 }, 'both unpaid');

  await chargeAtBank(world, stray, 'pay');
  t.match(await reconcileLater(paymentId), {
    accountId: 'pix-sandbox',
    statusBefore: 'pending',
    statusHere: 'paid',
    keptCentsBefore: 0,
    keptCentsHere: 1990,
    keptCentsAtGateway: 1990,
    isDifferent: true,
    problem: /paid at pix-sandbox, by a charge that nobody was shown/,
  });
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  t.match(eventOf(world, paymentId, 'PaymentPaid'), {
    causationid: `reconciliation-${paymentId}`,
    data: { accountId: 'pix-sandbox' },
  });
  const settled = { accountId: 'pix-sandbox', isDifferent: false, problem: null };
  t.match(await reconcileLater(paymentId), settled);
  await chargeAtBank(world, own, 'pay');
  t.match(await reconcileLater(paymentId), {
    accountId: 'pix-sandbox',
    keptCentsHere: 1990,
    keptCentsAtGateway: 3980,
    isDifferent: true,
    problem: /a second time at pix-second: give that back/,
  });
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
});

await t.test('webhooks are kept for 90 days, in batches', async (t) => {
  const { sql, config } = world;
  const { webhookDays } = config;
  t.equal(webhookDays, 90);
  await sql`
    insert into webhooks (account_id, webhook_id, kind, workspace_id, type, record, received_at)
    select 'pix-sandbox', 'old-' || n, 'standard-webhooks', 'demo', 'charge.paid', '{}',
      now() - interval '91 days' from generate_series(1, 5) as n`;
  await sql`
    insert into webhooks (account_id, webhook_id, kind, workspace_id, type, record, received_at)
    values ('pix-sandbox', 'new', 'standard-webhooks', 'demo', 'charge.paid', '{}',
      now() - interval '89 days')`;
  t.same(await sweep(sql, { webhookDays, batch: 2 }), [2, 2, 1]);
  const ids = async () => {
    const rows = await sql<{ id: string }[]>`
      select webhook_id as id from webhooks where webhook_id in ('new') or webhook_id like 'old-%'`;
    return rows.map(({ id }) => id);
  };
  t.same(await ids(), ['new']);
  // Stopping in the middle of the hour holds nothing up.
  const problems: unknown[] = [];
  const onError = (error: unknown) => void problems.push(error);
  await startHousekeeping({ sql, webhookDays, onError })[Symbol.asyncDispose]();
  t.same(problems, []);
});
