/**
 * Goal: AbacatePay's traps: an HMAC with a public key that proves nothing, events whose inner status
 * and mode contradict them, ids that differ between creation and webhook, amounts in two places,
 * refunds as a whole; nothing crashes it, nothing is paid by it.
 * Method: the documented samples, each part of them spoilt, a gateway that answers what is
 * documented, then mutated bodies and headers.
 */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { MockAgent } from 'undici';
import {
  createAbacatepayGateway,
  publicHmacKey,
  readWebhook,
} from '../../src/adapters/abacatepay.ts';
import type { WebhookDelivery } from '../../src/core/gateway.ts';

const webhookSecret = 'thirty-two-characters-at-the-least';
/** As documented (webhooks/events/transparent). */
const sample =
  '{"event":"transparent.completed","apiVersion":2,"devMode":false,"data":{"transparent":{"id":"char_xyz789","externalId":"chg_01","amount":5000,"paidAmount":5000,"platformFee":50,"status":"PAID","frequency":"ONE_TIME","devMode":true,"customerId":"cust_abc123","methods":["PIX"],"receiptUrl":"https://app.abacatepay.com/receipt/x","createdAt":"2024-12-06T19:00:00.000Z","updatedAt":"2024-12-06T19:00:05.000Z"},"customer":{"id":"","name":null,"email":null,"taxId":null},"payerInformation":{"method":"PIX","PIX":{"name":"Maria Santos","taxId":"12.***.***/0001-**","isSameAsCustomer":true}}}}';
/** As documented (transparents/create), with our metadata. */
const created = {
  id: 'pix_char_abc123xyz',
  amount: 10000,
  status: 'PENDING',
  devMode: false,
  brCode: '00020160014BR.GOV.BCB.PIX070503***6304ABCD',
  brCodeBase64: 'data:image/png;base64,iVBORw0KG...',
  platformFee: 100,
  receiptUrl: null,
  createdAt: '2024-11-04T18:38:28.573Z',
  updatedAt: '2024-11-04T18:38:28.573Z',
  expiresAt: '2024-11-04T19:38:28.573Z',
  metadata: { paymentId: 'chg_01' },
};

const agent = new MockAgent();
agent.disableNetConnect();
t.teardown(() => agent.close());
const api = agent.get('https://abacate.test');
const gateway = createAbacatepayGateway(
  { apiUrl: 'https://abacate.test', accessToken: 'abc_key', webhookSecret },
  agent,
);
const ok = (data: unknown) => ({ data, success: true, error: null });
const failed = (error: string) => ({ data: null, success: false, error });
const create = { path: '/v2/transparents/create', method: 'POST' };
const list = { path: '/v2/transparents/list?id=pix_char_abc123xyz&limit=1' };
const refund = { path: '/v2/transparents/refund', method: 'POST' };

const checksumOf = (body: string | Uint8Array) =>
  createHmac('sha256', publicHmacKey).update(body).digest('base64');

function delivery(body: string | Uint8Array, changes: Partial<WebhookDelivery> = {}) {
  const headers = { 'x-webhook-secret': webhookSecret, 'x-webhook-signature': checksumOf(body) };
  return { headers, query: {}, body: Buffer.from(body as string), ...changes };
}
await t.test('the documented webhook leads to the charge by our reference alone', async (t) => {
  const verdict = await gateway.verifyWebhook(delivery(sample));
  t.match(verdict, {
    outcome: 'verified',
    hint: {
      type: 'transparent.completed',
      isAboutCharge: true,
      // `char_…`, which no API answers for.
      chargeId: null,
      reference: 'chg_01',
      amountCents: 5000,
      currency: null,
      claim: null,
    },
  });
  t.notMatch(JSON.stringify(verdict), /Maria|0001-/, 'the payer is not kept');
});

await t.test('the secret is the proof, in the header or in the address', async (t) => {
  const outcome = async (headers: WebhookDelivery['headers'], query = {}) =>
    (await gateway.verifyWebhook(delivery(sample, { headers, query }))).outcome;
  const secret = { 'x-webhook-secret': webhookSecret };
  t.equal(await outcome(secret), 'verified');
  t.equal(await outcome({}, { webhookSecret }), 'verified');
  t.equal(await outcome({}), 'forged');
  t.equal(await outcome({ 'x-webhook-secret': '' }), 'forged');
  t.equal(await outcome({ 'x-webhook-secret': `${webhookSecret}x` }), 'forged');
  t.equal(await outcome({ 'x-webhook-secret': 'é'.repeat(17) }), 'forged', 'multibyte');
  t.equal(await outcome({ 'x-webhook-secret': [webhookSecret] }), 'forged');
  t.equal(await outcome({}, { webhookSecret: [webhookSecret] }), 'forged', 'given twice');
  t.equal(await outcome({ 'x-webhook-secret': 'wrong' }, { webhookSecret }), 'forged');
});

await t.test(
  'a right HMAC without the secret proves nothing, a wrong one is remarked upon',
  async (t) => {
    const outcome = async (headers: WebhookDelivery['headers']) =>
      (await gateway.verifyWebhook(delivery(sample, { headers }))).outcome;
    const signature = checksumOf(sample);
    t.equal(await outcome({ 'x-webhook-signature': signature }), 'forged');
    const signed = { 'x-webhook-secret': 'of-a-stranger', 'x-webhook-signature': signature };
    t.equal(await outcome(signed), 'forged');
    const secret = { 'x-webhook-secret': webhookSecret };
    t.equal(await outcome({ ...secret, 'x-webhook-signature': signature }), 'verified');
    for (const wrong of ['', 'x', checksumOf(`${sample} `), [signature]]) {
      const headers = { ...secret, 'x-webhook-signature': wrong };
      const verdict = await gateway.verifyWebhook(delivery(sample, { headers }));
      t.match(verdict, { outcome: 'verified', hint: { reference: 'chg_01' } }, 'and read on');
      t.match(verdict, { remark: /not the one that was signed/ });
    }
    t.notOk('remark' in (await gateway.verifyWebhook(delivery(sample))));
    t.same(gateway.silentOn, { amount: true, lostDisputes: true });
    t.equal(gateway.isRefusalFinal, true, 'it never sends again what was refused');
  },
);

await t.test('a charge is asked for under our id, and tells of it in its metadata', async (t) => {
  const order = {
    paymentId: 'chg_01',
    amountCents: 10000,
    currency: 'BRL',
    description: 'E-book',
    expiresInSeconds: 3_600,
    callbackUrl: 'https://pay.example.test/webhooks/abacate',
  };
  const bodies: unknown[] = [];
  const headers = { authorization: 'Bearer abc_key' };
  api.intercept({ ...create, headers }).reply(200, ({ body }) => {
    bodies.push(JSON.parse(body as string));
    return ok(created);
  });
  t.match(await gateway.createCharge(order, 1_000), {
    ok: true,
    charge: {
      chargeId: 'pix_char_abc123xyz',
      reference: 'chg_01',
      amountCents: 10000,
      currency: 'BRL',
      status: 'pending',
      isTestMode: false,
      pixCode: created.brCode,
      expiresAt: created.expiresAt,
    },
  });
  const [sent] = bodies as { data: object }[];
  t.match(sent, { method: 'PIX', data: { amount: 10000, expiresIn: 3600, externalId: 'chg_01' } });
  t.notOk(Object.hasOwn(sent?.data ?? {}, 'customer'), 'nothing about the payer');
  api.intercept(create).reply(400, failed('amount inválido'));
  t.same(await gateway.createCharge(order, 1_000), { ok: false, reason: '400, amount inválido' });
  api.intercept(create).reply(200, failed('Loja inativa'));
  t.same(await gateway.createCharge(order, 1_000), { ok: false, reason: 'Loja inativa' });
  api.intercept(create).reply(200, ok({ ...created, expiresAt: null }));
  t.match(await gateway.createCharge(order, 1_000), { ok: false });
  const foreign = await gateway.createCharge({ ...order, currency: 'USD' }, 1_000);
  t.match(foreign, { ok: false, reason: /BRL/ });
  agent.assertNoPendingInterceptors();
});

await t.test('asked again: amount, mode and reference in its own words', async (t) => {
  const told = async (changes: object) => {
    api.intercept(list).reply(200, ok([{ ...created, ...changes }]));
    return gateway.getCharge(created.id);
  };
  const words = {
    PENDING: 'pending',
    PAID: 'paid',
    APPROVED: 'paid',
    REDEEMED: 'paid',
    EXPIRED: 'expired',
    CANCELLED: 'cancelled',
    FAILED: 'refused',
    UNDER_DISPUTE: 'disputed',
    REFUNDED: 'refunded',
    ON_HOLD: 'unknown',
    constructor: 'unknown',
  };
  for (const [status, canonical] of Object.entries(words)) {
    t.match(await told({ status }), { status: canonical, statusAtGateway: status }, status);
  }
  t.match(await told({}), { amountCents: 10000, reference: 'chg_01', isTestMode: false });
  t.match(await told({ devMode: true }), { isTestMode: true });
  t.match(await told({ externalId: 'chg_02' }), { reference: 'chg_02' });
  for (const metadata of [undefined, null, {}, 'x', { paymentId: 5 }]) {
    t.match(await told({ metadata }), { reference: null });
  }
  t.equal(await told({ id: 'pix_char_other' }), null, 'an answer about another charge');
  api.intercept(list).reply(200, ok([]));
  t.equal(await gateway.getCharge(created.id), null);
  await t.rejects(told({ amount: 100.5 }), { code: 'GATEWAY_UNAVAILABLE' });
  for (const [status, body] of [
    [200, failed('erro')],
    [401, failed('Insufficient permissions')],
    [429, failed('limite')],
    [500, failed('erro')],
  ] as const) {
    api.intercept(list).reply(status, body);
    await t.rejects(gateway.getCharge(created.id), { code: 'GATEWAY_UNAVAILABLE' });
  }
});

await t.test('refunds: as a whole, and once', async (t) => {
  const listed = (status: string) => api.intercept(list).reply(200, ok([{ ...created, status }]));
  const transaction = { id: 'tran_abc123xyz', status: 'COMPLETE', originalId: created.id };
  listed('PAID');
  api.intercept(refund).reply(200, ok(transaction));
  listed('REFUNDED');
  const refunded = { status: 'refunded', refundedCents: 10000 };
  t.match(await gateway.refund(created.id, 10000), refunded);
  listed('REFUNDED');
  t.match(await gateway.refund(created.id, 10000), refunded, 'nothing is asked for again');
  listed('PAID');
  api.intercept(refund).reply(400, failed('Esta cobrança já foi reembolsada.'));
  listed('REFUNDED');
  t.match(await gateway.refund(created.id, 10000), refunded, 'somebody else was first');
  listed('PAID');
  await t.rejects(gateway.refund(created.id, 500), { message: /whole only: 10000 cents, not 500/ });
  listed('UNDER_DISPUTE');
  api.intercept(refund).reply(400, failed('TRANSACTION_UNDER_DISPUTE'));
  listed('UNDER_DISPUTE');
  await t.rejects(gateway.refund(created.id, 10000), { message: /TRANSACTION_UNDER_DISPUTE/ });
  api.intercept(list).reply(200, ok([]));
  await t.rejects(gateway.refund(created.id, 10000), { message: /no charge/ });
  agent.assertNoPendingInterceptors();
});

await t.test('nothing crashes it, and no message pays by itself', async (t) => {
  const seed = Date.now();
  t.comment(`seed ${seed}`);
  const mutated = fc
    .tuple(fc.nat(sample.length), fc.nat(40), fc.string({ unit: 'binary' }))
    .map(([at, cut, put]) => sample.slice(0, at) + put + sample.slice(at + cut));
  const bodies = fc.oneof(mutated, fc.json(), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(bodies, (text) => {
      const verdict = readWebhook(delivery(text));
      if (verdict.outcome !== 'verified') return verdict.outcome === 'malformed';
      const { claim, type } = verdict.hint;
      const isKept = !JSON.stringify(verdict.hint).includes('\\u0000');
      return isKept && (claim === null || (claim === 'charged_back' && type.endsWith('lost')));
    }),
    { numRuns: 3_000, seed },
  );
  const header = fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.string()));
  await fc.assert(
    fc.asyncProperty(bodies, header, fc.anything(), async (text, given, asked) => {
      const headers = { 'x-webhook-secret': given, 'x-webhook-signature': checksumOf(text) };
      const query = { webhookSecret: asked };
      return (await gateway.verifyWebhook(delivery(text, { headers, query }))).outcome === 'forged';
    }),
    { numRuns: 500, seed },
  );
});
