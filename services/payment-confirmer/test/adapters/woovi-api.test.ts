/**
 * Goal: Woovi's API is spoken to as documented: AppID as it is, cents, the same charge for a repeated
 * request, refunds counted once they arrived; a test account's code is told as such.
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

await t.test(
  'asking: statuses, refunds that have arrived, charges and payments unknown',
  async (t) => {
    let status = 'COMPLETED';
    let refunds: object[] = [];
    let failing: { status: number; body: unknown } | null = null;
    await using api = await startApi(({ path }) => {
      if (failing && path.includes('/charge')) return failing;
      if (path.includes('/refund')) {
        const skip = Number(new URL(path, 'http://x').searchParams.get('skip'));
        const page = refunds.slice(skip, skip + 2);
        return { body: { refunds: page, pageInfo: { hasNextPage: skip + 2 < refunds.length } } };
      }
      if (path.endsWith('/transaction/E1')) {
        return { body: { transaction: { endToEndId: 'E1', charge: { correlationID } } } };
      }
      if (path.endsWith('/transaction/E2')) return { body: { transaction: { endToEndId: 'E2' } } };
      if (path.includes('/transaction')) return { status: 400, body: { error: 'not exists' } };
      const paidAt = status === 'COMPLETED' ? { paidAt: '2023-11-28T11:30:39.933Z' } : {};
      return { body: { charge: { ...chargeSample, status, ...paidAt } } };
    });
    const ask = () => api.gateway.getCharge(correlationID);
    t.match(await ask(), { status: 'paid', refundedCents: 0, paidAt: '2023-11-28T11:30:39.933Z' });
    const at = (value: number, how = 'CONFIRMED') => ({ status: how, value, correlationID: 'r' });
    refunds = [at(1990, 'IN_PROCESSING'), at(1990, 'REJECTED')];
    t.match(await ask(), { status: 'paid', refundedCents: 0 }, 'not yet, and never');
    refunds = [at(5), at(1990, 'REJECTED'), at(5)];
    t.match(await ask(), { status: 'partially_refunded', refundedCents: 10 }, 'every page');
    refunds = [at(990), at(1000)];
    t.match(await ask(), { status: 'refunded', refundedCents: 1990 });
    for (const [word, known] of [
      ['ACTIVE', 'pending'],
      ['EXPIRED', 'expired'],
      ['ON_HOLD', 'unknown'],
      ['toString', 'unknown'],
    ] as const) {
      status = word;
      t.match(await ask(), { status: known, statusAtGateway: word, refundedCents: 0 });
    }
    failing = { status: 400, body: { error: 'Cobrança não encontrada' } };
    t.equal(await ask(), null);
    for (const code of [401, 403, 429, 500]) {
      failing = { status: code, body: { error: 'appID inválido' } };
      await t.rejects(ask(), GatewayError, `${code} says nothing about the charge`);
    }
    t.equal(await api.gateway.chargeIdOf?.('E1'), correlationID);
    t.equal(await api.gateway.chargeIdOf?.('E2'), null, 'no charge');
    t.equal(await api.gateway.chargeIdOf?.('E3/../x'), null, "somebody else's");
    t.match(api.calls.at(-1), { path: '/api/v1/transaction/E3%2F..%2Fx' });
  },
);

await t.test('refunds: the same while one is under way, another once it arrived', async (t) => {
  const refunds: { status: string; value: number }[] = [];
  await using api = await startApi(({ method, path }) => {
    if (method === 'POST') return { body: { refund: { status: 'IN_PROCESSING', value: 500 } } };
    if (path.includes('/refund')) return { body: { refunds } };
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
