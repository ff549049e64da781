/**
 * Goal: a charge at PushinPay is shown, proven, paid once, refunded, whatever its webhooks look like,
 * and it is never asked about more than once a minute.
 * Method: the service with real NATS and Postgres and the sandbox's PushinPay; the minute passes in
 * the test's database.
 */
import { paymentsRevalidate } from '@rastro/events';
import { ask } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { brCodeProblem } from '../src/core/br-code.ts';
import { boughtAtLast, counted, finalTypesOf, patient } from './arrivals.ts';
import { lastOutcome, startOneAccount, strangeReference } from './one-account.ts';
import { startProxy } from './stand-ins.ts';
import { eventOf, hurried, metricsOf } from './two-accounts.ts';
import {
  atBank,
  bought,
  buy,
  chargeAtBank,
  chargeOf,
  chargesOf,
  sees,
  setFaults,
  start,
} from './world.ts';

const webhookSecret = 'a-value-that-the-seller-chose';
const account = await startOneAccount({ kind: 'pushinpay', accessToken: '1|key', webhookSecret });
t.teardown(() => account[Symbol.asyncDispose]());
const { world, botId, accountId } = account;
const service = await start(world);
t.teardown(() => service[Symbol.asyncDispose]());

const proof = { 'x-pushinpay-token': webhookSecret, 'content-type': 'application/json' };
const lose = () => setFaults(world, [{ api: 'pixWebhooks', action: { lose: true } }]);

interface Told {
  readonly id: string;
  readonly value: number;
  readonly webhook_url: string;
}

/** The charge as the gateway tells it. */
async function toldOf(paymentId: string): Promise<Told> {
  const { charge_id: id } = await chargeOf(world, paymentId);
  const url = `${world.sandbox.url}/pushinpay/transactions/${id}`;
  const headers = { authorization: 'Bearer 1|key', accept: 'application/json' };
  return (await (await fetch(url, { headers })).json()) as Told;
}

await t.test('shown with the notice of its terms, paid by its webhook, refunded', async (t) => {
  const { paymentId, pixCode } = await bought(world, { botId });
  t.equal(brCodeProblem(pixCode, { amountCents: 1990, currency: 'BRL' }), null);
  const { id, webhook_url: webhookUrl } = await toldOf(paymentId);
  t.equal(webhookUrl, `${world.config.publicOrigin}/webhooks/${accountId}?payment=${paymentId}`);
  await sees(world, paymentId, 'PaymentCreated');
  t.match(eventOf(world, paymentId, 'PaymentCreated'), {
    data: { gateway: 'pushinpay', gatewayChargeId: id, checkoutNotice: /^A PUSHIN PAY atua/ },
  });
  // Three deliveries of one message, with the id in upper case.
  await setFaults(world, [{ api: 'pixWebhooks', action: { duplicate: 2 } }]);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
  const rows = await world.sql<{ chargeId: string; reference: string; record: object }[]>`
    select charge_id, reference, record from webhooks where reference = ${paymentId}`;
  t.match(rows, [{ chargeId: id, reference: paymentId }]);
  t.notMatch(JSON.stringify(rows), /João|12345678901"/, 'the payer is not kept');
  t.match(eventOf(world, paymentId, 'PaymentPaid'), {
    data: { endToEndId: /^E/, proof: 'requery' },
  });
  await account.letMinutePass(paymentId);
  // As a form.
  await atBank(world, paymentId, 'refund');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid', 'PaymentRefunded');
});

await t.test('a webhook waits for the minute in which somebody has asked', async (t) => {
  const { paymentId } = await bought(world, { botId });
  const revalidate = () =>
    ask(world.nats.connection, paymentsRevalidate, { workspaceId: 'demo', paymentId });
  t.match(await revalidate(), { ok: true, value: { status: 'pending' } });
  await atBank(world, paymentId, 'pay');
  const waiting = async () => {
    const [row] = await world.sql<{ attempts: number; waitMs: number; outcome: string | null }[]>`
      select attempts, outcome,
        extract(epoch from next_attempt_at - now())::float8 * 1000 as wait_ms
      from webhooks where reference = ${paymentId}`;
    return row;
  };
  const row = await eventually(async () => {
    const found = await waiting();
    // A lease of 12 s while it is being worked on, and 10 s once it has to wait.
    if (!found || found.attempts < 1 || found.waitMs > 10_000) throw new Error('not tried yet');
    return found;
  });
  t.match(row, { outcome: null });
  t.ok(row.waitMs > 5_000, `${Math.round(row.waitMs)} ms until the next try`);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated'], 'nobody asked');
  await account.letMinutePass(paymentId);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  t.equal(await lastOutcome(account), 'observed');
});

await t.test('forged, and well-proven lies', async (t) => {
  const { paymentId } = await bought(world, { botId });
  const told = await toldOf(paymentId);
  const body = (changes: object = {}) => JSON.stringify({ ...told, status: 'paid', ...changes });
  t.equal(await account.post(body(), {}), 401);
  t.equal(await account.post(body(), { 'x-pushinpay-token': 'guessed' }), 401);
  t.equal(await account.post('{"id":1}', proof), 400);
  await atBank(world, paymentId, 'forge');
  // The forged one comes again and again.
  await counted(
    service.url,
    /webhooks_total\{[^}]*"pushinpay",outcome="forged"[^}]*\} ([3-9]|\d\d)/,
  );
  const post = async (changes: object, query = '') => {
    await account.letMinutePass(paymentId);
    t.equal(await account.post(body(changes), proof, query), 200);
    return lastOutcome(account);
  };
  t.equal(await post({}), 'observed', 'a name and the word paid: the gateway says no');
  t.equal(await post({ value: 1 }), 'mismatch');
  t.equal(await post({ id: newId() }), 'mismatch');
  const elsewhere = { webhook_url: told.webhook_url.replace(paymentId, strangeReference) };
  t.equal(await post(elsewhere), 'unknown_charge');
  t.equal(await post({ webhook_url: null }, `?payment=${strangeReference}`), 'unknown_charge');
  t.equal(await post({ webhook_url: null }, `?payment=${paymentId}`), 'observed');
  t.equal(await post({ webhook_url: null }), 'observed', 'found by its id');
  t.equal(await post({ webhook_url: null, payer_name: 'a\0b \ud800' }), 'observed', 'kept clean');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
});

await t.test('a gateway that tells something else than was asked for', async (t) => {
  const { paymentId } = await bought(world, { botId });
  const charge = { ...(await toldOf(paymentId)), payer_name: 'João Silva', end_to_end_id: null };
  const told = async (changes: object) => {
    const body = { ...charge, status: 'paid', ...changes };
    const match = { method: 'GET', path: '/transactions/' };
    await setFaults(world, [{ api: 'pix', match, action: { status: 200, body } }]);
    await account.letMinutePass(paymentId);
    const message = JSON.stringify({ ...charge, status: 'paid', end_to_end_id: newId() });
    t.equal(await account.post(message, proof), 200);
    return lastOutcome(account);
  };
  t.equal(await told({ value: 1989 }), 'mismatch');
  t.equal(await told({ value: undefined }), 'mismatch', 'an amount that nobody tells');
  t.equal(await told({ id: newId() }), 'mismatch');
  const elsewhere = charge.webhook_url.replace(paymentId, strangeReference);
  t.equal(await told({ webhook_url: elsewhere }), 'mismatch');
  t.equal(await told({ status: 'on_hold' }), 'observed');
  t.equal(await told({ status: 'created' }), 'observed', 'a name is no payment');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  const text = await metricsOf(service.url);
  t.match(text, /mismatches_total\{kind="pushinpay",source="gateway"[^}]*\} 4/);
  t.match(text, /contradictions_total\{kind="pushinpay"[^}]*\} 1/);
  t.equal(await told({ id: charge.id.toUpperCase() }), 'observed');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
});

await t.test('a webhook that is lost, an expiry; one called cancelled is paid late', async (t) => {
  const [lost, late, cancelled] = await Promise.all([1, 2, 3].map(() => bought(world, { botId })));
  if (!lost || !late || !cancelled) throw new Error('three charges were wanted');
  await lose();
  await atBank(world, lost.paymentId, 'pay');
  await account.reconcile(lost.paymentId);
  await sees(world, lost.paymentId, 'PaymentCreated', 'PaymentPaid');
  await atBank(world, late.paymentId, 'expire');
  await account.reconcile(late.paymentId);
  await sees(world, late.paymentId, 'PaymentCreated', 'PaymentExpired');
  const body = { ...(await toldOf(cancelled.paymentId)), status: 'canceled' };
  const match = { method: 'GET', path: '/transactions/' };
  await setFaults(world, [{ api: 'pix', match, action: { status: 200, body } }]);
  await account.reconcile(cancelled.paymentId);
  await sees(world, cancelled.paymentId, 'PaymentCreated', 'PaymentExpired');
  await setFaults(world, []);
  await atBank(world, cancelled.paymentId, 'pay');
  await account.reconcile(cancelled.paymentId);
  await sees(world, cancelled.paymentId, 'PaymentCreated', 'PaymentExpired', 'PaymentPaid');
  t.match(eventOf(world, cancelled.paymentId, 'PaymentPaid'), { data: { isLate: true } });
});

await t.test('what it does not charge', async (t) => {
  const cheap = await buy(world, { botId, productId: 'cheap' });
  t.match(cheap, { ok: false, error: { code: 'refused', message: /deve ser no mínimo 50/ } });
  const dollars = await buy(world, { botId, productId: 'dollars' });
  t.match(dollars, { ok: false, error: { code: 'refused', message: /BRL only/ } });
});

await t.test('an answer that is lost leaves a second charge, whose money counts', async (t) => {
  const checkoutId = newId();
  const match = { method: 'POST', path: '/pix/cashIn' };
  await setFaults(world, [{ api: 'pix', match, times: 1, action: { acceptThenDrop: true } }]);
  t.match(await buy(world, { botId, checkoutId }), { ok: false, error: { code: 'unavailable' } });
  const { paymentId, pixCode } = await bought(world, { botId, checkoutId });
  const [shown, first] = await chargesOf(world, paymentId);
  if (!shown || !first) throw new Error('two charges were wanted');
  t.equal(shown.pix_code, pixCode);
  await chargeAtBank(world, first, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await counted(service.url, /stray_charges_total\{kind="pushinpay",outcome="accepted"/);
});

await t.test('a charge that nobody was shown has its minute, too', async (t) => {
  await service[Symbol.asyncDispose]();
  const questions: string[] = [];
  await using proxy = await startProxy(world, async ({ method, url = '' }) => {
    if (method === 'GET') questions.push(url.slice(url.lastIndexOf('/') + 1).toLowerCase());
  });
  const apiUrls = { ...world.config.apiUrls, pushinpay: `${proxy.url}/pushinpay` };
  await using another = await start(world, { apiUrls, failover: hurried });
  await lose();
  const checkoutId = newId();
  proxy.setMode('swallow');
  t.match(await buy(world, { botId, checkoutId }), { ok: false, error: { code: 'unavailable' } });
  proxy.setMode('pass');
  const { paymentId, pixCode } = await boughtAtLast(world, { botId, checkoutId });
  const stray = await eventually(async () => {
    const made = (await chargesOf(world, paymentId)).filter((one) => one.pix_code !== pixCode);
    if (!made[0]) throw new Error('two charges were wanted');
    return made[0];
  }, patient);
  const id = stray.charge_id.toLowerCase();
  const asked = () => questions.filter((one) => one === id).length;
  /** Resolves once messages were put off so many times in all, with how often that was. */
  const putOff = (least: number) =>
    eventually(async () => {
      const retried = /processed_total\{kind="pushinpay",outcome="retried"[^}]*\} (\d+)/;
      const count = Number(retried.exec(await metricsOf(another.url))?.[1] ?? 0);
      if (count < least) throw new Error(`put off ${count} times, wanted ${least}`);
      return count;
    }, patient);
  const observed = (count: number) =>
    eventually(async () => {
      const rows = await world.sql`
        select 1 from webhooks where reference = ${paymentId} and outcome = 'observed'`;
      if (rows.length !== count) throw new Error(`${rows.length} are done with`);
    }, patient);
  const told = { ...(await toldOf(paymentId)), id: stray.charge_id };
  t.equal(await account.post(JSON.stringify({ ...told, status: 'created' }), proof), 200);
  await putOff(1);
  t.equal(asked(), 1);
  const other = { ...told, status: 'paid', end_to_end_id: newId() };
  t.equal(await account.post(JSON.stringify(other), proof), 200);
  await putOff(2);
  t.equal(asked(), 1, 'two messages that differ, and one question');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);

  await chargeAtBank(world, stray, 'pay');
  await account.letMinutePass(paymentId);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  // It is the payment's own from now on, and its minute goes on: the other message still waits.
  await observed(1);
  const before = await putOff(3);
  await world.sql`
    update webhooks set next_attempt_at = now() where processed_at is null`;
  await putOff(before + 1);
  t.equal(asked(), 2);
  await account.letMinutePass(paymentId);
  await observed(2);
  t.equal(asked(), 3);
});
