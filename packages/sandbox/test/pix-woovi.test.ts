/**
 * Goal: the stand-in of Woovi is as strict as its documentation: AppID without Bearer, its shapes,
 * its errors, refunds by its own idempotency key, and webhooks that its published key proves.
 * Method: real HTTP, a receiver that verifies each message, a restart with a journal.
 */
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { SandboxWorld } from '../src/index.ts';
import { readBrCode } from '../src/pix/br-code.ts';
import { call, eventually, start, world } from './start.ts';

const correlationID = 'c782e0ac-833d-4a89-9e73-9b60b2b41d3a';

const worldWith = (webhookUrl?: string): SandboxWorld => ({
  ...world,
  pixAccounts: [
    ...world.pixAccounts,
    { kind: 'woovi', apiKey: 'app-one', name: 'Loja W', ...(webhookUrl ? { webhookUrl } : {}) },
    { kind: 'woovi', apiKey: 'app-two' },
  ],
});

type Told = Record<string, unknown>;

function client(sandboxUrl: string, appId = 'app-one') {
  const url = `${sandboxUrl}/woovi/api/v1`;
  const init = { headers: { authorization: appId } };
  return {
    create: (changes: object = {}, query = '') => {
      const order = { correlationID, value: 1990, comment: 'E-book', expiresIn: 600, ...changes };
      return call<Told>(`${url}/charge${query}`, order, init);
    },
    get: (path: string) => call<Told>(`${url}${path}`, undefined, init),
    refund: (id: string, body: object) => call<Told>(`${url}/charge/${id}/refund`, body, init),
    act: async (action: string, body: object = {}) => {
      const control = `${sandboxUrl}/control/pix/charges`;
      const found = await call<{ charge_id: string }[]>(
        `${control}?external_reference=${correlationID}`,
      );
      return call(`${control}/${found.body[0]?.charge_id}/${action}`, body);
    },
  };
}

/** A shop that checks each message with the published keys. */
async function startReceiver() {
  const received: { body: Told; text: string; signature: string }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const signature = String(request.headers['x-webhook-signature']);
      received.push({ body: JSON.parse(text) as Told, text, signature });
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/webhooks/woovi`,
    received,
    events: () => received.map(({ body }) => String(body['event'])),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

await t.test('a charge: its shape, its id, once', async (t) => {
  await using sandbox = await start({ world: worldWith() });
  const api = client(sandbox.url);
  const created = await api.create();
  t.equal(created.status, 200);
  const { charge, brCode } = created.body as { charge: Told; brCode: string };
  t.match(charge, {
    customer: null,
    value: 1990,
    correlationID,
    identifier: /^[0-9a-f]{32}$/,
    transactionID: charge['identifier'],
    status: 'ACTIVE',
    type: 'DYNAMIC',
    expiresIn: 600,
    brCode,
  });
  t.match(created.body, { correlationID });
  t.match(readBrCode(brCode), { ok: true, code: { amountCents: 1990, payeeName: 'Loja W' } });
  t.equal((await api.create()).status, 400, 'not twice');
  t.match((await api.create({ value: 5 }, '?return_existing=true')).body, { charge });
  t.match((await api.get(`/charge/${correlationID}`)).body, { charge });
  t.match((await api.get(`/charge/${charge['identifier'] as string}`)).body, { charge });

  for (const changes of [
    { value: 19.9 },
    { value: '1990' },
    { value: 0 },
    { correlationID: '' },
    { comment: 'x'.repeat(141) },
  ]) {
    const { status, body } = await api.create({ correlationID: 'another', ...changes });
    t.match({ status, body }, { status: 400, body: { error: String } });
  }
  t.match(await api.get('/charge/none'), { status: 400, body: { error: String } });
  const denied = { status: 401, body: { error: 'appID inválido' } };
  t.match(await client(sandbox.url, 'Bearer app-one').create(), denied);
  t.match(await client(sandbox.url, 'key-one').create(), denied, "the generic gateway's key");
  t.equal((await client(sandbox.url, 'app-two').get(`/charge/${correlationID}`)).status, 400);
  t.equal((await client(sandbox.url, 'app-two').create()).status, 200, 'ids are per account');
});

await t.test('paid, refunded in parts, found by the payment', async (t) => {
  await using sandbox = await start({ world: worldWith() });
  const api = client(sandbox.url);
  await api.create();
  const path = `/charge/${correlationID}`;
  t.equal((await api.refund(correlationID, { correlationID: 'r', value: 1 })).status, 400);
  await api.act('pay');
  t.match((await api.get(path)).body, { charge: { status: 'COMPLETED', paidAt: String } });
  t.match((await api.get(`${path}/refund`)).body, { refunds: [] });
  const first = { correlationID: 'r-1', value: 990, comment: 'Reembolso' };
  const made = { status: 'IN_PROCESSING', value: 990, correlationID: 'r-1' };
  t.match((await api.refund(correlationID, first)).body, { refund: made });
  t.match((await api.refund(correlationID, first)).body, { refund: { status: 'CONFIRMED' } });
  t.match((await api.get(`${path}/refund`)).body, {
    pageInfo: { totalCount: 1, hasNextPage: false },
    refunds: [{ ...made, status: 'CONFIRMED' }],
  });
  t.equal((await api.refund(correlationID, { correlationID: 'r-2', value: 1001 })).status, 400);
  t.equal((await api.refund(correlationID, { value: 1 })).status, 400, 'no key');
  t.match((await api.refund(correlationID, { correlationID: 'r-3' })).body, {
    refund: { value: 1000 },
  });
  t.match((await api.get(path)).body, { charge: { status: 'COMPLETED' } }, 'and stays so');
  t.match((await api.get(`${path}/refund?skip=0&limit=1`)).body, {
    pageInfo: { totalCount: 2, hasNextPage: true },
  });

  const { body } = await call<{ end_to_end_id: string }[]>(`${sandbox.url}/control/pix/charges`);
  const endToEndId = body[0]?.end_to_end_id ?? '';
  t.match((await api.get(`/transaction/${endToEndId}`)).body, {
    transaction: { value: 1990, endToEndId, charge: { correlationID } },
  });
  t.equal((await api.get('/transaction/E0')).status, 400);
  t.match((await api.get(`/transaction?charge=${correlationID}`)).body, {
    pageInfo: { totalCount: 1, hasNextPage: false },
    transactions: [{ type: 'PAYMENT', endToEndId, charge: { correlationID } }],
  });
  t.match((await api.get('/transaction')).body, { transactions: [{ endToEndId }] });
  t.match(await api.get('/transaction?charge=none'), { status: 400, body: { error: String } });
  const foreign = client(sandbox.url, 'app-two');
  t.equal((await foreign.get(`/transaction?charge=${correlationID}`)).status, 400);
  t.same((await foreign.get('/transaction')).body['transactions'], []);
  t.equal((await foreign.get(`/dispute/${endToEndId}`)).status, 400);
  t.match(await api.get(`/dispute/${endToEndId}`), { status: 400, body: { error: String } });
  t.equal((await client(sandbox.url, 'app-two').get(`/transaction/${endToEndId}`)).status, 400);
});

await t.test(
  'webhooks: two for a payment, proven by the published key, forged by none',
  async (t) => {
    await using shop = await startReceiver();
    await using sandbox = await start({ world: worldWith(shop.url) });
    const api = client(sandbox.url);
    const keysUrl = `${sandbox.url}/woovi/api/v1/webhook/public-keys`;
    const keys = await call<{ public_keys: { key: string; is_current: boolean }[] }>(keysUrl);
    t.equal(keys.headers.get('cache-control'), 'public, max-age=3600');
    const [current] = keys.body.public_keys;
    t.match(current, { is_current: true, key_identifier: /^[0-9a-f]{64}$/ });
    const key = createPublicKey(current?.key ?? '');
    const isProven = ({ text, signature }: { text: string; signature: string }) =>
      verify('RSA-SHA256', Buffer.from(text), key, Buffer.from(signature, 'base64'));
    const arrives = (count: number) =>
      eventually(
        () => shop.received.length,
        (length) => length >= count,
      );

    await api.create();
    await arrives(1);
    await api.act('forge');
    await arrives(3);
    t.same(shop.received.map(isProven), [true, false, false]);
    await api.act('pay');
    await arrives(5);
    const paid = ['OPENPIX:CHARGE_COMPLETED', 'OPENPIX:TRANSACTION_RECEIVED'];
    t.same(shop.events().slice(3).toSorted(), paid);
    t.match(shop.received[3]?.body, {
      charge: { correlationID, status: 'COMPLETED', value: 1990 },
      pix: { value: 1990, endToEndId: /^E\w{31}$/, payer: { name: String } },
      company: {},
      account: {},
    });
    const { pix } = (shop.received[3]?.body ?? {}) as { pix?: { endToEndId: string } };
    const endToEndId = pix?.endToEndId;

    await api.act('refund', { amount_cents: 990 });
    await arrives(6);
    t.match(shop.received[5]?.body, {
      event: 'PIX_TRANSACTION_REFUND_SENT_CONFIRMED',
      refundTransaction: { value: 990, status: 'CONFIRMED', partial: true },
      originalTransaction: { endToEndId },
    });
    t.notOk(shop.received[5]?.text.includes(correlationID), 'it names only the payment');
    await api.act('dispute');
    await arrives(7);
    await api.act('settle', { won: true });
    await arrives(8);
    await api.act('dispute');
    await arrives(9);
    await api.act('settle', { won: false });
    await arrives(10);
    const words = ['CREATED', 'REJECTED', 'CREATED', 'ACCEPTED'];
    t.same(
      shop.events().slice(6),
      words.map((word) => `OPENPIX:DISPUTE_${word}`),
    );
    t.match(shop.received[6]?.body, { dispute: { status: 'OPENED', endToEndId, value: 1990 } });
    t.ok(shop.received.slice(3).every(isProven));
  },
);

await t.test('a dispute is asked for by the payment, and the charge stays COMPLETED', async (t) => {
  await using sandbox = await start({ world: worldWith() });
  const api = client(sandbox.url);
  await api.create();
  await api.act('pay');
  const { body } = await call<{ end_to_end_id: string }[]>(`${sandbox.url}/control/pix/charges`);
  const endToEndId = body[0]?.end_to_end_id ?? '';
  for (const [action, wish, status] of [
    ['dispute', {}, 'OPENED'],
    ['settle', { won: true }, 'REJECTED'],
    ['dispute', {}, 'OPENED'],
    ['settle', { won: false }, 'ACCEPTED'],
  ] as const) {
    await api.act(action, wish);
    t.match((await api.get(`/dispute/${endToEndId}`)).body, {
      dispute: { status, endToEndId, type: 'CHARGEBACK', value: 1990 },
    });
    t.match((await api.get(`/charge/${correlationID}`)).body, { charge: { status: 'COMPLETED' } });
  }
});

await t.test('a restart: charges, refunds and webhooks that wait are still there', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-woovi-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  await using shop = await startReceiver();
  const options = { world: worldWith(shop.url), journalFile: join(folder, 'sandbox.ndjson') };
  {
    await using sandbox = await start(options);
    const rules = [{ api: 'pixWebhooks', action: { lateMs: 2_000 } }];
    await call(`${sandbox.url}/control/faults`, { rules }, { method: 'PUT' });
    await client(sandbox.url).create();
    await client(sandbox.url).act('pay');
    await client(sandbox.url).refund(correlationID, { correlationID: 'r-1', value: 990 });
  }
  await using sandbox = await start(options);
  const api = client(sandbox.url);
  t.match((await api.get(`/charge/${correlationID}`)).body, { charge: { status: 'COMPLETED' } });
  t.match((await api.get(`/charge/${correlationID}/refund`)).body, {
    refunds: [{ correlationID: 'r-1', value: 990 }],
  });
  t.equal((await api.create()).status, 400, 'the id is taken');
  // What was under way as the first one ended is told again.
  const texts = () => new Set(shop.received.map(({ text }) => text));
  const told = await eventually(texts, ({ size }) => size === 4);
  t.equal(told.size, 4);
});

await t.test('faults, in its own shape', async (t) => {
  await using sandbox = await start({ world: worldWith() });
  const match = { method: 'GET', path: '/woovi/api/v1/webhook/public-keys' };
  const rules = [{ api: 'pix', match, action: { status: 503 } }];
  await call(`${sandbox.url}/control/faults`, { rules }, { method: 'PUT' });
  const keys = await call(`${sandbox.url}${match.path}`);
  t.match({ status: keys.status, body: keys.body }, { status: 503, body: { error: String } });
  t.equal((await client(sandbox.url).create()).status, 200);
  const broken = await fetch(`${sandbox.url}/woovi/api/v1/charge`, {
    method: 'POST',
    headers: { authorization: 'app-one', 'content-type': 'application/json' },
    body: '{',
  });
  t.equal(broken.status, 400);
  t.match(await broken.json(), { error: String });
});
