/**
 * Goal: a sale through Woovi is paid once, by its API's own word: two messages for one payment,
 * pings, forgeries and lies confirm nothing; refunds and disputes find their charge by the payment;
 * and while its keys are away, no webhook is refused for good.
 * Method: real NATS and Postgres, the sandbox's Woovi; own messages, signed with a key that is added
 * to the published ones; answers of its API that are made wrong one field at a time.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { CatalogItem, RastroEvent } from '@rastro/events';
import { newId, sealSecret } from '@rastro/runtime';
import { eventually, putCatalog, sampleCatalog, testMasterKey } from '@rastro/testing';
import t from 'tap';
import { createGatewayAgent } from '../src/adapters/gateway-http.ts';
import { fingerprintOf } from '../src/adapters/webhook-body.ts';
import { createWooviGateway } from '../src/adapters/woovi.ts';
import { counted, finalTypesOf, outcomeOf } from './arrivals.ts';
import {
  atBank,
  bought,
  buy,
  chargeOf,
  chargesOf,
  otherSecrets,
  processed,
  sees,
  setFaults,
  start,
  startWorld,
} from './world.ts';

const accountId = 'pix-by-woovi';
const accessToken = 'woovi-app-id';
const own = generateKeyPairSync('rsa', { modulusLength: 2048 });

const world = await startWorld();
t.teardown(() => world[Symbol.asyncDispose]());
const webhookUrl = `${world.config.publicOrigin}/webhooks/${accountId}`;
const api = `${world.sandbox.url}/woovi/api/v1`;
await openShop();
const service = await start(world);
t.teardown(() => service[Symbol.asyncDispose]());

/** A bot whose account is at Woovi, beside all that the demo has. */
async function openShop(): Promise<void> {
  const apiKey = accessToken;
  const pixAccounts = [{ kind: 'woovi' as const, apiKey, webhookUrl }, otherSecrets];
  world.sandbox.setWorld({ bots: [], pixels: [], pixAccounts });
  const place = `account/${accountId}/credentials/accessToken`;
  const credentials = { accessToken: sealSecret(testMasterKey, place, accessToken) };
  const account = { id: accountId, kind: 'woovi', apiUrl: null, credentials, checkoutNotice: null };
  const sample = sampleCatalog().find(({ kind }) => kind === 'bot')?.data as CatalogItem<'bot'>;
  const bot = { ...sample, id: 'bot-by-woovi', account: accountId };
  await putCatalog(world.nats, 'demo', [
    { kind: 'account', id: accountId, data: account as CatalogItem<'account'> },
    { kind: 'bot', id: bot.id, data: bot },
  ]);
}

type Keys = { public_keys: object[] };
const published = (await (await fetch(`${api}/webhook/public-keys`)).json()) as Keys;
const key = own.publicKey.export({ type: 'spki', format: 'pem' });
const keysPath = '/webhook/public-keys';
const bothKeys = { public_keys: [...published.public_keys, { key, is_current: true }] };
const withOwnKey = {
  api: 'pix',
  match: { path: keysPath },
  action: { status: 200, body: bothKeys },
};
const faults = (...rules: object[]) => setFaults(world, [withOwnKey, ...rules]);
const lost = { api: 'pixWebhooks', action: { lose: true } };

const sale = () => bought(world, { botId: 'bot-by-woovi' });
const metrics = async () => (await fetch(`${service.url}/metrics`)).text();
const dataOf = (paymentId: string, type: string) =>
  world.seen.findLast((event: RastroEvent) => {
    const data = event.data as { paymentId?: string };
    return event.type === type && data.paymentId === paymentId;
  })?.data;

/** Posts a message as Woovi would sign it; resolves with the status. */
async function deliver(message: object, { privateKey } = own): Promise<number> {
  const body = JSON.stringify(message);
  const signature = sign('RSA-SHA256', Buffer.from(body), privateKey).toString('base64');
  const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
  return (await fetch(webhookUrl, { method: 'POST', headers, body })).status;
}

/** The outcome of one more message. Woovi's own, of any sale so far, may come at any time. */
async function heeded(message: object): Promise<string> {
  const unique = { ...message, company: { id: newId() } };
  const status = await deliver(unique);
  if (status !== 200) throw new Error(`it was answered ${status}`);
  return outcomeOf(world, fingerprintOf(Buffer.from(JSON.stringify(unique))));
}

const paidMessage = (correlationID: string, cents = 1990, pixCents = cents) => ({
  event: 'OPENPIX:CHARGE_COMPLETED',
  charge: { correlationID, value: cents, status: 'COMPLETED' },
  pix: { value: pixCents, endToEndId: 'E18236120202012032010s0133872GZA' },
});

async function settle(paymentId: string, isWon: boolean): Promise<void> {
  const { charge_id: id } = await chargeOf(world, paymentId);
  await fetch(`${world.sandbox.url}/control/pix/charges/${id}/settle`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ won: isWon }),
  });
}

await t.test('keys away: nothing is refused for good, and it comes again', async (t) => {
  const away = { api: 'pix', match: { path: keysPath }, action: { status: 503 } };
  await setFaults(world, [away]);
  const { paymentId } = await sale();
  await atBank(world, paymentId, 'pay');
  t.equal(await deliver(paidMessage(paymentId)), 503);
  t.match(await metrics(), /rastro_webhooks_total\{kind="woovi",outcome="unchecked"/);
  const stored = await world.sql`select 1 from webhooks where account_id = ${accountId}`;
  t.equal(stored.length, 0);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  await faults();
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
});

await t.test(
  'a charge: its code is shown, and it is one however often it is asked for',
  async (t) => {
    const lostAnswer = { api: 'pix', match: { method: 'POST' }, times: 1 };
    await faults({ ...lostAnswer, action: { acceptThenDrop: true } });
    const request = { botId: 'bot-by-woovi', checkoutId: newId() };
    t.match(await buy(world, request), { ok: false, error: { code: 'unavailable' } });
    const made = await bought(world, request);
    t.match(made, { status: 'pending', amountCents: 1990, pixCode: /^000201.*6304[0-9A-F]{4}$/ });
    t.same(await bought(world, request), made);
    const { paymentId } = made;
    t.equal((await chargesOf(world, paymentId)).length, 1, 'return_existing');
    await sees(world, paymentId, 'PaymentCreated');
    t.match(dataOf(paymentId, 'PaymentCreated'), { gateway: 'woovi', gatewayChargeId: paymentId });
  },
);

await t.test('a test account: its code is an address, and no bank checks it', async (t) => {
  const brCode = 'https://api.openpix.com.br/openpix/openpix/testing?transactionID=ea83401e';
  const checkoutId = newId();
  const expiresDate = new Date(Date.now() + 1_800_000).toISOString();
  // Answered under the id that we sent: known from the reservation of an attempt that failed.
  await faults({ api: 'pix', match: { method: 'POST' }, action: { status: 503 } });
  await buy(world, { botId: 'bot-by-woovi', checkoutId });
  const [row] = await world.sql<{ paymentId: string }[]>`
    select payment_id from charges where checkout_id = ${checkoutId}`;
  const paymentId = row?.paymentId ?? '';
  const charge = { correlationID: paymentId, value: 1990, status: 'ACTIVE', brCode, expiresDate };
  const action = { status: 200, body: { charge, correlationID: paymentId, brCode } };
  await faults({ api: 'pix', match: { method: 'POST' }, action });
  const made = await bought(world, { botId: 'bot-by-woovi', checkoutId });
  t.equal(made.pixCode, brCode);
  await sees(world, paymentId, 'PaymentCreated');
  await faults();
});

await t.test('one payment in two messages, each three times; and forged', async (t) => {
  await faults({ api: 'pixWebhooks', action: { duplicate: 2 } });
  const { paymentId } = await sale();
  await atBank(world, paymentId, 'forge');
  await counted(service.url, /kind="woovi",outcome="forged",[^}]*\} ([6-9]|\d\d)/);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await processed(world);
  await eventually(async () => {
    const rows = await world.sql`
      select 1 from webhooks where reference = ${paymentId} and outcome = 'observed'`;
    if (rows.length !== 2) throw new Error(`${rows.length} messages`);
  });
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  t.match(dataOf(paymentId, 'PaymentPaid'), { amountCents: 1990, proof: 'requery', isLate: false });
  const kept = await world.sql`select record from webhooks where account_id = ${accountId}`;
  t.notMatch(JSON.stringify(kept), /Pagador|12345678909/, 'the payer is not kept');
  await faults();
});

await t.test('a ping, news of no interest, and well signed lies confirm nothing', async (t) => {
  const { paymentId } = await sale();
  const ping = { data_criacao: '2021-08-10T20:32:14.429Z', evento: 'teste_webhook' };
  const event = 'OPENPIX:CHARGE_COMPLETED';
  t.equal(await heeded({ ...ping, event }), 'ignored');
  t.equal(await heeded({ ...ping, ...paidMessage(paymentId) }), 'ignored');
  t.equal(await heeded({ event: 'OPENPIX:WHATEVER' }), 'ignored');
  t.equal(await heeded(paidMessage(paymentId)), 'observed', 'asked, and it is not paid');
  t.equal(await heeded(paidMessage(paymentId, 1990, 1)), 'mismatch', 'pix.value');
  t.equal(await heeded(paidMessage(paymentId, 1000, 1)), 'mismatch');
  const foreign = { workspaceId: 'other', botId: 'bot-other', productId: 'course', poolId: null };
  const other = await bought(world, foreign);
  t.equal(await heeded(paidMessage(other.paymentId, 500)), 'mismatch', 'of another account');
  t.equal(await heeded(paidMessage(newId())), 'unknown_charge');
  t.equal(await heeded(paidMessage("'; drop table charges")), 'unknown_charge');
  const stranger = { status: 'OPENED', endToEndId: 'E3524a995bbd54034b6d07c1c36014557', value: 1 };
  const dispute = { event: 'OPENPIX:DISPUTE_CREATED', dispute: stranger };
  t.equal(await heeded(dispute), 'unknown_charge', "of another seller's payment");
  t.equal(await deliver({ event: 'OPENPIX:DISPUTE_CREATED' }), 400);
  const forger = generateKeyPairSync('rsa', { modulusLength: 1024 });
  t.equal(await deliver(paidMessage(paymentId), forger), 401);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
});

await t.test('an API that tells something else than was asked for', async (t) => {
  const { paymentId, pixCode: brCode, expiresAt: expiresDate } = await sale();
  const charge = {
    correlationID: paymentId,
    value: 1990,
    status: 'COMPLETED',
    brCode,
    expiresDate,
  };
  const told = async (changes: object) => {
    const match = (path: string) => ({ method: 'GET', path: `/charge/${paymentId}${path}` });
    const refunds = { status: 200, body: { refunds: [] } };
    const action = { status: 200, body: { charge: { ...charge, ...changes } } };
    const transactions = { status: 200, body: { transactions: [] } };
    await faults(
      { api: 'pix', match: match('/refund'), action: refunds },
      { api: 'pix', match: { path: '/transaction?charge=' }, action: transactions },
      { api: 'pix', match: match(''), action },
    );
    return heeded(paidMessage(paymentId));
  };
  t.equal(await told({ value: 1989 }), 'mismatch');
  t.equal(await told({ correlationID: newId() }), 'mismatch');
  t.equal(await told({ brCode: 'https://api.openpix.com.br/testing' }), 'mismatch', 'test money');
  t.equal(await told({ status: 'ON_HOLD' }), 'observed');
  t.match(await metrics(), /rastro_payment_contradictions_total\{kind="woovi",[^}]*\} 1/);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  t.equal(await told({}), 'observed');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await faults();
});

await t.test('a lost webhook is made up for by asking', async () => {
  const { paymentId } = await sale();
  await faults(lost);
  await atBank(world, paymentId, 'pay');
  await world.sql`
    update charges set asked_at = null, next_check_at = now() where payment_id = ${paymentId}`;
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await faults();
});

await t.test('refunded in part, then in whole; by our own request as well', async (t) => {
  const { paymentId } = await sale();
  await atBank(world, paymentId, 'pay');
  const paid = ['PaymentCreated', 'PaymentPaid'];
  await sees(world, paymentId, ...paid);
  await atBank(world, paymentId, 'refund', { amount_cents: 500 });
  await sees(world, paymentId, ...paid, 'PaymentRefunded');
  t.match(dataOf(paymentId, 'PaymentRefunded'), { totalRefundedCents: 500, isPartial: true });
  const agent = createGatewayAgent();
  t.teardown(() => agent.destroy());
  const gateway = createWooviGateway({ apiUrl: `${world.sandbox.url}/woovi`, accessToken }, agent);
  t.match(await gateway.refund(paymentId, 1490), { status: 'refunded', refundedCents: 1990 });
  await sees(world, paymentId, ...paid, 'PaymentRefunded', 'PaymentRefunded');
  t.match(dataOf(paymentId, 'PaymentRefunded'), { totalRefundedCents: 1990, isPartial: false });
});

await t.test('disputed and won; disputed and lost', async (t) => {
  const [won, lostSale] = await Promise.all([sale(), sale()]);
  const types = ['PaymentCreated', 'PaymentPaid', 'PaymentDisputed'];
  for (const { paymentId } of [won, lostSale]) {
    await atBank(world, paymentId, 'pay');
    await sees(world, paymentId, ...types.slice(0, 2));
    await atBank(world, paymentId, 'dispute');
    await sees(world, paymentId, ...types);
    t.match(dataOf(paymentId, 'PaymentDisputed'), { isOpen: true });
  }
  const { paymentId } = won;
  const { endToEndId } = dataOf(paymentId, 'PaymentPaid') as { endToEndId: string | null };
  t.match(endToEndId, /^E\w{31}$/);
  const say = (word: string) =>
    heeded({ event: `OPENPIX:DISPUTE_${word}`, dispute: { status: word, endToEndId } });
  // The charge still says COMPLETED, and messages come early, late and again: none of them counts.
  t.equal(await heeded(paidMessage(paymentId)), 'observed');
  for (const word of ['REJECTED', 'CANCELED', 'ACCEPTED']) t.equal(await say(word), 'observed');
  t.same(await finalTypesOf(world, paymentId), types);
  await faults(lost);
  await settle(paymentId, true);
  t.equal(await say('CREATED'), 'observed', 'the first word comes after the last');
  await sees(world, paymentId, ...types, 'PaymentDisputed');
  t.match(dataOf(paymentId, 'PaymentDisputed'), { isOpen: false });
  for (const word of ['CREATED', 'ACCEPTED']) t.equal(await say(word), 'observed', 'replayed');
  await sees(world, paymentId, ...types, 'PaymentDisputed');
  await faults();
  const [opening] = await world.sql<{ record: object }[]>`
    select record from webhooks
    where type = 'OPENPIX:DISPUTE_CREATED' and outcome = 'observed' order by id limit 1`;
  t.match(opening?.record, { dispute: { status: 'OPENED' } });
  await settle(lostSale.paymentId, false);
  await sees(world, lostSale.paymentId, ...types, 'PaymentChargedBack');
});
