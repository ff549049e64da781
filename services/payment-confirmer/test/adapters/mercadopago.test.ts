/**
 * Goal: what Mercado Pago says of a payment is understood to the cent, and what it is asked for is
 * as documented, the same request each time.
 * Method: the documented samples, changed; the requests as they leave, against a stand-in of HTTP.
 */
import { mock } from 'node:test';
import t from 'tap';
import { MockAgent } from 'undici';
import { GatewayError } from '../../src/adapters/gateway-http.ts';
import { createMercadoPagoGateway, placeholderEmail } from '../../src/adapters/mercadopago.ts';

const atMs = 1_704_908_010_000;
mock.timers.enable({ apis: ['Date'], now: atMs });
t.teardown(() => mock.timers.reset());

const pending = {
  id: 456,
  status: 'pending',
  status_detail: 'pending_waiting_transfer',
  transaction_amount: 42.4,
  transaction_amount_refunded: 0,
  currency_id: 'BRL',
  external_reference: 'chg_01',
  payment_method_id: 'pix',
  payment_type_id: 'bank_transfer',
  live_mode: false,
  collector_id: 123,
  date_created: '2026-09-10T12:00:00.000-03:00',
  date_approved: null,
  date_of_expiration: '2026-09-10T12:30:00.000-03:00',
  point_of_interaction: {
    type: 'PIX',
    transaction_data: {
      qr_code: '00020101021226...6304ABCD',
      qr_code_base64: 'iVBORw0KGgo=',
      ticket_url: 'https://example.invalid/pix',
    },
  },
};

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

const expiryIn = (sent: Sent | undefined): string =>
  String((sent?.body as Record<string, unknown> | undefined)?.['date_of_expiration']);

/** The gateway in front of an HTTP that answers so, in this order. */
function gatewayWith(...answers: { status?: number; body: unknown }[]) {
  const agent = new MockAgent();
  agent.disableNetConnect();
  const sent: Sent[] = [];
  for (const { status = 200, body } of answers) {
    agent
      .get('https://api.mercadopago.com')
      .intercept({ path: () => true, method: () => true })
      .reply((request) => {
        const { method, path, headers } = request as unknown as Sent;
        const json = typeof request.body === 'string' ? JSON.parse(request.body) : null;
        sent.push({ method, path, headers, body: json });
        return { statusCode: status, data: typeof body === 'string' ? body : JSON.stringify(body) };
      });
  }
  const account = {
    apiUrl: 'https://api.mercadopago.com',
    accessToken: 'APP_USR-1',
    webhookSecret: 'unused',
    payerEmail: 'comprador@loja.example.com',
  };
  return { gateway: createMercadoPagoGateway(account, agent), sent };
}

/** A UUIDv7 of five seconds ago. */
const bornHex = (atMs - 5_000).toString(16).padStart(12, '0');
const order = {
  paymentId: `${bornHex.slice(0, 8)}-${bornHex.slice(8)}-7000-8000-000000000001`,
  amountCents: 4240,
  currency: 'BRL',
  description: 'Plano VIP',
  expiresInSeconds: 3_600,
  callbackUrl: 'https://pay.example.test/webhooks/t1',
};

await t.test('a charge is made as documented, and repeated to the letter', async (t) => {
  const answers = Array.from({ length: 4 }, () => ({ status: 201, body: pending }));
  const { gateway, sent } = gatewayWith(...answers);
  t.match(await gateway.createCharge(order, 1_000), {
    ok: true,
    charge: {
      chargeId: '456',
      reference: 'chg_01',
      amountCents: 4240,
      currency: 'BRL',
      status: 'pending',
      pixCode: '00020101021226...6304ABCD',
      expiresAt: '2026-09-10T15:30:00.000Z',
      receiver: '123',
      isTestMode: true,
    },
  });
  const [first] = sent;
  t.match(first, { method: 'POST', path: '/v1/payments' });
  const authorization = 'Bearer APP_USR-1';
  t.match(first?.headers, { authorization, 'x-idempotency-key': order.paymentId });
  const expiry = expiryIn(first);
  t.same(first?.body, {
    transaction_amount: 42.4,
    description: 'Plano VIP',
    payment_method_id: 'pix',
    external_reference: order.paymentId,
    notification_url: 'https://pay.example.test/webhooks/t1?source_news=webhooks',
    date_of_expiration: expiry,
    payer: { email: 'comprador@loja.example.com' },
  });
  t.match(expiry, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000-03:00$/);
  t.equal(Date.parse(expiry), atMs - 5_000 + 3_600_000, 'from the birth of the payment');
  mock.timers.setTime(atMs - 5_000 + 119_999);
  await gateway.createCharge(order, 1_000);
  t.same(sent[1]?.body, first?.body, 'the same request within two minutes');
  const brief = { ...order, expiresInSeconds: 60 };
  await gateway.createCharge(brief, 1_000);
  const shortest = expiryIn(sent[2]);
  t.equal(Date.parse(shortest), atMs - 5_000 + 32 * 60_000, 'half an hour is the least');
  mock.timers.setTime(atMs);
  t.match(await gateway.createCharge({ ...order, currency: 'USD' }, 1_000), { ok: false });
  t.equal(sent.length, 3, 'no other currency is asked for');
});

await t.test('amounts go out to the cent', async (t) => {
  const amounts = [1990, 1, 10, 100, 4239, 105, 100_000_001];
  const { gateway, sent } = gatewayWith(...amounts.map(() => ({ body: pending })));
  for (const amountCents of amounts) await gateway.createCharge({ ...order, amountCents }, 1_000);
  t.same(
    sent.map(({ body }) => (body as { transaction_amount: number }).transaction_amount),
    [19.9, 0.01, 0.1, 1, 42.39, 1.05, 1_000_000.01],
  );
});

await t.test("the payer's address that a customer of a bot has not", async (t) => {
  t.equal(placeholderEmail('https://pay.loja.com.br'), 'comprador@pay.loja.com.br');
  t.equal(placeholderEmail('https://xn--caf-dma.com:8443/x'), 'comprador@xn--caf-dma.com');
  const nowhere = ['http://localhost:8080', 'http://127.0.0.1:8104', 'http://[::1]:1'];
  for (const origin of [...nowhere, 'https://loja.test', 'http://rastro']) {
    t.equal(placeholderEmail(origin), 'comprador@example.com', origin);
  }
});

await t.test('refusals and outages of a creation', async (t) => {
  const message = 'payer.email must be a valid email';
  const cause = [{ code: 4050, description: message, data: null }];
  const refused = { status: 400, body: { message, error: 'bad_request', status: 400, cause } };
  const noCode = { ...pending, point_of_interaction: null };
  const noDate = { ...pending, date_of_expiration: 'soon' };
  const { gateway } = gatewayWith(
    refused,
    { body: noCode },
    { body: noDate },
    { status: 500, body: '' },
    { status: 429, body: '' },
    { body: '<html>' },
    { body: '' },
    { body: { ...pending, id: null } },
    { body: { ...pending, transaction_amount: true } },
  );
  const create = () => gateway.createCharge(order, 1_000);
  t.same(await create(), { ok: false, reason: `400, ${message}` });
  t.match(await create(), { ok: false, reason: /PIX code/ });
  t.match(await create(), { ok: false, reason: /expiry/ });
  for (let outage = 0; outage < 6; outage += 1) await t.rejects(create(), GatewayError);
});

await t.test('what each status means, and what is not known is unknown', async (t) => {
  const told = async (changes: object) => {
    const { gateway } = gatewayWith({ body: { ...pending, ...changes } });
    return (await gateway.getCharge('456'))?.status;
  };
  const expected: [string, string | null, string, number?][] = [
    ['pending', 'pending_waiting_transfer', 'pending'],
    ['in_process', 'pending_review_manual', 'pending'],
    ['authorized', 'pending_capture', 'pending'],
    ['approved', 'accredited', 'paid'],
    ['approved', 'partially_refunded', 'partially_refunded', 5],
    ['rejected', 'cc_rejected_other_reason', 'refused'],
    ['cancelled', 'by_collector', 'cancelled'],
    ['cancelled', null, 'cancelled'],
    ['cancelled', 'expired', 'expired'],
    ['refunded', 'refunded', 'refunded', 42.4],
    ['in_mediation', 'pending', 'disputed', 5],
    ['charged_back', 'settled', 'charged_back'],
    ['charged_back', null, 'charged_back'],
    ['charged_back', 'in_process', 'disputed'],
    ['charged_back', 'reimbursed', 'unknown'],
    ['on_hold', null, 'unknown'],
    ['APPROVED', null, 'unknown'],
    ['constructor', null, 'unknown'],
  ];
  for (const [status, detail, meaning, refunded = 0] of expected) {
    const changes = { status, status_detail: detail, transaction_amount_refunded: refunded };
    t.equal(await told(changes), meaning, `${status}/${detail}`);
  }
});

await t.test('a refund that cannot be read is not none', async (t) => {
  for (const refunded of ['1,50', 'x', '', -1, 10.005, 1e21]) {
    const approved = { ...pending, status: 'approved', transaction_amount_refunded: refunded };
    const { gateway } = gatewayWith({ body: approved }, { body: approved });
    const told = await gateway.getCharge('456');
    t.match(told, { status: 'unknown', refundedCents: null }, `refunded ${refunded}`);
    await t.rejects(gateway.refund('456', 100), GatewayError, 'nor is more given back');
  }
  for (const refunded of [null, undefined, 0, '0.00']) {
    const approved = { ...pending, status: 'approved', transaction_amount_refunded: refunded };
    const { gateway } = gatewayWith({ body: approved });
    t.match(await gateway.getCharge('456'), { status: 'paid' });
  }
});

await t.test('what is told of a payment', async (t) => {
  const told = async (changes: object) => {
    const { gateway, sent } = gatewayWith({ body: { ...pending, ...changes } });
    const report = await gateway.getCharge('456');
    t.match(sent[0], { method: 'GET', path: '/v1/payments/456' });
    return report;
  };
  const e2e_id = 'PIXE18236120202609101205s1234567890';
  const paid = await told({
    status: 'approved',
    status_detail: 'accredited',
    live_mode: true,
    date_approved: '2026-09-10T12:05:00.000-04:00',
    transaction_amount: 42.39,
    transaction_amount_refunded: '1.5',
    point_of_interaction: { transaction_data: { e2e_id } },
    payer: { email: 'maria@example.com', identification: { type: 'CPF', number: '12345678909' } },
  });
  t.same(paid, {
    chargeId: '456',
    reference: 'chg_01',
    amountCents: 4239,
    currency: 'BRL',
    status: 'partially_refunded',
    statusAtGateway: 'approved/accredited',
    paidAt: '2026-09-10T16:05:00.000Z',
    endToEndId: 'E18236120202609101205s1234567890',
    refundedCents: 150,
    receiver: '123',
    isTestMode: false,
  });
  t.match(await told({ currency_id: 'ARS' }), { currency: 'ARS' });
  t.match(await told({ external_reference: 'other' }), { reference: 'other' });
  t.match(await told({ transaction_amount: 42.405 }), { amountCents: null });
  t.match(await told({ transaction_amount: 1e21 }), { amountCents: null });
  t.match(await told({ collector_id: null, live_mode: null }), {
    receiver: null,
    isTestMode: null,
  });
});

await t.test('no such payment, and no answer', async (t) => {
  const missing = { message: 'Payment not found', error: 'not_found', status: 404, cause: [] };
  const { gateway, sent } = gatewayWith(
    { status: 404, body: missing },
    { status: 401, body: { message: 'invalid access token' } },
    { status: 404, body: missing },
  );
  t.equal(await gateway.getCharge('456'), null);
  await t.rejects(gateway.getCharge('456'), /401, invalid access token/);
  t.equal(await gateway.getCharge('a/../b'), null);
  t.equal(sent[2]?.path, '/v1/payments/a%2F..%2Fb');
});

await t.test('a refund is asked for once, and looked up', async (t) => {
  const paid = { ...pending, status: 'approved', transaction_amount_refunded: 10 };
  const after = { ...paid, transaction_amount_refunded: 15.5 };
  const { gateway, sent } = gatewayWith(
    { body: paid },
    { status: 201, body: { id: 1, payment_id: 456, amount: 5.5, status: 'approved' } },
    { body: after },
  );
  const report = await gateway.refund('456', 550);
  t.match(report, { status: 'partially_refunded', refundedCents: 1550 });
  t.match(sent[1], { method: 'POST', path: '/v1/payments/456/refunds', body: { amount: 5.5 } });
  t.equal(sent[1]?.headers['x-idempotency-key'], 'refund-456-1000-550');

  // A repeated key is answered with 200 and nothing.
  const repeated = gatewayWith({ body: paid }, { status: 200, body: '' }, { body: after });
  t.match(await repeated.gateway.refund('456', 550), { refundedCents: 1550 });
  const message = 'Invalid transaction_amount for update';
  const refused = gatewayWith({ body: paid }, { status: 400, body: { message } });
  await t.rejects(refused.gateway.refund('456', 9_999), /400, Invalid transaction_amount/);
  const unknown = gatewayWith({ status: 404, body: {} });
  await t.rejects(unknown.gateway.refund('456', 1), GatewayError);
});
