/**
 * Goal: Mercado Pago's webhooks lead to questions, whatever their signatures are worth; nothing
 * crashes the reading of them, and the payer is not kept.
 * Method: the documented sample and signature vector, each part of them spoilt; then mutated
 * bodies, headers and queries.
 */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { mock } from 'node:test';
import t from 'tap';
import { verifyWebhook } from '../../src/adapters/mercadopago-webhooks.ts';
import { readWebhook } from '../../src/adapters/mercadopago.ts';
import { withoutPayer } from '../../src/core/redaction.ts';
import type { WebhookDelivery, WebhookVerdict } from '../../src/core/gateway.ts';

const secret = 'test-secret';
const requestId = 'bb56a2f1-6aae-46ac-982e-9dcd3581d08e';
const vector = 'ts=1704908010,v1=836770f85a31cba847158857c687625d7d5bd268779abb39414d6abc6548b0b4';
const atMs = 1_704_908_010_000;
const sample =
  '{"id":112233445566,"live_mode":true,"type":"payment","date_created":"2026-05-25T13:01:08.000-03:00","application_id":1234567890,"user_id":987654321,"version":1,"api_version":"v1","action":"payment.updated","data":{"id":"456"}}';

mock.timers.enable({ apis: ['Date'], now: atMs });
t.teardown(() => mock.timers.reset());

function sign(manifest: string, ts: string | number): string {
  return `ts=${ts},v1=${createHmac('sha256', secret).update(manifest).digest('hex')}`;
}

/** The documented notification of payment 456, signed now. */
function delivery(changes: Partial<WebhookDelivery> & { text?: string } = {}): WebhookDelivery {
  const { text = sample, ...rest } = changes;
  const ts = String(atMs / 1_000);
  return {
    body: Buffer.from(text),
    query: { 'data.id': '456', type: 'payment' },
    headers: {
      'x-request-id': requestId,
      'x-signature': sign(`id:456;request-id:${requestId};ts:${ts};`, ts),
    },
    ...rest,
  };
}
const verdictOf = (given: WebhookDelivery): WebhookVerdict => verifyWebhook(secret, given);
const outcomeOf = (given: WebhookDelivery): string => verdictOf(given).outcome;
const hintOf = (given: WebhookDelivery) => {
  const verdict = readWebhook(given);
  if (verdict.outcome !== 'verified') throw new Error(verdict.problem);
  return verdict.hint;
};

await t.test('the known-good vector, and each part of it spoilt', async (t) => {
  const good = delivery({
    query: { 'data.id': '123456789', type: 'payment' },
    headers: { 'x-request-id': requestId, 'x-signature': vector },
  });
  t.match(verdictOf(good), { outcome: 'verified', hint: { chargeId: '123456789', claim: null } });
  const signed = (headers: WebhookDelivery['headers']) =>
    outcomeOf({ ...good, headers: { ...good.headers, ...headers } });
  t.equal(signed({ 'x-signature': vector.replace(',', ', ') }), 'verified', 'a blank');
  t.equal(signed({ 'x-signature': vector.split(',').toReversed().join() }), 'verified', 'order');
  t.equal(signed({ 'x-signature': vector.replace('8367', '8368') }), 'unproven');
  t.equal(signed({ 'x-signature': vector.replace('ts=17', 'ts=18') }), 'unproven');
  t.equal(signed({ 'x-signature': vector.replace('v1=', 'v2=') }), 'unproven');
  t.equal(signed({ 'x-signature': vector.slice(0, -1) }), 'unproven');
  t.equal(signed({ 'x-signature': `${vector.slice(0, -1)}é` }), 'unproven', 'of several bytes');
  t.equal(signed({ 'x-signature': '' }), 'unproven');
  t.equal(signed({ 'x-signature': undefined }), 'unproven', 'presence alone proves nothing');
  t.equal(signed({ 'x-signature': [vector, vector] }), 'unproven');
  t.equal(signed({ 'x-request-id': 'another' }), 'unproven');
  t.equal(signed({ 'x-request-id': undefined }), 'unproven');
  const other = verdictOf({ ...good, query: { 'data.id': '123456780', type: 'payment' } });
  t.match(other, { outcome: 'unproven', chargeId: '123456780' }, 'the id of the query is signed');
  t.equal(verifyWebhook('another secret', good).outcome, 'unproven');
});

await t.test('the body is not signed: what it says does not outweigh the query', async (t) => {
  const text = sample.replace('"456"', '"999"').replace('true', 'false');
  t.match(verdictOf(delivery({ text })), { outcome: 'verified', hint: { chargeId: '456' } });
  const told = { reference: null, amountCents: null, currency: null, claim: null };
  const boast = { ...JSON.parse(sample), status: 'approved', transaction_amount: 1 };
  t.match(hintOf(delivery({ text: JSON.stringify(boast) })), told);
});

await t.test('ts in seconds or in ms, five minutes at most', async (t) => {
  const at = (ts: number) => {
    const signature = sign(`id:456;request-id:${requestId};ts:${ts};`, ts);
    const headers = { 'x-request-id': requestId, 'x-signature': signature };
    const verdict = verdictOf(delivery({ headers }));
    if (verdict.outcome === 'unproven') t.equal(verdict.chargeId, '456');
    return verdict.outcome;
  };
  const seconds = atMs / 1_000;
  t.equal(at(seconds), 'verified');
  t.equal(at(atMs), 'verified', '13 digits are ms');
  t.equal(at(seconds - 299), 'verified');
  t.equal(at(seconds - 301), 'unproven', 'no worse than a wrong signature');
  t.equal(at(seconds + 301), 'unproven');
  t.equal(at(atMs - 299_000), 'verified');
  t.equal(at(atMs - 301_000), 'unproven');
  t.equal(at(0), 'unproven');
});

await t.test('data.id verbatim or in lower case, and absent parts left out', async (t) => {
  const ts = String(atMs / 1_000);
  const query = { 'data.id': 'ORD01ABC', type: 'payment' };
  const signedAs = (manifest: string, changes: Partial<WebhookDelivery> = {}) => {
    const headers = { 'x-request-id': requestId, 'x-signature': sign(manifest, ts) };
    return outcomeOf(delivery({ query, headers, ...changes }));
  };
  t.equal(signedAs(`id:ORD01ABC;request-id:${requestId};ts:${ts};`), 'verified');
  t.equal(signedAs(`id:ord01abc;request-id:${requestId};ts:${ts};`), 'verified');
  t.equal(signedAs(`id:Ord01abc;request-id:${requestId};ts:${ts};`), 'unproven');
  t.equal(signedAs(`id:ORD01ABC;request-id:${requestId};ts:${ts}`), 'unproven', 'the last ;');
  const noRequestId = { 'x-signature': sign(`id:ORD01ABC;ts:${ts};`, ts) };
  t.equal(outcomeOf(delivery({ query, headers: noRequestId })), 'verified');
  const noId = signedAs(`request-id:${requestId};ts:${ts};`, { query: { type: 'payment' } });
  t.equal(noId, 'verified');
});

await t.test('what is about a payment, and what is ignored', async (t) => {
  const told = (query: Record<string, unknown>, body: unknown) =>
    verdictOf({ headers: {}, query, body: Buffer.from(JSON.stringify(body)) });
  const unproven = (chargeId: string) => ({ outcome: 'unproven', chargeId });
  t.match(told({}, JSON.parse(sample)), unproven('456'), 'the body alone');
  t.match(told({}, { action: 'payment.created', data: { id: 456 } }), unproven('456'));
  const ipn = { topic: 'payment', id: '456' };
  t.match(told(ipn, { resource: '456', topic: 'payment' }), unproven('456'), 'IPN');
  const resource = 'https://api.mercadolibre.com/collections/notifications/456';
  t.match(told({}, { resource, topic: 'payment' }), unproven('456'));
  t.match(verdictOf({ headers: {}, query: ipn, body: Buffer.alloc(0) }), unproven('456'));
  const chargeback = { type: 'topic_chargebacks_wh', data: { id: 217, payment_id: 456 } };
  t.match(told({ 'data.id': '217' }, chargeback), unproven('456'), 'names its payment');
  // …/pt/docs/your-integrations/notifications/webhooks, "Chargebacks": beyond 2^53.
  const documented =
    '{"actions":["changed_case_status"],"api_version":"v1","application_id":8339526735273,"data":{"checkout":"PRO","date_updated":"0001-01-01T00:00:00Z","id":233000061680860000,"payment_id":81968653106,"product_id":"blrnv9rk8lvg01m1aqkg","site_id":"MLB","transaction_intent_id":""},"date_created":"2024-07-08T14:17:24.713Z","id":114411334353,"live_mode":true,"type":"topic_chargebacks_wh","user_id":1001,"version":1720448244}';
  const query = { 'data.id': '233000061680860000', type: 'topic_chargebacks_wh' };
  const sent = { headers: {}, query, body: Buffer.from(documented) };
  t.match(verdictOf(sent), unproven('81968653106'), 'its own id is not looked at');

  const ignored = [
    told({ id: '9', topic: 'merchant_order' }, { resource: 'x/9', topic: 'merchant_order' }),
    told({ id: '8', topic: 'merchant_order' }, { resource: 'x/8', topic: 'merchant_order' }),
  ];
  const hint = { isAboutCharge: false, chargeId: null, webhookId: 'ignored:merchant_order' };
  for (const verdict of ignored) t.match(verdict, { outcome: 'verified', hint });
  for (const type of ['order', 'subscription_preapproval', 'x'.repeat(200), "'; drop table"]) {
    t.match(told({ type }, { type, data: { id: '1' } }), { hint: { webhookId: 'ignored:other' } });
  }
});

await t.test('malformed, and never more than that', async (t) => {
  const texts = ['{', 'null', '[]', '"x"', '5', '{"data":5}', '{"type":5}'];
  for (const text of texts) t.equal(outcomeOf(delivery({ text })), 'malformed', text);
  const bare = (text: string) => outcomeOf({ headers: {}, query: {}, body: Buffer.from(text) });
  for (const text of ['', '{}', '{"type":"payment"}']) t.equal(bare(text), 'malformed', text);
  for (const id of ['"a b"', '{}', '-1', '0', '1.5', '9007199254740993', 'true', '"../456"']) {
    t.equal(bare(`{"type":"payment","data":{"id":${id}}}`), 'malformed', `id ${id}`);
    t.equal(
      bare(`{"topic":"payment","resource":${id}}`),
      id === '"../456"' ? 'unproven' : 'malformed',
    );
    t.equal(outcomeOf(delivery({ text: `{"data":{"id":${id}}}` })), 'verified', 'not the one used');
  }
  const latin1 = { headers: {}, query: { 'data.id': '456', type: 'payment' } };
  const body = Buffer.from('{"action":"caf\u00e9"}', 'latin1');
  t.equal(outcomeOf({ ...latin1, body }), 'malformed', 'no UTF-8');
  t.equal(outcomeOf(delivery({ query: { 'data.id': '../456', type: 'payment' } })), 'malformed');
  t.equal(outcomeOf(delivery({ text: sample.slice(0, 90) })), 'malformed', 'truncated');
});

await t.test('news of the same payment are never taken for duplicates', async (t) => {
  const idOf = (given: WebhookDelivery) => hintOf(given).webhookId;
  t.equal(idOf(delivery()), idOf(delivery()));
  const spread = Array.from({ length: 50 }, (_, version) =>
    idOf(delivery({ text: sample.replace('"version":1', `"version":${version}`) })),
  );
  t.equal(new Set(spread).size, 1, 'what is not signed makes no other message of it');
  const { 'x-signature': signature } = delivery().headers;
  const spaced = { 'x-signature': `${String(signature).replace(',', ' , ')},v2=x` };
  t.equal(idOf(delivery({ headers: spaced })), idOf(delivery()));
  const later = { 'x-signature': `ts=1,v1=${'0'.repeat(64)}` };
  t.not(idOf(delivery()), idOf(delivery({ headers: later })), 'the same body, signed again');
});

await t.test('the payer is not kept, nor what Postgres cannot keep', async (t) => {
  const payer = { first_name: 'Maria', identification: { type: 'CPF', number: '12345678909' } };
  const body = { ...JSON.parse(sample), payer, note: 'a\0b\ud800', 'k\0': 1 };
  const { record } = hintOf(delivery({ text: JSON.stringify(body) }));
  t.match(record, { action: 'payment.updated', data: { id: '456' }, user_id: 987654321 });
  t.notMatch(JSON.stringify(record), /Maria|12345678909|\\u0000|\\ud800/);
  const cut = withoutPayer(`${'x'.repeat(1_023)}😀`) as string;
  t.ok(cut.isWellFormed(), 'an emoji at the cut');
});

await t.test('64 KiB of anything cost a stranger more than us', async (t) => {
  const texts = ['a'.repeat(60_000), 'a@'.repeat(30_000), 'a.'.repeat(30_000), '1'.repeat(60_000)];
  const before = process.cpuUsage();
  for (const text of texts) {
    const given = delivery({ text: JSON.stringify({ type: 'payment', note: text }), headers: {} });
    t.equal(outcomeOf(given), 'unproven');
    withoutPayer(Array.from({ length: 60 }, () => text));
  }
  const { user, system } = process.cpuUsage(before);
  t.ok(user + system < 1_000_000, 'a second of work, however long it had to wait');
  t.equal(withoutPayer('to maria.santos+x@example.com.br, at once'), 'to …, at once');
  t.end();
});

await t.test('nothing crashes it, and nothing unsigned is proven', async (t) => {
  const value = fc.oneof(
    fc.constant(undefined),
    fc.string({ unit: 'binary' }),
    fc.constant(vector),
    fc.array(fc.string()),
  );
  const queries = fc.dictionary(
    fc.constantFrom('data.id', 'type', 'topic', 'id', '__proto__'),
    fc.oneof(value, fc.constantFrom('payment', '456', 'merchant_order')),
  );
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .tuple(fc.nat(sample.length - 1), fc.string({ unit: 'binary', maxLength: 3 }))
      .map(([at, by]) => Buffer.from(sample.slice(0, at) + by + sample.slice(at + 1))),
  );
  const property = fc.property(bodies, queries, value, value, (body, query, signature, id) => {
    const headers = { 'x-signature': signature, 'x-request-id': id };
    const verdict = verdictOf({ body, query, headers });
    const isAboutCharge = verdict.outcome === 'verified' && verdict.hint.isAboutCharge;
    return !isAboutCharge;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 3_000 }));
  const claims = fc.property(bodies, queries, (body, query) => {
    const verdict = readWebhook({ body, query, headers: {} });
    return verdict.outcome !== 'verified' || verdict.hint.claim === null;
  });
  t.doesNotThrow(() => fc.assert(claims, { numRuns: 2_000 }));
});
