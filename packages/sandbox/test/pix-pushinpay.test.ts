/**
 * Goal: PushinPay's stand-in is what its documentation says: shapes, refusals, a charge each time it
 * is asked, webhooks as JSON or as a form with a static header.
 * Method: real HTTP, with a receiver of its webhooks.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readBrCode } from '../src/pix/br-code.ts';
import { call, eventually, start, world } from './start.ts';
import { receiveWebhooks } from './webhook-receiver.ts';

const accounts = [
  { kind: 'pushinpay', apiKey: '1|one', webhookSecret: 'token-one', name: 'Loja' },
  { kind: 'pushinpay', apiKey: '2|two', webhookSecret: 'token-two' },
] as const;
const own = { ...world, pixAccounts: [...world.pixAccounts, ...accounts] };

interface Transaction {
  id: string;
  qr_code: string;
  status: string;
  value: number;
  webhook_url: string | null;
  end_to_end_id: string | null;
  payer_name: string | null;
  message?: string;
}

function client(url: string, key = '1|one', accept = 'application/json') {
  const headers = { authorization: `Bearer ${key}`, accept };
  return {
    create: (body: unknown) => call<Transaction>(`${url}/pushinpay/pix/cashIn`, body, { headers }),
    get: (id: string) =>
      call<Transaction>(`${url}/pushinpay/transactions/${id}`, undefined, { headers }),
    act: (id: string, action: string, body: object = {}) =>
      call(`${url}/control/pix/charges/${id}/${action}`, body),
  };
}

await t.test('a charge: made each time it is asked for, found in either case', async (t) => {
  await using sandbox = await start({ world: own });
  const api = client(sandbox.url);
  const order = { value: 1990, webhook_url: 'https://pay.test/webhooks/p?payment=pay-1' };
  const created = await api.create(order);
  t.equal(created.status, 200);
  const { id, qr_code: code } = created.body;
  t.match(created.body, { status: 'created', value: 1990, webhook_url: order.webhook_url });
  t.match(created.body, { end_to_end_id: null, payer_name: null, split_rules: [], webhook: null });
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/);
  t.match(readBrCode(code), { ok: true, code: { amountCents: 1990, payeeName: 'Loja' } });
  t.not((await api.create(order)).body.id, id, 'it knows no key');
  t.same((await api.get(id.toUpperCase())).body, created.body);
  const listed = await call<unknown[]>(
    `${sandbox.url}/control/pix/charges?external_reference=pay-1`,
  );
  t.equal(listed.body.length, 2);
});

await t.test('what it refuses, in its own words', async (t) => {
  await using sandbox = await start({ world: own });
  const api = client(sandbox.url);
  const tooLittle = 'O campo value deve ser no mínimo 50.';
  t.match(await api.create({ value: 49 }), {
    status: 422,
    body: { message: tooLittle, errors: { value: [tooLittle] } },
  });
  for (const body of [{}, { value: 19.9 }, { value: '1990' }, { value: null }]) {
    t.equal((await api.create(body)).status, 422);
  }
  t.equal((await api.create({ value: 50, webhook_url: 'nowhere' })).status, 422);
  t.equal((await api.create({ value: 50, split_rules: {} })).status, 422);
  t.equal((await client(sandbox.url, 'nope').create({ value: 50 })).status, 401);
  t.equal((await client(sandbox.url, 'key-one').create({ value: 50 })).status, 401, 'of others');
  t.equal((await client(sandbox.url, '1|one', 'text/html').create({ value: 50 })).status, 406);
  const { body } = await api.create({ value: 50 });
  t.equal((await client(sandbox.url, '2|two').get(body.id)).status, 404, "another's charge");
  t.equal((await api.get('nope')).status, 404);
  const rules = [{ api: 'pix', match: { path: '/transactions/' }, action: { status: 429 } }];
  await call(`${sandbox.url}/control/faults`, { rules }, { method: 'PUT' });
  t.equal((await api.get(body.id)).status, 429);
});

await t.test('webhooks: the transaction itself, ids in upper case, a static header', async (t) => {
  await using sandbox = await start({ world: own });
  await using shop = await receiveWebhooks();
  const { received } = shop;
  const api = client(sandbox.url);
  const webhookUrl = `${shop.url}?payment=pay-1`;
  const { id } = (await api.create({ value: 1990, webhook_url: webhookUrl })).body;
  const next = async (count: number) => {
    await eventually(
      () => received.length,
      (length) => length >= count,
    );
    t.equal(received.length, count);
    return received.at(-1);
  };
  await api.act(id, 'forge');
  const forged = await next(1);
  t.not(forged?.headers['x-pushinpay-token'], 'token-one');
  t.match(JSON.parse(forged?.body ?? ''), { status: 'paid' });
  await api.act(id, 'pay');
  const paid = await next(2);
  t.equal(paid?.url, '/webhooks/shop?payment=pay-1');
  t.equal(paid?.headers['x-pushinpay-token'], 'token-one');
  t.equal(paid?.headers['content-type'], 'application/json');
  t.match(JSON.parse(paid?.body ?? ''), {
    id: id.toUpperCase(),
    status: 'paid',
    webhook_url: webhookUrl,
    end_to_end_id: /^E\w{31}$/,
    payer_name: 'João Silva',
  });
  t.match((await api.get(id)).body, { status: 'paid', payer_name: 'João Silva' });
  // A dispute, and a part that goes back, change no word of its API, and nothing is sent.
  await api.act(id, 'dispute');
  t.equal((await api.get(id)).body.status, 'paid');
  await api.act(id, 'settle', { won: true });
  await api.act(id, 'refund', { amount_cents: 500 });
  t.equal((await api.get(id)).body.status, 'paid');
  await api.act(id, 'refund');
  const refunded = await next(3);
  t.equal(refunded?.headers['content-type'], 'application/x-www-form-urlencoded');
  const form = new URLSearchParams(refunded?.body);
  t.equal(form.get('id'), id.toUpperCase());
  t.equal(form.get('status'), 'refunded');
  t.equal(form.get('value'), '1990');
  t.equal((await api.get(id)).body.status, 'refunded');

  const silent = (await api.create({ value: 50 })).body;
  t.equal(silent.webhook_url, null);
  await api.act(silent.id, 'pay');
  const late = (await api.create({ value: 50, webhook_url: shop.url })).body;
  await api.act(late.id, 'expire');
  t.match(JSON.parse((await next(4))?.body ?? ''), { status: 'expired' });
});

await t.test('a restart forgets nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pushinpay-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const journalFile = join(folder, 'journal.ndjson');
  await using shop = await receiveWebhooks();
  const id = await (async () => {
    await using sandbox = await start({ world: own, journalFile });
    const api = client(sandbox.url);
    return (await api.create({ value: 1990, webhook_url: shop.url })).body.id;
  })();
  await using sandbox = await start({ world: own, journalFile });
  const api = client(sandbox.url);
  t.match((await api.get(id)).body, { status: 'created', value: 1990 });
  await api.act(id, 'pay');
  await eventually(
    () => shop.received.length,
    (count) => count === 1,
  );
  t.equal(shop.received[0]?.headers['x-pushinpay-token'], 'token-one');
});
