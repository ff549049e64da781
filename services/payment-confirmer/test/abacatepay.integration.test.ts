/**
 * Goal: a charge at AbacatePay is made once, paid once and never with another amount than its proven
 * webhook tells, refunded, disputed and charged back; a refused webhook raises an alarm.
 * Method: the service with real NATS and Postgres and the sandbox's AbacatePay; webhooks by hand.
 */
import { createLogger, newId } from '@rastro/runtime';
import { createHmac } from 'node:crypto';
import t from 'tap';
import { publicHmacKey } from '../src/adapters/abacatepay.ts';
import { brCodeProblem } from '../src/core/br-code.ts';
import { counted, finalTypesOf } from './arrivals.ts';
import { lastOutcome, startOneAccount, strangeReference } from './one-account.ts';
import { eventOf, metricsOf } from './two-accounts.ts';
import { atBank, bought, buy, chargeOf, chargesOf, sees, setFaults, start } from './world.ts';

const webhookSecret = 'thirty-two-characters-at-the-least';
const accessToken = 'abc-key';
const account = await startOneAccount({ kind: 'abacatepay', accessToken, webhookSecret });
t.teardown(() => account[Symbol.asyncDispose]());
const { world, botId, accountId } = account;
const lines: string[] = [];
const log = createLogger({ level: 'warn', stream: { write: (line) => void lines.push(line) } });
const service = await start(world, {}, log);
t.teardown(() => service[Symbol.asyncDispose]());

const lose = () => setFaults(world, [{ api: 'pixWebhooks', action: { lose: true } }]);
const checksumOf = (body: string) =>
  createHmac('sha256', publicHmacKey).update(body).digest('base64');

/** As documented, without an id, about a charge of ours. */
function messageOf(paymentId: string, event: string, changes: object = {}): string {
  const updatedAt = new Date().toISOString();
  const charge = { id: 'char_xyz789', externalId: paymentId, amount: 1990, paidAmount: 1990 };
  const transparent = { ...charge, status: 'PAID', devMode: true, updatedAt, ...changes };
  const payer = { name: 'Maria Santos', taxId: '12.***.***/0001-**', isSameAsCustomer: true };
  const data = { transparent, payerInformation: { method: 'PIX', PIX: payer } };
  return JSON.stringify({ event: `transparent.${event}`, apiVersion: 2, devMode: false, data });
}

async function tell(paymentId: string, event: string, changes: object = {}): Promise<string> {
  const body = messageOf(paymentId, event, changes);
  const headers = { 'x-webhook-secret': webhookSecret, 'x-webhook-signature': checksumOf(body) };
  const status = await account.post(body, headers);
  if (status !== 200) throw new Error(`${status}`);
  return lastOutcome(account);
}

await t.test('made once, although the first answer was lost; paid once', async (t) => {
  const checkoutId = newId();
  const match = { method: 'POST', path: '/transparents/create' };
  await setFaults(world, [{ api: 'pix', match, times: 1, action: { acceptThenDrop: true } }]);
  t.match(await buy(world, { botId, checkoutId }), { ok: false, error: { code: 'unavailable' } });
  const { paymentId, pixCode } = await bought(world, { botId, checkoutId });
  t.equal(brCodeProblem(pixCode, { amountCents: 1990, currency: 'BRL' }), null);
  const charges = await chargesOf(world, paymentId);
  t.match(charges, [{ pix_code: pixCode }], 'one');
  await setFaults(world, [{ api: 'pixWebhooks', action: { duplicate: 2 } }]);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
  t.match(eventOf(world, paymentId, 'PaymentCreated'), {
    data: { gateway: 'abacatepay', gatewayChargeId: charges[0]?.charge_id, checkoutNotice: null },
  });
  const rows = await world.sql`select record from webhooks where reference = ${paymentId}`;
  t.equal(rows.length, 1);
  t.notMatch(JSON.stringify(rows), /Maria|\*\*\*/, 'the payer is not kept');
  await atBank(world, paymentId, 'refund');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid', 'PaymentRefunded');
  t.match(eventOf(world, paymentId, 'PaymentRefunded'), { data: { isPartial: false } });
});

await t.test('a refused webhook never comes again: each one is an alarm', async (t) => {
  const { paymentId } = await bought(world, { botId });
  const body = messageOf(paymentId, 'completed');
  const signed = { 'x-webhook-signature': checksumOf(body) };
  await sees(world, paymentId, 'PaymentCreated');
  lines.length = 0;
  t.equal(await account.post(body, signed), 401, 'everybody can sign so');
  t.equal(await account.post(body, { ...signed, 'x-webhook-secret': 'of the other mode' }), 401);
  const secret = { 'x-webhook-secret': webhookSecret };
  t.equal(await account.post(body.slice(0, -9), secret), 400, 'nothing can be read out of it');
  await atBank(world, paymentId, 'forge');
  // The forged one comes again and again.
  const forged = /webhooks_total\{kind="abacatepay",outcome="forged"[^}]*\} ([3-9]|\d\d)/;
  const text = await counted(service.url, forged);
  const levels = lines.map((line) => (JSON.parse(line) as { level: number }).level);
  t.same(levels, [50, 40], 'one alarm a minute; strangers make no more of them');
  for (const line of lines) {
    t.match(JSON.parse(line), { accountId, msg: /refused/ });
    t.notMatch(line, new RegExp(`${webhookSecret}|of the other mode`));
  }
  t.match(text, /webhooks_total\{kind="abacatepay",outcome="malformed"[^}]*\} 1/);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  lines.length = 0;
  t.equal(await account.post(body, { ...secret, 'x-webhook-signature': 'x' }), 200, 'read on');
  t.match(JSON.parse(lines[0] ?? '{}'), { level: 50, accountId, remark: /not the one/ });
  t.equal(await account.post('{"event":5}', secret), 200, 'odd, and proven');
  const again = messageOf(paymentId, 'completed', { paidAmount: '19.90' });
  t.equal(await account.post(again, secret), 200);
  const remark = lines.find((line) => line.includes('no amount')) ?? '{}';
  t.match(JSON.parse(remark), { level: 50, remark: /no amount/ });
  t.equal(await account.post(body, {}, `?webhookSecret=${webhookSecret}`), 200, 'in the address');
  t.equal(await lastOutcome(account), 'observed');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated'], 'the gateway says no');
  const short = `${world.config.publicOrigin}/webhooks/${accountId}-short`;
  t.equal(
    (await fetch(short, { method: 'POST', body })).status,
    503,
    'a secret too short to be one',
  );
});

await t.test('an amount that was paid, and is not the one that was asked for', async (t) => {
  const { paymentId } = await bought(world, { botId });
  await lose();
  await atBank(world, paymentId, 'pay');
  t.equal(await tell(paymentId, 'completed', { paidAmount: 1 }), 'mismatch');
  await account.reconcile(paymentId);
  t.same(
    await finalTypesOf(world, paymentId),
    ['PaymentCreated'],
    'although the gateway calls it paid',
  );
  const text = await metricsOf(service.url);
  t.match(text, /mismatches_total\{kind="abacatepay",source="webhook"[^}]*\} 1/);
  t.match(text, /mismatches_total\{kind="abacatepay",source="gateway"[^}]*\} 2/);
  t.equal(await tell(paymentId, 'completed'), 'observed');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
});

await t.test('a gateway that tells something else than was asked for', async (t) => {
  const { paymentId } = await bought(world, { botId });
  const { charge_id: id } = await chargeOf(world, paymentId);
  const charge = { id, amount: 1990, status: 'PAID', devMode: false, metadata: { paymentId } };
  const told = async (changes: object) => {
    const body = { data: [{ ...charge, ...changes }], success: true, error: null };
    const match = { method: 'GET', path: '/transparents/list' };
    await setFaults(world, [{ api: 'pix', match, action: { status: 200, body } }]);
    return tell(paymentId, 'completed');
  };
  t.equal(await told({ amount: 1989 }), 'mismatch', 'the webhook has it right, and is not enough');
  t.equal(await told({ devMode: true }), 'mismatch', 'no real money');
  t.equal(await told({ metadata: { paymentId: strangeReference } }), 'mismatch');
  t.equal(await told({ status: 'ON_HOLD' }), 'observed');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  t.match(await metricsOf(service.url), /contradictions_total\{kind="abacatepay"[^}]*\} 1/);
  t.equal(await tell(strangeReference, 'completed'), 'unknown_charge');
  t.equal(
    await tell('pedido-456', 'completed'),
    'unknown_charge',
    "of another of the seller's shops",
  );
  t.equal(await told({}), 'observed');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
});

await t.test('disputes: opened, won, lost', async (t) => {
  const [won, lost] = await Promise.all([bought(world, { botId }), bought(world, { botId })]);
  const begun = ['PaymentCreated', 'PaymentPaid', 'PaymentDisputed'];
  for (const { paymentId } of [won, lost]) {
    await atBank(world, paymentId, 'pay');
    await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
    await atBank(world, paymentId, 'dispute');
    await sees(world, paymentId, ...begun);
  }
  const settle = async (paymentId: string, isWon: boolean) => {
    const { charge_id: id } = await chargeOf(world, paymentId);
    const url = `${world.sandbox.url}/control/pix/charges/${id}/settle`;
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ won: isWon });
    const answer = await fetch(url, { method: 'POST', headers, body });
    if (!answer.ok) throw new Error(await answer.text());
  };
  // It says nothing of it: whatever comes next finds it out.
  await settle(won.paymentId, true);
  t.equal(await tell(won.paymentId, 'completed'), 'observed');
  await sees(world, won.paymentId, ...begun, 'PaymentDisputed');
  // Its API goes on saying UNDER_DISPUTE.
  await settle(lost.paymentId, false);
  await sees(world, lost.paymentId, ...begun, 'PaymentChargedBack');
  t.equal(await tell(lost.paymentId, 'completed'), 'observed');
  t.same(
    await finalTypesOf(world, lost.paymentId),
    [...begun, 'PaymentChargedBack'],
    'that is final',
  );
});

await t.test('webhooks that are lost, an expiry, what it does not charge', async (t) => {
  const [paid, late] = await Promise.all([bought(world, { botId }), bought(world, { botId })]);
  await lose();
  await atBank(world, paid.paymentId, 'pay');
  await account.reconcile(paid.paymentId);
  await sees(world, paid.paymentId, 'PaymentCreated', 'PaymentPaid');
  await atBank(world, late.paymentId, 'expire');
  await account.reconcile(late.paymentId);
  await sees(world, late.paymentId, 'PaymentCreated', 'PaymentExpired');
  await atBank(world, late.paymentId, 'pay', { force: true });
  await account.reconcile(late.paymentId);
  await sees(world, late.paymentId, 'PaymentCreated', 'PaymentExpired', 'PaymentPaid');
  t.match(eventOf(world, late.paymentId, 'PaymentPaid'), { data: { isLate: true } });
  const dollars = await buy(world, { botId, productId: 'dollars' });
  t.match(dollars, { ok: false, error: { code: 'refused', message: /BRL only/ } });
  await setFaults(world, []);
});
