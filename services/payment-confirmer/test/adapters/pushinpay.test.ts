/**
 * Goal: PushinPay's traps: forms, ids in two cases, a static header as the only proof, our reference
 * in an address, words for a cancelled charge, no refunds; nothing crashes it, nothing is paid by it.
 * Method: the documented samples, each part of them spoilt, a gateway that answers what is
 * documented, then mutated bodies and headers.
 */
import fc from 'fast-check';
import t from 'tap';
import { MockAgent } from 'undici';
import { createPushinpayGateway, readWebhook } from '../../src/adapters/pushinpay.ts';
import type { WebhookDelivery } from '../../src/core/gateway.ts';

const webhookSecret = 'a-value-that-the-seller-chose';
const paymentId = '0193f3a2-5b7e-7c41-9d55-2f1f6a0e4b11';
const callbackUrl = 'https://pay.example.test/webhooks/pushin';
const webhookUrl = `${callbackUrl}?payment=${paymentId}`;

/** As documented (criar-pix), with the name and document that a paid one carries. */
const sample =
  '{"id":"9c29870c-9f69-4bb6-90d3-2dce9453bb45","qr_code":"00020101021226770014BR.GOV.BCB.PIX2555api...","status":"paid","value":1990,"webhook_url":"https://pay.example.test/webhooks/pushinpay/chg_01/tok","qr_code_base64":"data:image/png;base64,iVBORw0KGgo=","webhook":null,"split_rules":[],"end_to_end_id":"E12345678202301011234567890123456","payer_name":"João Silva","payer_national_registration":"12345678901"}';
const transaction = (changes: object = {}): Record<string, unknown> => ({
  ...(JSON.parse(sample) as Record<string, unknown>),
  webhook_url: webhookUrl,
  ...changes,
});

const agent = new MockAgent();
agent.disableNetConnect();
t.teardown(() => agent.close());
const api = agent.get('https://pushin.test');
const gateway = createPushinpayGateway(
  { apiUrl: 'https://pushin.test/api', accessToken: '1|token', webhookSecret },
  agent,
);

function delivery(body: string | Uint8Array, changes: Partial<WebhookDelivery> = {}) {
  const headers = { 'x-pushinpay-token': webhookSecret };
  return { headers, query: {}, body: Buffer.from(body as string), ...changes };
}
const hintOf = (body: string, query: WebhookDelivery['query'] = {}) => {
  const verdict = readWebhook(delivery(body, { query }));
  if (verdict.outcome !== 'verified') throw new Error(verdict.problem);
  return verdict.hint;
};

await t.test('the documented webhook, as JSON and as a form', async (t) => {
  const verdict = await gateway.verifyWebhook(delivery(sample));
  t.match(verdict, {
    outcome: 'verified',
    hint: {
      type: 'paid',
      isAboutCharge: true,
      chargeId: '9c29870c-9f69-4bb6-90d3-2dce9453bb45',
      // Of another seller's making: their address says it in its path.
      reference: null,
      amountCents: 1990,
      currency: null,
      claim: null,
    },
  });
  t.notMatch(JSON.stringify(verdict), /João|12345678901"/, 'the payer is not kept');
  const form = new URLSearchParams(transaction() as Record<string, string>).toString();
  const hint = hintOf(form);
  t.match(hint, { chargeId: '9c29870c-9f69-4bb6-90d3-2dce9453bb45', amountCents: 1990 });
  t.equal(hint.reference, paymentId);
  t.notMatch(JSON.stringify(hint.record), /Jo|12345678901"/);
  t.equal(hintOf(`\n ${sample}`).type, 'paid', 'blanks before it');
});

await t.test('ids in upper case are the same charge', (t) => {
  const upper = sample.replace(/9c29870c[^"]*/, (id) => id.toUpperCase());
  t.equal(hintOf(upper).chargeId, '9c29870c-9f69-4bb6-90d3-2dce9453bb45');
  t.end();
});

await t.test('our reference: of the body, else of the address that was called', (t) => {
  const other = '0193f3a2-5b7e-7c41-9d55-000000000000';
  t.equal(hintOf(JSON.stringify(transaction())).reference, paymentId);
  t.equal(hintOf(JSON.stringify(transaction()), { payment: other }).reference, paymentId);
  const bare = JSON.stringify(transaction({ webhook_url: null }));
  t.equal(hintOf(bare, { payment: other }).reference, other);
  for (const payment of [undefined, '', ['a', 'b'], 'a\0b', 'x'.repeat(65), { a: 1 }]) {
    t.equal(hintOf(bare, { payment }).reference, null);
  }
  const url = (webhook_url: unknown) => hintOf(JSON.stringify(transaction({ webhook_url })));
  for (const text of ['', 'not a url', 'https://x.test/?payment=%00', 'https://x.test/?pay=1']) {
    t.equal(url(text).reference, null, text);
  }
  t.end();
});

await t.test('the header is the proof, and the only one', async (t) => {
  const outcome = async (headers: WebhookDelivery['headers']) =>
    (await gateway.verifyWebhook(delivery(sample, { headers }))).outcome;
  t.equal(await outcome({ 'x-pushinpay-token': webhookSecret }), 'verified');
  t.equal(await outcome({}), 'forged');
  t.equal(await outcome({ 'x-pushinpay-token': '' }), 'forged');
  t.equal(await outcome({ 'x-pushinpay-token': `${webhookSecret} ` }), 'forged');
  t.equal(await outcome({ 'x-pushinpay-token': webhookSecret.toUpperCase() }), 'forged');
  t.equal(
    await outcome({ 'x-pushinpay-token': 'é'.repeat(29) }),
    'forged',
    'more bytes than signs',
  );
  t.equal(await outcome({ 'x-pushinpay-token': [webhookSecret] }), 'forged');
  t.equal(await outcome({ authorization: `Bearer ${webhookSecret}` }), 'forged');
});

await t.test('the same message has one id; another state, or another word, its own', (t) => {
  const idOf = (changes: object) => hintOf(JSON.stringify(transaction(changes))).webhookId;
  t.equal(idOf({}), idOf({}));
  const ids = [{}, { status: 'refunded' }, { status: 'canceled' }, { value: 1 }, { webhook: 'x' }];
  t.equal(new Set(ids.map(idOf)).size, ids.length);
  const bare = JSON.stringify(transaction({ webhook_url: null }));
  const idAt = (query: WebhookDelivery['query']) => hintOf(bare, query).webhookId;
  t.not(idAt({ payment: paymentId }), idAt({}), 'the same body at another address');
  t.end();
});

await t.test('bodies that are none', (t) => {
  const outcome = (body: string | Uint8Array) => readWebhook(delivery(body)).outcome;
  const text = (changes: object) => outcome(JSON.stringify(transaction(changes)));
  for (const body of ['', '{', 'null', '[]', '"x"', '{}', 'id=1', 'status=paid', '%', '{"id":1}']) {
    t.equal(outcome(body), 'malformed', body);
  }
  t.equal(outcome(Buffer.from([0x7b, 0xff, 0x7d])), 'malformed', 'no UTF-8');
  t.equal(outcome(`\uFEFF${JSON.stringify(transaction())}`), 'verified', 'a byte order mark');
  for (const value of [19.9, '19.90', '19,90', -1, 1e300, '-1', ' 1', '1e3', {}, true]) {
    t.equal(text({ value }), 'malformed', `value ${JSON.stringify(value)}`);
  }
  for (const id of ['', 1, null, 'a b', 'a\0', 'x'.repeat(65)]) t.equal(text({ id }), 'malformed');
  for (const status of ['', 1, null, 'a\0', {}]) t.equal(text({ status }), 'malformed');
  t.equal(text({ value: undefined }), 'verified', 'an amount may be missing: it is asked for');
  t.equal(text({ brand_new: { deep: [1] } }), 'verified', 'fields that nobody knows yet');
  t.end();
});

await t.test('a charge is asked for with our reference, and its end is ours', async (t) => {
  const order = {
    paymentId,
    amountCents: 1990,
    currency: 'BRL',
    description: 'E-book',
    expiresInSeconds: 1_800,
    callbackUrl,
  };
  const bodies: unknown[] = [];
  const created = transaction({ status: 'created', end_to_end_id: {}, id: 'ABC-1' });
  api
    .intercept({
      path: '/api/pix/cashIn',
      method: 'POST',
      headers: { authorization: 'Bearer 1|token', accept: 'application/json' },
    })
    .reply(200, ({ body }) => {
      bodies.push(JSON.parse(body as string));
      return created;
    });
  const opening = await gateway.createCharge(order, 1_000);
  t.same(bodies, [{ value: 1990, webhook_url: webhookUrl, split_rules: [] }]);
  t.match(opening, {
    ok: true,
    charge: {
      chargeId: 'abc-1',
      reference: paymentId,
      amountCents: 1990,
      currency: 'BRL',
      status: 'pending',
      endToEndId: null,
      pixCode: created['qr_code'],
    },
  });
  const endMs = opening.ok ? Date.parse(opening.charge.expiresAt) : 0;
  t.ok(Math.abs(endMs - Date.now() - 1_800_000) < 5_000);
  const tooLittle =
    '{"message":"O campo value deve ser no mínimo 50.","errors":{"value":["O campo value deve ser no mínimo 50."]}}';
  api.intercept({ path: '/api/pix/cashIn', method: 'POST' }).reply(422, tooLittle);
  const refused = { ok: false, reason: '422, O campo value deve ser no mínimo 50.' };
  t.same(await gateway.createCharge({ ...order, amountCents: 49 }, 1_000), refused);
  // Cents of something else would be charged as cents of a real.
  const foreign = await gateway.createCharge({ ...order, currency: 'USD' }, 1_000);
  t.match(foreign, { ok: false, reason: /BRL/ });
  agent.assertNoPendingInterceptors();
});

await t.test('statuses in its words; a name in the answer is no payment', async (t) => {
  const told = async (changes: object) => {
    api.intercept({ path: '/api/transactions/abc-1' }).reply(200, transaction(changes));
    return gateway.getCharge('abc-1');
  };
  const words = {
    created: 'pending',
    paid: 'paid',
    PAID: 'paid',
    expired: 'expired',
    // Its documentation has them for what expired: the charge may still be paid, late.
    canceled: 'expired',
    cancelled: 'expired',
    refunded: 'refunded',
    estornado: 'unknown',
    constructor: 'unknown',
  };
  for (const [status, canonical] of Object.entries(words)) {
    const report = await told({ status, end_to_end_id: null });
    t.match(report, { status: canonical, statusAtGateway: status }, status);
  }
  t.match(await told({ status: 'canceled' }), { status: 'unknown' }, 'and yet somebody has paid');
  t.match(await told({ status: 'created' }), { status: 'pending', amountCents: 1990 });
  t.match(await told({}), { endToEndId: 'E12345678202301011234567890123456' });
  t.match(await told({ value: undefined, webhook_url: undefined, end_to_end_id: null }), {
    amountCents: null,
    reference: null,
    endToEndId: null,
  });
  await t.rejects(told({ status: 5 }), { code: 'GATEWAY_UNAVAILABLE' });
  api.intercept({ path: '/api/transactions/none' }).reply(404, { message: 'Pedido não existe' });
  t.equal(await gateway.getCharge('none'), null);
  for (const status of [401, 403, 429, 500]) {
    api.intercept({ path: '/api/transactions/x' }).reply(status, { message: 'não' });
    await t.rejects(gateway.getCharge('x'), { code: 'GATEWAY_UNAVAILABLE' });
  }
});

await t.test('what its terms ask of a seller', async (t) => {
  t.equal(gateway.requeryIntervalMs, 60_000);
  t.match(gateway.checkoutNotice, /^A PUSHIN PAY atua exclusivamente .* pelo vendedor\.$/);
  await t.rejects(gateway.refund('abc-1', 1990), { message: /panel/, code: 'GATEWAY_UNAVAILABLE' });
});

await t.test('nothing crashes it, and no message pays by itself', (t) => {
  const seed = Date.now();
  t.comment(`seed ${seed}`);
  const mutated = fc
    .tuple(fc.constantFrom(sample, new URLSearchParams(transaction() as never).toString()))
    .chain(([text]) =>
      fc.tuple(fc.constant(text), fc.nat(text.length), fc.nat(40), fc.string({ unit: 'binary' })),
    )
    .map(([text, at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut));
  const bodies = fc.oneof(mutated, fc.json(), fc.string({ unit: 'binary' }));
  const query = fc.dictionary(fc.constantFrom('payment', 'x'), fc.anything());
  fc.assert(
    fc.property(bodies, query, (text, asked) => {
      const verdict = readWebhook(delivery(text, { query: asked }));
      if (verdict.outcome !== 'verified') return verdict.outcome === 'malformed';
      return verdict.hint.claim === null && !JSON.stringify(verdict.hint).includes('\\u0000');
    }),
    { numRuns: 3_000, seed },
  );
  t.end();
});
