/**
 * Goal: what webhooks lost is found whatever the status, within the budget of one question a
 * minute, and told with both sides' words and amounts, each account's apart.
 * Method: real NATS and Postgres, the sandbox's gateway with its webhooks lost, and two accounts.
 */
import { paymentsReconcile, paymentsRevalidate } from '@rastro/events';
import { ask } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import t from 'tap';
import { finalTypesOf } from './arrivals.ts';
import { eventOf, hurried, metricsOf, startTwoAccounts, strayed } from './two-accounts.ts';
import { atBank, bought, chargeAtBank, chargeOf, sees, setFaults, start } from './world.ts';

const accounts = await startTwoAccounts();
t.teardown(() => accounts[Symbol.asyncDispose]());
const { world } = accounts;
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
      retryInMs: null,
      problem: null,
      strays: [],
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
  const problem = 'asked less than a minute ago';
  const tooSoon = { ...refused, isDifferent: false, retryInMs: 60_000, problem };
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
  const away = { statusAtGateway: null, isDifferent: false, retryInMs: null, problem: /503/ };
  t.match(await told({ status: 503, body: {} }), away);
  const other = { statusAtGateway: 'paid', isDifferent: true, problem: /amountCents is 1989/ };
  t.match(await told(says({ status: 'paid', amount_cents: 1989 })), other);
  const strange = { statusAtGateway: 'on_hold', isDifferent: true, problem: /unknown status/ };
  t.match(await told(says({ status: 'on_hold' })), strange);
  const missing = { statusAtGateway: null, isDifferent: true, problem: /does not know it/ };
  t.match(await told({ status: 404, body: {} }), missing);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  t.match(await reconcileLater(paymentId), { statusHere: 'paid', isDifferent: true });
});

/** A payment with a second charge, that nobody was shown; its id came to be known after all. */
async function knownStray() {
  const { paymentId, own, stray } = await strayed(accounts);
  await world.sql`
    update charge_attempts set gateway_charge_id = ${stray.charge_id}
    where payment_id = ${paymentId} and account_id = 'pix-sandbox'`;
  return { paymentId, own, stray };
}

const unpaid = { keptCentsBefore: 0, keptCentsHere: 0, keptCentsAtGateway: 0 };
const quiet = { ...unpaid, isDifferent: false, problem: null };
const firstQuiet = { accountId: 'pix-sandbox', ...quiet };
const secondQuiet = { accountId: 'pix-second', ...quiet };

await t.test('a charge that nobody was shown, and whose webhook was lost', async (t) => {
  const { paymentId, own, stray } = await knownStray();
  t.match(await reconcileLater(paymentId), { ...secondQuiet, strays: [firstQuiet] });

  await chargeAtBank(world, stray, 'pay');
  const accepted = {
    accountId: 'pix-sandbox',
    statusAtGateway: 'paid',
    keptCentsBefore: 0,
    keptCentsHere: 1990,
    keptCentsAtGateway: 1990,
    isDifferent: true,
    problem: /paid by this charge, that nobody was shown/,
  };
  // The shown one's gateway is away: its silence says nothing of the other's money, nor this of it.
  const match = { method: 'GET', path: `/charges/${own.charge_id}` };
  await setFaults(world, [lost, { api: 'pix', match, action: { status: 503, body: {} } }]);
  t.match(await reconcileLater(paymentId), {
    statusBefore: 'pending',
    statusHere: 'paid',
    accountId: 'pix-second',
    keptCentsHere: 0,
    keptCentsAtGateway: null,
    isDifferent: false,
    problem: /503/,
    strays: [accepted],
  });
  await setFaults(world, [lost]);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  t.match(eventOf(world, paymentId, 'PaymentPaid'), {
    causationid: `reconciliation-${paymentId}`,
    data: { accountId: 'pix-sandbox' },
  });
});

await t.test('a payment that was paid twice is one alarm, until it is given back', async (t) => {
  const { paymentId, own, stray } = await knownStray();
  await chargeAtBank(world, stray, 'pay');
  await reconcileLater(paymentId);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const kept = { keptCentsBefore: 1990, keptCentsHere: 1990, keptCentsAtGateway: 1990 };
  const settled = { accountId: 'pix-sandbox', ...kept, isDifferent: false, problem: null };
  t.match(await reconcileLater(paymentId), { ...settled, strays: [secondQuiet] });
  await chargeAtBank(world, own, 'pay');
  const problem = /a second time by this charge: give that back/;
  const surplus = {
    accountId: 'pix-second',
    ...unpaid,
    keptCentsAtGateway: 1990,
    isDifferent: true,
    problem,
  };
  for (const time of ['first', 'second', 'third']) {
    t.match(await reconcileLater(paymentId), { ...settled, strays: [surplus] }, time);
  }
  t.match(
    await metricsOf(service.url),
    /stray_charges_total\{[^}]*outcome="surplus"[^}]*\} 1\n/,
    'one alarm for one surplus',
  );
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated', 'PaymentPaid']);
  await chargeAtBank(world, own, 'refund');
  t.match(await reconcileLater(paymentId), { ...settled, strays: [secondQuiet] }, 'given back');
});

await t.test('a charge that nobody was shown, of which something strange is told', async (t) => {
  const { paymentId, stray } = await knownStray();
  const match = { method: 'GET', path: `/charges/${stray.charge_id}` };
  const told = async (action: object, wanted: object) => {
    await setFaults(world, [lost, { api: 'pix', match, action }]);
    const own = { accountId: 'pix-second', keptCentsAtGateway: 0, isDifferent: false };
    const strays = [{ accountId: 'pix-sandbox', ...wanted }];
    t.match(await reconcileLater(paymentId), { ...own, problem: null, strays });
    await setFaults(world, [lost]);
  };
  const says = (changes: object) => ({ status: 200, body: { ...stray, ...changes } });
  const nobodyKnows = { keptCentsAtGateway: null, isDifferent: true };
  await told(says({ status: 'on_hold' }), { ...nobodyKnows, problem: /unknown status on_hold/ });
  await told(says({ amount_cents: 1 }), { ...nobodyKnows, problem: /amountCents is 1/ });
  const away = { keptCentsAtGateway: null, isDifferent: false, problem: /503/ };
  await told({ status: 503, body: {} }, away);
  await told({ status: 404, body: {} }, { keptCentsAtGateway: 0, isDifferent: false });
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
});
