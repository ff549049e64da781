/**
 * Goal: AbacatePay's stand-in is what its documentation says: envelopes, strict bodies, one charge an
 * external id, refunds as a whole, webhooks with a secret and a checksum that everybody can make.
 * Method: real HTTP, with a receiver of its webhooks.
 */
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readBrCode } from '../src/pix/br-code.ts';
import { call, eventually, start, world } from './start.ts';
import { type ReceivedWebhook, receiveWebhooks } from './webhook-receiver.ts';

/** As the documentation prints it. */
const publicKey =
  't9dXRhHHo3yDEj5pVDYz0frf7q6bMKyMRmxxCPIPp3RCplBfXRxqlC6ZpiWmOqj4L63qEaeUOtrCI8P0VMUgo6iIga2ri9ogaHFs0WIIywSMg0q7RmBfybe1E5XJcfC4IW3alNqym0tXoAKkzvfEjZxV6bE0oG2zJrNNYmUCKZyV0KZ3JS8Votf9EAWWYdiDkMkpbMdPggfh1EqHlVkMiTady6jOR3hyzGEHrIz2Ret0xHKMbiqkr9HS1JhNHDX9';
const webhookSecret = 'thirty-two-characters-at-the-least';
const worldWith = (webhookUrl?: string) => {
  const kind = 'abacatepay' as const;
  const panel = webhookUrl === undefined ? {} : { webhookUrl };
  const accounts = [
    { kind, apiKey: 'abc-one', webhookSecret, name: 'Loja', ...panel },
    { kind, apiKey: 'abc-two', webhookSecret },
  ];
  return { ...world, pixAccounts: [...world.pixAccounts, ...accounts] };
};

interface Envelope<T> {
  data: T;
  success: boolean;
  error: string | null;
}
interface Charge {
  id: string;
  amount: number;
  status: string;
  brCode: string;
  externalId?: string;
}

function client(url: string, key = 'abc-one') {
  const headers = { authorization: `Bearer ${key}` };
  const base = `${url}/abacatepay/v2/transparents`;
  const order = { amount: 1990, expiresIn: 600, externalId: 'pay-1', metadata: { a: 1 } };
  return {
    create: (changes: object = {}, root: object = {}) =>
      call<Envelope<Charge>>(
        `${base}/create`,
        { method: 'PIX', data: { ...order, ...changes }, ...root },
        { headers },
      ),
    list: (query: string) =>
      call<Envelope<Charge[]> & { pagination: { hasMore: boolean; next: string | null } }>(
        `${base}/list?${query}`,
        undefined,
        { headers },
      ),
    check: (id: string) => call<Envelope<Charge>>(`${base}/check?id=${id}`, undefined, { headers }),
    refund: (body: unknown) => call<Envelope<{ id: string }>>(`${base}/refund`, body, { headers }),
    act: (id: string, action: string, body: object = {}) =>
      call(`${url}/control/pix/charges/${id}/${action}`, body),
  };
}

await t.test('a charge: one an external id, listed with its amount', async (t) => {
  await using sandbox = await start({ world: worldWith() });
  const api = client(sandbox.url);
  const created = await api.create();
  t.match(created, { status: 200, body: { success: true, error: null } });
  const { id, brCode } = created.body.data;
  t.match(created.body.data, { amount: 1990, status: 'PENDING', devMode: false });
  t.match(created.body.data, { metadata: { a: 1 }, expiresAt: /Z$/ });
  t.notOk(Object.hasOwn(created.body.data, 'externalId'), 'not in the documented answer');
  t.match(id, /^pix_char_/);
  t.match(readBrCode(brCode), { ok: true, code: { amountCents: 1990, payeeName: 'Loja' } });
  t.equal((await api.create()).body.data.id, id, 'the same id, the same charge');
  t.match(await api.create({ amount: 1 }), { status: 400, body: { success: false, data: null } });

  const two = (await api.create({ externalId: 'pay-2' })).body.data;
  const ids = async (query: string) => (await api.list(query)).body.data.map((one) => one.id);
  t.same(await ids(''), [two.id, id], 'newest first');
  t.same(await ids(`id=${id}&limit=1`), [id]);
  t.same(await ids('externalId=pay-2'), [two.id]);
  t.same(await ids('status=PAID'), []);
  const page = await api.list('limit=1');
  t.match(page.body.pagination, { hasMore: true, next: two.id });
  t.same(await ids(`limit=1&after=${two.id}`), [id]);
  t.same((await api.list(`id=${id}`)).body.data, [created.body.data]);
  t.same(Object.keys((await api.check(id)).body.data), ['id', 'status', 'expiresAt']);
  t.same((await client(sandbox.url, 'abc-two').list(`id=${id}`)).body.data, [], "another's");
  t.equal((await client(sandbox.url, 'abc-two').check(id)).status, 404);
});

await t.test('what it refuses, in its own words', async (t) => {
  await using sandbox = await start({ world: worldWith() });
  const api = client(sandbox.url);
  const unauthorized = { status: 401, body: { error: /^Token de autenticação/ } };
  t.match(await client(sandbox.url, 'nope').create(), unauthorized);
  t.match(await client(sandbox.url, 'key-one').create(), unauthorized, 'of another gateway');
  for (const changes of [
    { amount: 19.9 },
    { amount: '1990' },
    { amount: 0 },
    { brand_new: 1 },
    { description: 'x'.repeat(501) },
    { customer: { name: 'Daniel' } },
  ]) {
    const { status, body } = await api.create(changes);
    t.match({ status, body }, { status: 400, body: { success: false, data: null } });
    t.type(body.error, 'string');
  }
  t.equal((await api.create({}, { brand_new: 1 })).status, 400);
  t.equal((await api.create({}, { method: 'CASH' })).status, 400);
  t.equal((await api.list('limit=101')).status, 400);
  t.match((await api.refund({ id: 'nope' })).body, { error: 'TRANSACTION_NOT_FOUND' });
  t.equal((await api.refund({ id: 'nope', amount: 5 })).status, 400);
  const { id } = (await api.create()).body.data;
  t.match((await api.refund({ id })).body, { error: 'TRANSACTION_NOT_REFUNDABLE' });
  const rules = [{ api: 'pix', match: { method: 'GET' }, action: { status: 500 } }];
  await call(`${sandbox.url}/control/faults`, { rules }, { method: 'PUT' });
  t.match(await api.check(id), { status: 500, body: { success: false } });
});

const checksumOf = (body: string) => createHmac('sha256', publicKey).update(body).digest('base64');

await t.test('webhooks: proven by the secret, told by the event', async (t) => {
  await using shop = await receiveWebhooks();
  await using sandbox = await start({ world: worldWith(shop.url) });
  const { received } = shop;
  const api = client(sandbox.url);
  const next = async (count: number): Promise<ReceivedWebhook> => {
    await eventually(
      () => received.length,
      (length) => length >= count,
    );
    const last = received.at(-1);
    if (received.length !== count || !last) throw new Error(`${received.length} webhooks`);
    t.equal(last.headers['x-webhook-signature'], checksumOf(last.body), 'whoever sent it');
    return last;
  };
  const { id } = (await api.create()).body.data;
  await api.act(id, 'forge');
  t.not((await next(1)).headers['x-webhook-secret'], webhookSecret);
  await api.act(id, 'pay');
  const paid = await next(2);
  t.equal(paid.headers['x-webhook-secret'], webhookSecret);
  const charge = { id: id.replace('pix_char_', 'char_'), externalId: 'pay-1', amount: 1990 };
  const transparent = { ...charge, paidAmount: 1990, status: 'PAID', devMode: true };
  const event = { event: 'transparent.completed', apiVersion: 2, devMode: false };
  t.match(JSON.parse(paid.body), { id: /^log_/, ...event, data: { transparent } });
  await api.act(id, 'dispute');
  const disputed = JSON.parse((await next(3)).body) as unknown;
  t.match(disputed, { event: 'transparent.disputed', data: { transparent: { status: 'PAID' } } });
  t.equal((await api.check(id)).body.data.status, 'UNDER_DISPUTE');
  t.match((await api.refund({ id })).body, { error: 'TRANSACTION_UNDER_DISPUTE' });
  await api.act(id, 'settle', { won: true });
  t.equal((await api.check(id)).body.data.status, 'PAID', 'nothing is sent of it');
  const refund = await api.refund({ id, reason: 'Em duplicidade.' });
  t.match(refund.body, {
    data: { id: /^tran_/, status: 'COMPLETE', amount: 1990, originalId: id },
    success: true,
  });
  const refunded = JSON.parse((await next(4)).body) as unknown;
  t.match(refunded, { event: 'transparent.refunded', data: { transparent: { status: 'PAID' } } });
  t.match(await api.refund({ id }), {
    status: 400,
    body: { error: 'Esta cobrança já foi reembolsada.' },
  });
  const lost = (await api.create({ externalId: 'pay-2' })).body.data;
  await api.act(lost.id, 'pay');
  await api.act(lost.id, 'dispute');
  await next(6);
  await api.act(lost.id, 'settle', { won: false });
  t.match(JSON.parse((await next(7)).body), { event: 'transparent.lost' });
  const late = (await api.create({ externalId: 'pay-3' })).body.data;
  await api.act(late.id, 'expire');
  t.equal((await api.check(late.id)).body.data.status, 'EXPIRED');
  t.equal(received.length, 7, 'an expiry is not told');
});

await t.test('a restart forgets nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'abacatepay-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const journalFile = join(folder, 'journal.ndjson');
  await using shop = await receiveWebhooks();
  const options = { world: worldWith(shop.url), journalFile };
  const id = await (async () => {
    await using sandbox = await start(options);
    return (await client(sandbox.url).create()).body.data.id;
  })();
  await using sandbox = await start(options);
  const api = client(sandbox.url);
  t.equal((await api.create()).body.data.id, id);
  t.match((await api.list(`id=${id}`)).body.data, [{ status: 'PENDING', metadata: { a: 1 } }]);
  await api.act(id, 'pay');
  await eventually(
    () => shop.received.length,
    (count) => count === 1,
  );
  t.equal(shop.received[0]?.headers['x-webhook-secret'], webhookSecret);
});
