/**
 * Goal: the stand-in is Mercado Pago as documented: it refuses what the real one refuses, in its
 * shapes, tells a payment in its words, and signs its webhooks as it does.
 * Method: real HTTP, and a receiver that checks signatures by the documented manifest.
 */
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readBrCode } from '../src/pix/br-code.ts';
import { call, eventually, start, world as usual } from './start.ts';

const secret = 'mp-secret';
const token = 'APP_USR-one';
const world = {
  ...usual,
  pixAccounts: [
    ...usual.pixAccounts,
    { kind: 'mercadopago' as const, apiKey: token, webhookSecret: secret, name: 'Loja São João' },
    { kind: 'mercadopago' as const, apiKey: 'TEST-two', webhookSecret: 'other' },
  ],
};

interface Received {
  readonly url: URL;
  readonly body: { action: string; data: { id: string }; id: number };
  readonly ts: string;
  readonly isSigned: boolean;
}

/** A shop's endpoint. */
async function startReceiver() {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://shop.test');
      const signature = String(request.headers['x-signature']);
      const [, ts = '', v1 = ''] = /^ts=(\d+),v1=(\w{64})$/.exec(signature) ?? [];
      const requestId = String(request.headers['x-request-id']);
      const id = url.searchParams.get('data.id');
      const manifest = `id:${id};request-id:${requestId};ts:${ts};`;
      const expected = createHmac('sha256', secret).update(manifest).digest('hex');
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Received['body'];
      received.push({ url, body, ts, isSigned: v1 === expected });
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/webhooks/t1?source_news=webhooks`,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Payment {
  id: number;
  status: string;
  status_detail: string;
  transaction_amount_refunded: number;
  collector_id: number;
  live_mode: boolean;
  point_of_interaction: { transaction_data: { qr_code: string; e2e_id: string | null } };
}

/** In so many minutes, as its format has it. */
const dateIn = (minutes: number): string =>
  new Date(Date.now() + (minutes - 180) * 60_000).toISOString().replace('Z', '-03:00');

function client(sandboxUrl: string, callbackUrl: string, accessToken = token) {
  const order = {
    transaction_amount: 42.4,
    description: 'Plano VIP',
    payment_method_id: 'pix',
    external_reference: 'chg_01',
    notification_url: callbackUrl,
    date_of_expiration: dateIn(60),
    payer: { email: 'cliente@example.com' },
  };
  const payments = `${sandboxUrl}/mercadopago/v1/payments`;
  const authorization = `Bearer ${accessToken}`;
  const withKey = (key: string | undefined) => ({
    headers: { authorization, ...(key === undefined ? {} : { 'x-idempotency-key': key }) },
  });
  return {
    create: (key?: string, change: object = {}) =>
      call<Payment>(payments, { ...order, ...change }, withKey(key)),
    get: (id: number) => call<Payment>(`${payments}/${id}`, undefined, withKey(undefined)),
    refund: (id: number, amount?: number, key?: string) =>
      call<{ amount: number }>(`${payments}/${id}/refunds`, { amount }, withKey(key)),
    act: (id: number, action: string, body: object = {}) =>
      call(`${sandboxUrl}/control/pix/charges/${id}/${action}`, body),
  };
}

await t.test('a payment in its own words, from its making to the end of a dispute', async (t) => {
  await using sandbox = await start({ world });
  await using shop = await startReceiver();
  const api = client(sandbox.url, shop.url);
  const created = await api.create('key-1');
  t.equal(created.status, 201);
  t.match(created.body, {
    id: Number,
    status: 'pending',
    status_detail: 'pending_waiting_transfer',
    transaction_amount: 42.4,
    transaction_amount_refunded: 0,
    currency_id: 'BRL',
    external_reference: 'chg_01',
    payment_method_id: 'pix',
    payment_type_id: 'bank_transfer',
    live_mode: true,
    collector_id: Number,
    date_created: /\.000-04:00$/,
    date_approved: null,
    date_of_expiration: /\.000-04:00$/,
    point_of_interaction: { type: 'PIX', transaction_data: { qr_code: /^000201/ } },
  });
  const { id, point_of_interaction: point } = created.body;
  t.match(readBrCode(point.transaction_data.qr_code), { ok: true, code: { amountCents: 4240 } });
  const again = await api.create('key-1', {
    transaction_amount: 1,
    date_of_expiration: dateIn(90),
  });
  t.match(again, { status: 200, body: { id, transaction_amount: 42.4 } }, 'the first of its key');

  const told = async () => {
    const { body } = await api.get(id);
    return `${body.status}/${body.status_detail} ${body.transaction_amount_refunded}`;
  };
  await api.act(id, 'pay');
  t.equal(await told(), 'approved/accredited 0');
  t.match((await api.get(id)).body.point_of_interaction.transaction_data.e2e_id, /^E\w{31}$/);
  t.match(await api.refund(id, 2.4, 'r1'), { status: 201, body: { amount: 2.4 } });
  t.equal(await told(), 'approved/partially_refunded 2.4');
  t.match(await api.refund(id, 2.4, 'r1'), { status: 200, body: '' }, 'a key counts once');
  t.equal(await told(), 'approved/partially_refunded 2.4');
  await api.act(id, 'dispute');
  t.equal(await told(), 'in_mediation/pending 2.4');
  await api.act(id, 'settle', { won: true });
  t.equal(await told(), 'approved/partially_refunded 2.4');
  await api.act(id, 'dispute');
  await api.act(id, 'settle', { won: false });
  t.equal(await told(), 'charged_back/settled 2.4');

  const { id: second } = (await api.create('key-2')).body;
  t.not(second, id);
  await api.act(second, 'expire');
  t.match((await api.get(second)).body, { status: 'cancelled', status_detail: 'expired' });
  const { id: third } = (await api.create('key-3')).body;
  await api.act(third, 'pay');
  t.match(await api.refund(third, undefined, 'r3'), { status: 201, body: { amount: 42.4 } });
  t.match((await api.get(third)).body, { status: 'refunded', transaction_amount_refunded: 42.4 });
});

await t.test('what the real one refuses, with its codes', async (t) => {
  await using sandbox = await start({ world });
  await using shop = await startReceiver();
  const api = client(sandbox.url, shop.url);
  const refused = async (change: object, code: number) => {
    const { status, body } = await api.create(`key-${code}`, change);
    t.match({ status, body }, { status: 400, body: { error: 'bad_request', cause: [{ code }] } });
  };
  await refused({ transaction_amount: undefined }, 4002);
  await refused({ transaction_amount: '42.40' }, 4003);
  for (const amount of [0, -1, 42.405, 1e21]) await refused({ transaction_amount: amount }, 4037);
  await refused({ payment_method_id: undefined }, 4001);
  await refused({ payment_method_id: 'visa' }, 2006);
  await refused({ payer: undefined }, 4050);
  for (const email of ['x', 'a@localhost', 'a@loja.test'])
    await refused({ payer: { email } }, 4050);
  await refused({ external_reference: 'x'.repeat(65) }, 4018);
  for (const url of ['pay.example', 'ftp://x.example', 5]) {
    await refused({ notification_url: url }, 4020);
  }
  const iso = new Date(Date.now() + 3_600_000).toISOString();
  for (const date of [iso, 'tomorrow', dateIn(29), dateIn(31 * 24 * 60), 5]) {
    await refused({ date_of_expiration: date }, 23);
  }
  t.match(await api.create(), {
    status: 400,
    body: { message: "Header X-Idempotency-Key can't be null", cause: [{ code: 4292 }] },
  });
  t.match(await client(sandbox.url, shop.url, 'nope').create('k'), {
    status: 401,
    body: { message: 'invalid access token', error: 'unauthorized', status: 401, cause: [] },
  });
  t.equal((await client(sandbox.url, shop.url, 'key-one').create('k')).status, 401, 'other kinds');

  const { id, collector_id: collector } = (await api.create('key')).body;
  const other = client(sandbox.url, shop.url, 'TEST-two');
  t.match(await other.get(id), { status: 404, body: { cause: [{ code: 2000 }] } }, "another's");
  t.match(await api.get(1), { status: 404, body: { message: 'Payment not found' } });
  const test = (await other.create('key')).body;
  t.equal(test.live_mode, false, 'test credentials');
  t.not(test.collector_id, collector);
  t.match(await api.refund(id, 1, 'r'), { status: 400, body: { cause: [{ code: 2063 }] } });
  await api.act(id, 'pay');
  t.match(await api.refund(id, 1), { status: 400, body: { cause: [{ code: 4292 }] } });
  t.match(await api.refund(id, 42.41, 'r'), { status: 400, body: { cause: [{ code: 2017 }] } });
  t.match(await api.refund(id, 0, 'r'), { status: 400, body: { cause: [{ code: 2017 }] } });
  t.match(await other.refund(id, 1, 'r'), { status: 404 });
  const rules = [{ api: 'pix', action: { status: 500 } }];
  await call(`${sandbox.url}/control/faults`, { rules }, { method: 'PUT' });
  t.match(await api.get(id), { status: 500, body: { error: 'internal_error', status: 500 } });
});

await t.test('webhooks: thin, signed over the id of the query, in seconds and in ms', async (t) => {
  await using sandbox = await start({ world });
  await using shop = await startReceiver();
  const api = client(sandbox.url, shop.url);
  const ids: number[] = [];
  for (let made = 0; made < 40; made += 1) ids.push((await api.create(`key-${made}`)).body.id);
  await eventually(
    () => shop.received.length,
    (count) => count === 40,
  );
  t.ok(shop.received.every(({ isSigned }) => isSigned));
  const digits = new Set(shop.received.map(({ ts }) => ts.length));
  // Either, by chance: one alone would come in one run of 2^39.
  t.ok(digits.has(10) && digits.has(13) && digits.size === 2, [...digits].join());
  t.match(shop.received[0]?.body, {
    action: 'payment.created',
    type: 'payment',
    api_version: 'v1',
  });

  const [id = 0] = ids;
  await api.act(id, 'forge');
  await api.act(id, 'pay');
  const [forged, paid] = await eventually(
    () => shop.received.slice(40),
    (list) => list.length === 2,
  ).then((list) => list.toSorted((one, other) => Number(one.isSigned) - Number(other.isSigned)));
  t.match(forged, { isSigned: false, body: { action: 'payment.updated' } });
  t.match(paid, { isSigned: true, body: { action: 'payment.updated', data: { id: String(id) } } });
  const told = Object.keys(paid?.body ?? {}).toSorted((one, other) => one.localeCompare(other));
  const thin = 'action,api_version,data,date_created,id,live_mode,type,user_id';
  t.equal(told.join(), thin, 'neither amount nor status');
  const query = Object.fromEntries(paid?.url.searchParams ?? []);
  t.same(query, { source_news: 'webhooks', 'data.id': String(id), type: 'payment' });
});

await t.test('a restart keeps payments and keys', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pix-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const options = { world, journalFile: join(folder, 'journal.ndjson') };
  await using shop = await startReceiver();
  const first = await start(options);
  const { id } = (await client(first.url, shop.url).create('key')).body;
  await first[Symbol.asyncDispose]();
  await using second = await start(options);
  const api = client(second.url, shop.url);
  t.match((await api.get(id)).body, { id, status: 'pending' });
  t.match(await api.create('key'), { status: 200, body: { id } });
  await api.act(id, 'pay');
  t.match((await api.get(id)).body, { status: 'approved' });
});
