/**
 * Goal: Woovi's API is spoken to as documented: AppID as it is, cents, the same charge for a repeated
 * request, refunds counted once they arrived,
 * disputes as they stand; a refusal is no answer; a test account's code is told as such.
 * Method: an HTTP server that answers with the documented samples and records the calls.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { createGatewayAgent, GatewayError } from '../../src/adapters/gateway-http.ts';
import { createWooviGateway } from '../../src/adapters/woovi.ts';

const correlationID = '019500a0-0000-7000-8000-000000000001';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown> | null;
}

/** Plays Woovi: `answer` gives status and body for a call. */
async function startApi(answer: (call: Call) => { status?: number; body: unknown }) {
  const calls: Call[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const call = {
        method: request.method ?? '',
        path: request.url ?? '',
        authorization: request.headers.authorization,
        body: text === '' ? null : (JSON.parse(text) as Record<string, unknown>),
      };
      calls.push(call);
      const { status = 200, body } = answer(call);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const agent = createGatewayAgent();
  const account = { apiUrl: `http://127.0.0.1:${port}`, accessToken: 'app-id' };
  return {
    calls,
    gateway: createWooviGateway(account, agent),
    async [Symbol.asyncDispose]() {
      await agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const chargeSample = {
  customer: null,
  value: 1990,
  identifier: '996ed4b7cc1c',
  correlationID,
  status: 'ACTIVE',
  expiresDate: '2023-02-25T20:09:06.141Z',
  brCode: '0002010102...',
  globalID: 'Q2hhcmdlOjYz',
};

await t.test('creating: AppID without Bearer, idempotent, cents; a test account', async (t) => {
  let charge: Record<string, unknown> = chargeSample;
  await using api = await startApi(() => ({
    body: { charge, correlationID, brCode: charge['brCode'] },
  }));
  const order = {
    paymentId: correlationID,
    amountCents: 1990,
    currency: 'BRL',
    description: 'E-book',
    expiresInSeconds: 1800,
    callbackUrl: 'https://pay.example.test/webhooks/woovi',
  };
  const create = (changes = {}) => api.gateway.createCharge({ ...order, ...changes }, 5_000);
  t.match(await create(), {
    ok: true,
    charge: {
      chargeId: correlationID,
      reference: correlationID,
      amountCents: 1990,
      currency: 'BRL',
      status: 'pending',
      pixCode: '0002010102...',
      expiresAt: '2023-02-25T20:09:06.141Z',
      isTestMode: false,
    },
  });
  t.same(api.calls, [
    {
      method: 'POST',
      path: '/api/v1/charge?return_existing=true',
      authorization: 'app-id',
      body: { correlationID, value: 1990, comment: 'E-book', expiresIn: 1800 },
    },
  ]);
  const address = 'https://api.openpix.com.br/openpix/openpix/testing?transactionID=ea83';
  charge = { ...chargeSample, brCode: address };
  t.match(await create(), { ok: true, charge: { pixCode: address, isTestMode: true } });
  charge = { ...chargeSample, brCode: null };
  t.match(await create(), { ok: false });
  charge = { ...chargeSample, expiresDate: 'soon' };
  t.match(await create(), { ok: false });
  charge = { ...chargeSample, value: '19.90' };
  await t.rejects(create(), GatewayError);
  const asked = api.calls.length;
  t.match(await create({ currency: 'USD' }), { ok: false });
  t.equal(api.calls.length, asked, 'it has no other currency, so it is not asked');
});

/** An account with one charge, whose answers can be changed. */
async function startShop() {
  const shop = {
    status: 'COMPLETED',
    refunds: [] as object[],
    hasMoreRefunds: false,
    transactions: [{ type: 'PAYMENT', endToEndId: 'E1', charge: { correlationID } }] as object[],
    dispute: null as object | null,
    /** By the beginning of a path after `/api/v1`. */
    failing: {} as Record<string, { status: number; body: unknown }>,
  };
  const absent = (what: string) => ({ status: 400, body: { error: `${what} não encontrada` } });
  const api = await startApi(({ path: whole }) => {
    const path = whole.replace('/api/v1', '');
    const failing = Object.entries(shop.failing).find(([start]) => path.startsWith(start));
    if (failing) return failing[1];
    if (path.includes('/refund')) {
      return { body: { refunds: shop.refunds, pageInfo: { hasNextPage: shop.hasMoreRefunds } } };
    }
    if (path.startsWith('/transaction?')) return { body: { transactions: shop.transactions } };
    if (path === '/transaction/E1') {
      return { body: { transaction: { endToEndId: 'E1', charge: { correlationID } } } };
    }
    if (path === '/transaction/E2') return { body: { transaction: { endToEndId: 'E2' } } };
    if (path.startsWith('/transaction')) return absent('Transação');
    if (path.startsWith('/dispute')) {
      return shop.dispute ? { body: { dispute: shop.dispute } } : absent('Disputa');
    }
    const { status } = shop;
    const paidAt = status === 'COMPLETED' ? { paidAt: '2023-11-28T11:30:39.933Z' } : {};
    return { body: { charge: { ...chargeSample, status, ...paidAt } } };
  });
  const ask = () => api.gateway.getCharge(correlationID);
  return { api, shop, ask, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

const at = (value: number, status = 'CONFIRMED') => ({ status, value, correlationID: 'r' });

await t.test('asking: statuses, and refunds that have arrived', async (t) => {
  await using world = await startShop();
  const { api, shop, ask } = world;
  const paidAt = '2023-11-28T11:30:39.933Z';
  t.match(await ask(), { status: 'paid', refundedCents: 0, paidAt, endToEndId: 'E1' });
  t.equal(api.calls.length, 4, 'charge, refunds, payment, dispute');
  shop.refunds = [at(1990, 'IN_PROCESSING'), at(1990, 'REJECTED')];
  t.match(await ask(), { status: 'paid', refundedCents: 0 }, 'not yet, and never');
  shop.refunds = [at(5), at(1990, 'REJECTED'), at(5)];
  t.match(await ask(), { status: 'partially_refunded', refundedCents: 10 });
  shop.refunds = [at(990), at(1000)];
  t.match(await ask(), { status: 'refunded', refundedCents: 1990 });
  api.calls.length = 0;
  for (const [word, known] of [
    ['ACTIVE', 'pending'],
    ['EXPIRED', 'expired'],
    ['ON_HOLD', 'unknown'],
    ['toString', 'unknown'],
  ] as const) {
    shop.status = word;
    t.match(await ask(), { status: known, statusAtGateway: word, refundedCents: 0 });
  }
  t.equal(api.calls.length, 4, 'one question where nothing was paid');
  shop.status = 'COMPLETED';
  shop.hasMoreRefunds = true;
  await t.rejects(ask(), GatewayError, 'more than fit into an answer');
});

await t.test('asking: a dispute stands as the API says', async (t) => {
  await using world = await startShop();
  const { api, shop, ask } = world;
  t.same(api.gateway.silentOn, {});
  const told = async (status: string) => {
    // Of a MED, as documented: without a value.
    shop.dispute = { type: 'MED', status, endToEndId: 'E1', id: '67e3170b38e62d5935ed4faf' };
    return ask();
  };
  t.match(await told('OPENED'), { status: 'disputed', statusAtGateway: 'dispute OPENED' });
  t.match(await told('IN_REVIEW'), { status: 'disputed' });
  t.match(await told('ACCEPTED'), { status: 'charged_back', endToEndId: 'E1' });
  t.match(await told('REJECTED'), { status: 'paid', statusAtGateway: 'COMPLETED' });
  t.match(await told('CANCELED'), { status: 'paid' });
  for (const word of ['REOPENED', 'constructor', '']) {
    t.match(await told(word), { status: 'unknown', statusAtGateway: `dispute ${word}` });
  }
  shop.refunds = [at(5)];
  t.match(await told('OPENED'), { status: 'disputed', refundedCents: 5 });
  t.match(await told('REJECTED'), { status: 'partially_refunded', refundedCents: 5 });
  shop.refunds = [at(1990)];
  t.match(await told('ACCEPTED'), { status: 'refunded' }, 'nothing is left to be lost');
  shop.refunds = [];
  shop.dispute = { status: 'OPENED', endToEndId: 'E9' };
  await t.rejects(ask(), GatewayError, 'of another payment');

  await told('OPENED');
  for (const transactions of [
    [],
    [{ type: 'PAYMENT', charge: { correlationID } }],
    [{ type: 'PAYMENT', endToEndId: 'E1', charge: { correlationID: 'another' } }],
    [{ type: 'PAYMENT', endToEndId: 'E1' }],
    [{ type: 'REFUND', endToEndId: 'E1', charge: { correlationID } }],
  ]) {
    shop.transactions = transactions;
    t.match(await ask(), { status: 'paid', endToEndId: null }, JSON.stringify(transactions));
  }
  t.match(
    api.calls.findLast(({ path }) => path.includes('/transaction?')),
    { path: `/api/v1/transaction?charge=${correlationID}` },
  );
});

await t.test(
  'a refusal says nothing about a charge, unless it says that there is none',
  async (t) => {
    await using world = await startShop();
    const { api, shop, ask } = world;
    const paths = [`/charge/${correlationID}/refund`, '/transaction?', '/dispute/', '/charge/'];
    const errors = ['appID inválido', 'Application not found', 'Conta não encontrada', ''];
    for (const path of paths) {
      for (const status of [400, 401, 403, 429, 500]) {
        for (const error of errors) {
          shop.failing = { [path]: { status, body: { error } } };
          await t.rejects(ask(), GatewayError, `${path} ${status} ${error}`);
        }
      }
      shop.failing = { [path]: { status: 401, body: { error: 'Conta não encontrada' } } };
      await t.rejects(ask(), GatewayError, 'a key of no account');
    }
    const absent = [
      { status: 404, body: '' },
      { status: 400, body: { error: 'Cobrança não encontrada' } },
      { status: 400, body: { errors: [{ message: 'Charge not found' }] } },
    ];
    for (const failing of absent) {
      shop.failing = { '/charge/': failing };
      t.equal(await ask(), null);
      shop.failing = { [`/charge/${correlationID}/refund`]: failing };
      t.match(await ask(), { status: 'paid', refundedCents: 0 });
    }
    const { gateway } = api;
    shop.failing = {};
    t.equal(await gateway.chargeIdOf?.('E1'), correlationID);
    t.equal(await gateway.chargeIdOf?.('E2'), null, 'no charge');
    t.equal(await gateway.chargeIdOf?.('E3/../x'), null, "somebody else's");
    t.match(api.calls.at(-1), { path: '/api/v1/transaction/E3%2F..%2Fx' });
    shop.failing = { '/transaction/': { status: 400, body: { error: 'appID inválido' } } };
    await t.rejects(async () => gateway.chargeIdOf?.('E1'), GatewayError);
  },
);

await t.test('refunds: the same while one is under way, another once it arrived', async (t) => {
  const refunds: { status: string; value: number }[] = [];
  await using api = await startApi(({ method, path }) => {
    if (method === 'POST') return { body: { refund: { status: 'IN_PROCESSING', value: 500 } } };
    if (path.includes('/refund')) return { body: { refunds } };
    if (path.includes('/transaction')) return { body: { transactions: [] } };
    return { body: { charge: { ...chargeSample, status: 'COMPLETED' } } };
  });
  t.match(await api.gateway.refund(correlationID, 500), { status: 'paid' });
  await api.gateway.refund(correlationID, 500);
  refunds.push({ status: 'CONFIRMED', value: 500 });
  t.match(await api.gateway.refund(correlationID, 500), { status: 'partially_refunded' });
  const posted = api.calls.filter(({ method }) => method === 'POST').map(({ body }) => body);
  t.match(posted[0], { value: 500, comment: String });
  t.equal(posted[0]?.['correlationID'], posted[1]?.['correlationID']);
  t.not(posted[2]?.['correlationID'], posted[0]?.['correlationID']);
});
