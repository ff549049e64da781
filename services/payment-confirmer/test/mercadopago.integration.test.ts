/**
 * Goal: a sale at Mercado Pago is paid once and only when Mercado Pago says so, whatever its
 * webhooks are worth: signed, twice, forged, stale, lost, or of the older kind.
 * Method: the real service on NATS and Postgres, the sandbox's Mercado Pago; webhooks by its hand
 * and by ours, floods of unproven ones, and a gateway that tells something else than was agreed.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { newId, sealSecret } from '@rastro/runtime';
import {
  eventually,
  putCatalog,
  sampleCatalog,
  sampleSecrets,
  testMasterKey,
} from '@rastro/testing';
import t from 'tap';
import { defaultSchedule } from '../src/core/schedule.ts';
import { createGatewayAgent } from '../src/adapters/gateway-http.ts';
import { createMercadoPagoGateway } from '../src/adapters/mercadopago.ts';
import { brCodeProblem } from '../src/core/br-code.ts';
import { finalTypesOf, firstOutcomeAbout, patient } from './arrivals.ts';
import { atBank, bought, buy, chargeOf, chargesOf, processed, sees } from './world.ts';
import { setFaults, start, startWorld } from './world.ts';

const accountId = 'pix-mercadopago';
const secrets = { accessToken: 'APP_USR-test', webhookSecret: 'mercadopago-webhook-secret' };
const botId = 'bot-mercadopago';

const world = await startWorld();
t.teardown(() => world[Symbol.asyncDispose]());
await addAccount();
const service = await start(world);
const buyOne = () => bought(world, { botId });
const metrics = async () => (await fetch(`${service.url}/metrics`)).text();

async function addAccount(): Promise<void> {
  const { accessToken: apiKey, webhookSecret } = secrets;
  const { apiKey: usualKey, webhookSecret: usualSecret } = sampleSecrets;
  world.sandbox.setWorld({
    bots: [],
    pixels: [],
    pixAccounts: [
      { apiKey: usualKey, webhookSecret: usualSecret },
      { kind: 'mercadopago', apiKey, webhookSecret },
    ],
  });
  const seal = (name: keyof typeof secrets) =>
    sealSecret(testMasterKey, `account/${accountId}/credentials/${name}`, secrets[name]);
  const credentials = { accessToken: seal('accessToken'), webhookSecret: seal('webhookSecret') };
  const bot = sampleCatalog().find(({ kind }) => kind === 'bot')?.data;
  const account = { id: accountId, kind: 'mercadopago' as const, apiUrl: null, credentials };
  await putCatalog(world.nats, 'demo', [
    { kind: 'account', id: accountId, data: { ...account, checkoutNotice: null } },
    { kind: 'bot', id: botId, data: { ...bot, id: botId, account: accountId } as never },
  ]);
}

interface Hand {
  readonly query?: Record<string, string>;
  readonly body?: string;
  readonly secret?: string | null;
  readonly ageSeconds?: number;
}

/** Posts a notification of a payment by hand; resolves with the status. */
async function notify(chargeId: string, hand: Hand = {}): Promise<number> {
  const { secret = secrets.webhookSecret, ageSeconds = 0 } = hand;
  const query = hand.query ?? { 'data.id': chargeId, type: 'payment' };
  const requestId = randomUUID();
  const ts = Math.floor(Date.now() / 1_000) - ageSeconds;
  const manifest = `id:${query['data.id']};request-id:${requestId};ts:${ts};`;
  const sign = (key: string) => createHmac('sha256', key).update(manifest).digest('hex');
  const proof = secret === null ? {} : { 'x-signature': `ts=${ts},v1=${sign(secret)}` };
  const data = { id: chargeId };
  const body = { id: 1, live_mode: true, type: 'payment', action: 'payment.updated', data };
  const url = `${world.config.publicOrigin}/webhooks/${accountId}?${String(new URLSearchParams(query))}`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': requestId, ...proof },
    body: hand.body ?? JSON.stringify(body),
  });
  await response.body?.cancel();
  return response.status;
}

const idOf = async (paymentId: string) => (await chargeOf(world, paymentId)).charge_id;

/** Once the word of its making, which leads to a question of its own, has been acted upon. */
async function announced(paymentId: string): Promise<string> {
  const id = await idOf(paymentId);
  await firstOutcomeAbout(world, id);
  return id;
}

/** How often the gateway was asked about it. */
async function askedCount(paymentId: string): Promise<number> {
  const [row] = await world.sql<{ askedCount: number }[]>`
    select asked_count from charges where payment_id = ${paymentId}`;
  return row?.askedCount ?? Number.NaN;
}

const asked = (paymentId: string, wanted: number) =>
  eventually(async () => {
    const count = await askedCount(paymentId);
    if (count !== wanted) throw new Error(`asked ${count} times, wanted ${wanted}`);
  }, patient);

/** As if the last question were longer ago than the budget of one a minute. */
const aMinuteLater = (paymentId: string) =>
  world.sql`update charges set asked_at = now() - interval '61 s' where payment_id = ${paymentId}`;

await t.test('from the code to the end of a dispute', async (t) => {
  const checkoutId = newId();
  const payment = await bought(world, { botId, checkoutId });
  const { paymentId, pixCode } = payment;
  t.equal(brCodeProblem(pixCode, { amountCents: 1990, currency: 'BRL' }), null);
  t.match(await buy(world, { botId, checkoutId }), { value: { paymentId, pixCode } });
  const charges = await chargesOf(world, paymentId);
  t.match(charges, [{ external_reference: paymentId, amount_cents: 1990, pix_code: pixCode }]);
  const openMinutes = (Date.parse(payment.expiresAt) - Date.now()) / 60_000;
  t.ok(openMinutes > 30 && openMinutes < 33, `open for ${openMinutes} min`);
  const [{ receiver, isTestMode } = {}] = await world.sql`
    select receiver, is_test_mode from charges where payment_id = ${paymentId}`;
  t.match(receiver, /^\d+$/);
  t.equal(isTestMode, false);

  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const paid = world.seen.findLast(({ type }) => type === 'PaymentPaid');
  const endToEndId = /^E\w{31}$/;
  t.match(paid, { data: { amountCents: 1990, isLate: false, proof: 'requery', endToEndId } });
  t.match(paid?.causationid, /^webhook-\d+$/);

  await atBank(world, paymentId, 'refund', { amount_cents: 500 });
  const partly = ['PaymentCreated', 'PaymentPaid', 'PaymentRefunded'];
  await sees(world, paymentId, ...partly);
  await atBank(world, paymentId, 'dispute');
  await sees(world, paymentId, ...partly, 'PaymentDisputed');
  const id = await idOf(paymentId);
  const settle = (won: boolean) =>
    fetch(`${world.sandbox.url}/control/pix/charges/${id}/settle`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ won }),
    });
  await settle(true);
  await sees(world, paymentId, ...partly, 'PaymentDisputed', 'PaymentDisputed');
  await atBank(world, paymentId, 'dispute');
  const thrice = [...partly, 'PaymentDisputed', 'PaymentDisputed', 'PaymentDisputed'];
  await sees(world, paymentId, ...thrice);
  await settle(false);
  await sees(world, paymentId, ...thrice, 'PaymentChargedBack');
});

await t.test('signed and told three times over, it is paid once', async (t) => {
  const { paymentId } = await buyOne();
  await setFaults(world, [{ api: 'pixWebhooks', action: { duplicate: 2 } }]);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const id = await idOf(paymentId);
  const payer = { first_name: 'Maria', identification: { number: '12345678909' } };
  const body = JSON.stringify({ type: 'payment', data: { id }, payer, note: 'a\0b\ud800' });
  t.same(await Promise.all([notify(id), notify(id), notify(id, { body })]), [200, 200, 200]);
  await processed(world);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated', 'PaymentPaid']);
  const records = JSON.stringify(await world.sql`select record from webhooks`);
  t.match(records, /"note":"ab/);
  t.notMatch(records, /Maria|12345678909/);
  await setFaults(world, []);
});

await t.test('a flood of unproven messages is one question a minute', async (t) => {
  const { paymentId } = await buyOne();
  const id = await announced(paymentId);
  // Copies of an earlier payment's messages may still come in.
  const rows = async () => (await world.sql`select 1 from webhooks where charge_id = ${id}`).length;
  const [stored, before] = [await rows(), await askedCount(paymentId)];
  await aMinuteLater(paymentId);
  // Late is no worse than badly signed.
  const kinds = [{ secret: 'guessed' }, { secret: null }, { ageSeconds: 301 }];
  const flood = Array.from({ length: 60 }, (_, index) => notify(id, kinds[index % 3] ?? {}));
  t.same([...new Set(await Promise.all(flood))], [200]);
  await asked(paymentId, before + 1);
  for (let round = 0; round < 5; round += 1) {
    for (let more = 0; more < 10; more += 1) await notify(id, { secret: 'guessed' });
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  t.equal(await askedCount(paymentId), before + 1);
  t.equal(await rows(), stored, 'nothing of them is kept');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated'], 'and nothing believed');
  t.match(await metrics(), /rastro_webhooks_total\{[^}]*outcome="unproven"[^}]*\} 1\d\d/);

  // The minute is over, and Mercado Pago itself says paid.
  await setFaults(world, [{ api: 'pixWebhooks', action: { forge: true } }]);
  // In this order: what came before wants a question as well, and would get it too early.
  await atBank(world, paymentId, 'pay');
  await aMinuteLater(paymentId);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await atBank(world, paymentId, 'refund');
  await aMinuteLater(paymentId);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid', 'PaymentRefunded');
  await setFaults(world, []);
});

await t.test('unknown, malformed: refused, and nobody is asked', async (t) => {
  const { paymentId } = await buyOne();
  const id = await announced(paymentId);
  const before = await askedCount(paymentId);
  await aMinuteLater(paymentId);
  t.equal(await notify('999', { secret: null }), 401, 'of no payment of ours');
  t.equal(await notify('999', { ageSeconds: 301 }), 401);
  t.equal(await notify(id, { body: '{"type":"payment","da' }), 400);
  t.equal(await notify(id, { query: {}, body: '{}' }), 400);
  t.equal(await notify('999'), 200, 'proven, and of no payment of ours: it need not come again');
  t.equal(await firstOutcomeAbout(world, '999'), 'unknown_charge');
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  t.equal(await askedCount(paymentId), before);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
});

await t.test('IPN, the older kind: asked about if of a payment, else ignored', async (t) => {
  const { paymentId } = await buyOne();
  const id = await announced(paymentId);
  await setFaults(world, [{ api: 'pixWebhooks', action: { lose: true } }]);
  await atBank(world, paymentId, 'pay');
  const ipn = (topic: string, of: string) =>
    notify(of, {
      secret: null,
      query: { topic, id: of },
      body: JSON.stringify({ resource: of, topic }),
    });
  for (const order of ['1', '2', '3']) t.equal(await ipn('merchant_order', order), 200);
  const ignored = await world.sql`select 1 from webhooks where outcome = 'ignored'`;
  t.equal(ignored.length, 1, 'however many come');
  await aMinuteLater(paymentId);
  t.equal(await ipn('payment', id), 200);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  t.equal(await ipn('payment', '999'), 401);
  await setFaults(world, []);
});

await t.test('a gateway that tells something else than was agreed', async (t) => {
  const { paymentId } = await buyOne();
  const id = await announced(paymentId);
  const url = `${world.sandbox.url}/mercadopago/v1/payments/${id}`;
  const headers = { authorization: `Bearer ${secrets.accessToken}` };
  const payment = (await (await fetch(url, { headers })).json()) as object;
  const told = async (changes: object) => {
    const body = { ...payment, status: 'approved', status_detail: 'accredited', ...changes };
    const match = { method: 'GET', path: `/mercadopago/v1/payments/${id}` };
    await setFaults(world, [{ api: 'pix', match, action: { status: 200, body } }]);
    t.equal(await notify(id), 200);
    return (await processed(world)).at(-1);
  };
  t.equal(await told({ transaction_amount: 19.89 }), 'mismatch');
  t.equal(await told({ transaction_amount: 19.905 }), 'mismatch');
  t.equal(await told({ currency_id: 'ARS' }), 'mismatch');
  t.equal(await told({ external_reference: newId() }), 'mismatch');
  t.equal(await told({ collector_id: 1 }), 'mismatch', "another's account");
  t.equal(await told({ live_mode: false }), 'mismatch', 'no real money');
  t.equal(await told({ id: 1 }), 'mismatch');
  t.equal(await told({ status: 'on_hold' }), 'observed');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  const text = await metrics();
  t.match(text, /rastro_payment_mismatches_total\{[^}]*kind="mercadopago"[^}]*\} 7/);
  t.match(text, /rastro_payment_contradictions_total\{[^}]*kind="mercadopago"[^}]*\} 1/);
  t.equal(await told({}), 'observed');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
});

await t.test('refunds, and a lost webhook', async (t) => {
  const { paymentId } = await buyOne();
  const id = await idOf(paymentId);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const agent = createGatewayAgent();
  t.teardown(() => agent.destroy());
  const apiUrl = `${world.sandbox.url}/mercadopago`;
  const account = { ...secrets, apiUrl, payerEmail: 'comprador@example.com' };
  const gateway = createMercadoPagoGateway(account, agent);
  t.match(await gateway.refund(id, 400), { status: 'partially_refunded', refundedCents: 400 });
  t.match(await gateway.refund(id, 400), { status: 'partially_refunded', refundedCents: 800 });
  await t.rejects(gateway.refund(id, 1_191), /2017|Invalid transaction_amount/);
  t.match(await gateway.refund(id, 1_190), { status: 'refunded', refundedCents: 1_990 });
  await eventually(async () => {
    const [row] = await world.sql`
      select 1 from charges where payment_id = ${paymentId} and status = 'refunded'`;
    if (!row) throw new Error('not given back yet');
  }, patient);

  await service[Symbol.asyncDispose]();
  await setFaults(world, [{ api: 'pixWebhooks', action: { lose: true } }]);
  const afterCreationMs = [1_500, 3_000, 6_000, 12_000]; // one comes after the payment
  const schedule = { ...defaultSchedule, afterCreationMs, minIntervalMs: 500 };
  await using _ = await start(world, { schedule });
  const { paymentId: lost } = await buyOne();
  await atBank(world, lost, 'pay');
  await sees(world, lost, 'PaymentCreated', 'PaymentPaid');
});
