/**
 * Goal: the PIX stand-in is the generic gateway of the contract: codes that verify, charges made
 * once for a key, signed and retried webhooks, and the faults that real gateways commit.
 * Method: known codes, generated ones, then real HTTP with a receiver that verifies signatures.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import t from 'tap';
import { buildBrCode, crc16, readBrCode } from '../src/pix/br-code.ts';
import { call, eventually, start, world } from './start.ts';

const wooviCode =
  '00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-42665544000052040000530398654041.00' +
  '5802BR5915Call_me_Awesome6009Sao_Paulo622905259134e2866f71427abf001000063047029';

await t.test('BR Codes: known ones verify, changed ones do not', async (t) => {
  t.equal(crc16('123456789'), '29B1');
  t.match(readBrCode(wooviCode), { ok: true, code: { amountCents: 100, payeeCity: 'Sao_Paulo' } });
  t.match(readBrCode(`${wooviCode.slice(0, -1)}8`), { ok: false, problem: /CRC/ });
  const byPixUtils =
    '00020126580014br.gov.bcb.pix0136123e4567-e89b-12d3-a456-426655440000520400005303986540519.90' +
    '5802BR5910LOJA TESTE6009SAO PAULO62130509PEDIDO12363042D08';
  t.match(readBrCode(byPixUtils), { ok: true, code: { amountCents: 1990, txid: 'PEDIDO123' } });
  t.match(readBrCode('lorem ipsum'), { ok: false });
});

await t.test('BR Codes: what is built is read back; any changed sign is noticed', async () => {
  const amounts = fc.integer({ min: 1, max: 1_000_000_000 });
  fc.assert(
    fc.property(amounts, fc.string({ unit: 'grapheme' }), (amountCents, payeeName) => {
      const charge = { location: 'pix.test/qr/v2/1', amountCents, payeeName, payeeCity: 'X' };
      const reading = readBrCode(buildBrCode(charge));
      return reading.ok && reading.code.amountCents === amountCents;
    }),
  );
  fc.assert(
    fc.property(fc.nat(wooviCode.length - 1), fc.constantFrom('7', 'Z', ' '), (at, sign) => {
      const changed = wooviCode.slice(0, at) + sign + wooviCode.slice(at + 1);
      return changed === wooviCode || !readBrCode(changed).ok;
    }),
  );
});

interface Received {
  type: string;
  webhookId: string;
  verified: boolean;
  atMs: number;
}

/** A shop's endpoint; `answers` are given in order, then 200. */
async function startReceiver(answers: number[] = []) {
  const received: Received[] = [];
  const secret = world.pixAccounts[0]?.webhookSecret ?? '';
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      let verified = true;
      try {
        new Webhook(secret).verify(body, request.headers as Record<string, string>);
      } catch {
        verified = false;
      }
      const { type } = JSON.parse(body) as { type: string };
      const webhookId = String(request.headers['webhook-id']);
      received.push({ type, webhookId, verified, atMs: Date.now() });
      response.writeHead(answers.shift() ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/webhooks/pix`,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Charge {
  charge_id: string;
  status: string;
  pix_code: string;
  refunded_cents: number;
  end_to_end_id: string | null;
}

function client(sandboxUrl: string, callbackUrl: string, apiKey = 'key-one') {
  const order = {
    external_reference: 'ref-1',
    amount_cents: 1990,
    currency: 'BRL',
    description: 'E-book',
    expires_in_seconds: 600,
    callback_url: callbackUrl,
  };
  const headers = { authorization: `Bearer ${apiKey}` };
  return {
    create: (key: string, change: object = {}) =>
      call<Charge>(
        `${sandboxUrl}/charges`,
        { ...order, ...change },
        { headers: { ...headers, 'idempotency-key': key } },
      ),
    get: (id: string) => call<Charge>(`${sandboxUrl}/charges/${id}`, undefined, { headers }),
    refund: (id: string, cents?: number) =>
      call<Charge>(`${sandboxUrl}/charges/${id}/refund`, { amount_cents: cents }, { headers }),
    act: (id: string, action: string, body: object = {}) =>
      call<Charge>(`${sandboxUrl}/control/pix/charges/${id}/${action}`, body),
  };
}

await t.test('a charge: created once, paid once, refunded in parts, disputed', async (t) => {
  await using sandbox = await start();
  await using shop = await startReceiver([500]);
  const api = client(sandbox.url, shop.url);

  const created = await api.create('pay-1');
  t.equal(created.status, 201);
  const { charge_id: id, pix_code: code } = created.body;
  t.match(readBrCode(code), { ok: true, code: { amountCents: 1990, payeeName: 'Loja Sao Joao' } });
  t.ok(code.length <= 256, 'fits a copy button of Telegram');
  t.equal((await api.create('pay-1')).body.charge_id, id, 'the same key, the same charge');
  t.equal((await api.create('pay-1', { amount_cents: 1 })).status, 422, 'another body');
  t.equal((await api.create('', {})).status, 400, 'no key');
  t.equal((await api.create('pay-2', { currency: 'USD' })).status, 422);
  t.equal((await api.create('pay-3', { amount_cents: 19.9 })).status, 422);
  t.equal((await client(sandbox.url, shop.url, 'nope').create('x')).status, 401);
  t.equal((await client(sandbox.url, shop.url, 'key-two').get(id)).status, 404, "another's charge");

  const decoded = await call(`${sandbox.url}/control/pix/decode`, { code });
  t.match(decoded.body, { charge_id: id, payee: 'Loja São João', amount_cents: 1990 });

  t.match((await api.act(id, 'pay')).body, { status: 'paid', end_to_end_id: /^E\w{31}$/ });
  t.equal((await api.act(id, 'pay')).status, 409, 'not twice');
  t.match((await api.get(id)).body, { status: 'paid', refunded_cents: 0 });
  await eventually(
    () => shop.received.length,
    (count) => count === 2,
  );
  t.match(shop.received[0], { type: 'charge.paid', verified: true });
  t.equal(shop.received[1]?.webhookId, shop.received[0]?.webhookId, 'retried under its id');

  t.match((await api.refund(id, 990)).body, { status: 'partially_refunded', refunded_cents: 990 });
  t.equal((await api.refund(id, 1001)).status, 409, 'more than is left');
  t.match((await api.act(id, 'dispute')).body, { status: 'disputed' });
  t.match((await api.refund(id)).body, { status: 'refunded', refunded_cents: 1990 });
  const types = await eventually(
    () => shop.received.map((one) => one.type),
    (list) => list.length === 5,
  );
  t.same(types.slice(2).toSorted(), ['charge.disputed', 'charge.refunded', 'charge.refunded']);
});

await t.test('a charge expires by itself, and a bank may still pay it', async (t) => {
  await using sandbox = await start();
  await using shop = await startReceiver();
  const api = client(sandbox.url, shop.url);
  const { charge_id: id } = (await api.create('pay-1', { expires_in_seconds: 1 })).body;
  await eventually(
    () => shop.received.length,
    (count) => count === 1,
  );
  t.match(shop.received[0], { type: 'charge.expired', verified: true });
  t.equal((await api.act(id, 'pay')).status, 409);
  t.match((await api.act(id, 'pay', { force: true })).body, { status: 'paid' });
});

await t.test('webhooks go wrong in the ways that they do', async (t) => {
  await using sandbox = await start();
  const faults = `${sandbox.url}/control/faults`;
  const paidWith = async (action: object, receiver: Awaited<ReturnType<typeof startReceiver>>) => {
    const rules = [{ api: 'pixWebhooks', match: { method: 'charge.paid' }, times: 1, action }];
    await call(faults, { rules }, { method: 'PUT' });
    const api = client(sandbox.url, receiver.url);
    const key = JSON.stringify(action);
    const { charge_id: id } = (await api.create(key)).body;
    await api.act(id, 'pay');
    return { id, api };
  };
  {
    await using shop = await startReceiver();
    await paidWith({ duplicate: 2 }, shop);
    await eventually(
      () => shop.received.length,
      (count) => count === 3,
    );
    t.equal(new Set(shop.received.map((one) => one.webhookId)).size, 1, 'duplicates share the id');
  }
  {
    await using shop = await startReceiver([401]);
    await paidWith({ forge: true }, shop);
    await eventually(
      () => shop.received.length,
      (count) => count >= 1,
    );
    t.equal(shop.received[0]?.verified, false, 'forged');
  }
  {
    await using shop = await startReceiver();
    const startedMs = Date.now();
    await paidWith({ lateMs: 300 }, shop);
    await eventually(
      () => shop.received.length,
      (count) => count === 1,
    );
    t.ok((shop.received[0]?.atMs ?? 0) - startedMs >= 290, 'late');
  }
  {
    await using shop = await startReceiver();
    const { id, api } = await paidWith({ reorder: true }, shop);
    await api.act(id, 'refund');
    await eventually(
      () => shop.received.length,
      (count) => count === 2,
    );
    const order = shop.received.map((one) => one.type);
    t.same(order, ['charge.refunded', 'charge.paid'], 'reordered');
  }
  {
    await using shop = await startReceiver();
    const { id, api } = await paidWith({ lose: true }, shop);
    t.equal((await api.get(id)).body.status, 'paid');
    const { body } = await call<{ state: string }[]>(`${sandbox.url}/control/pix/webhooks`);
    t.equal(body[0]?.state, 'lost');
    t.equal(shop.received.length, 0, 'lost');
  }
});
