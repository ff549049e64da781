/**
 * Goal: only what the gateway signed within five minutes is believed, and nothing crashes.
 * Method: the known-good vector, then each part of it spoilt, then mutated bodies and headers.
 */
import fc from 'fast-check';
import { mock } from 'node:test';
import { Webhook } from 'standardwebhooks';
import t from 'tap';
import { MockAgent } from 'undici';
import {
  createStandardWebhooksGateway,
  verifyWebhook,
} from '../../src/adapters/standard-webhooks.ts';
import type { WebhookDelivery } from '../../src/core/gateway.ts';

const secret = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const vector = 'v1,DaB5LFleX/QDRrJkbVsPrLOY2dsoW6DimipUqtZGbWI=';
const at = 1_700_000_000;
const verifier = new Webhook(secret);

mock.timers.enable({ apis: ['Date'], now: at * 1_000 });
t.teardown(() => mock.timers.reset());

function delivery(
  body: string | Buffer,
  headers: WebhookDelivery['headers'] = {},
): WebhookDelivery {
  const text = body.toString();
  return {
    body: Buffer.from(body),
    query: {},
    headers: {
      'webhook-id': 'msg_test_1',
      'webhook-timestamp': String(at),
      'webhook-signature': verifier.sign('msg_test_1', new Date(at * 1_000), text),
      ...headers,
    },
  };
}
const outcomeOf = (given: WebhookDelivery): string => verifyWebhook(verifier, given).outcome;

await t.test('the known-good vector, and each part of it spoilt', async (t) => {
  const good = delivery('{"id":"evt_1"}', { 'webhook-signature': vector });
  // Proven, but not of our shape: it must not pass for forged.
  t.equal(outcomeOf(good), 'malformed');
  const signed = (headers: WebhookDelivery['headers']) =>
    outcomeOf({ ...good, headers: { ...good.headers, ...headers } });
  t.equal(signed({ 'webhook-signature': `v1,AAAA ${vector}` }), 'malformed', 'rotation');
  t.equal(signed({ 'webhook-signature': vector.replace('DaB5', 'DaB6') }), 'forged');
  t.equal(signed({ 'webhook-signature': vector.replace('v1,', 'v1a,') }), 'forged');
  t.equal(signed({ 'webhook-signature': 'v1' }), 'forged');
  t.equal(signed({ 'webhook-signature': '' }), 'forged');
  t.equal(signed({ 'webhook-signature': undefined }), 'forged');
  t.equal(signed({ 'webhook-signature': [vector, vector] }), 'forged');
  t.equal(signed({ 'webhook-id': 'msg_test_2' }), 'forged');
  t.equal(signed({ 'webhook-id': 'm'.repeat(300) }), 'forged');
  t.equal(signed({ 'webhook-timestamp': `${at}x` }), 'forged', 'parseInt would take it');
  t.equal(signed({ 'webhook-timestamp': String(at + 1) }), 'forged');
  t.equal(outcomeOf({ ...good, body: Buffer.from('{"id":"evt_2"}') }), 'forged');
});

await t.test('time', async (t) => {
  const old = (seconds: number) => {
    const time = new Date((at - seconds) * 1_000);
    return outcomeOf(
      delivery('{"type":"ping"}', {
        'webhook-timestamp': String(at - seconds),
        'webhook-signature': verifier.sign('msg_test_1', time, '{"type":"ping"}'),
      }),
    );
  };
  t.equal(old(299), 'verified');
  t.equal(old(301), 'stale');
  t.equal(old(-301), 'stale');
});

await t.test('bodies', async (t) => {
  const data = { charge_id: 'c1', external_reference: 'r', amount_cents: 1990, currency: 'BRL' };
  const body = { type: 'charge.paid', timestamp: '2026-11-20T12:00:00Z', data };
  const payer = { payer: { name: 'Maria Santos', cpf: '12345678901' }, payer_name: 'Maria' };
  const full = { ...body, ...payer, data: { ...data, ...payer } };
  const verdict = verifyWebhook(verifier, delivery(JSON.stringify(full)));
  t.match(verdict, { outcome: 'verified', hint: { chargeId: 'c1', amountCents: 1990 } });
  t.notMatch(JSON.stringify(verdict), /Maria|12345678901/, 'the payer is not kept');
  t.match(verifyWebhook(verifier, delivery('{"type":"payout.sent"}')), {
    outcome: 'verified',
    hint: { isAboutCharge: false },
  });
  const malformed = ['', '{', 'null', '[]', '"x"', '{"type":5}', '{"type":"charge.paid"}'];
  for (const text of malformed) t.equal(outcomeOf(delivery(text)), 'malformed', text);
  const cents = (value: unknown) =>
    outcomeOf(delivery(JSON.stringify({ ...body, data: { ...data, amount_cents: value } })));
  for (const value of [19.9, '1990', -1, 1e300]) t.equal(cents(value), 'malformed');
  t.equal(outcomeOf(delivery(Buffer.from([0x7b, 0xff, 0x7d]))), 'malformed', 'no UTF-8');
});

await t.test('given back in part, of which it does not say how much: unknown', async (t) => {
  const agent = new MockAgent();
  t.teardown(() => agent.close());
  agent.disableNetConnect();
  const account = { apiUrl: 'https://pix.test', apiKey: 'k', webhookSecret: secret };
  const gateway = createStandardWebhooksGateway(account, agent);
  const charge = { charge_id: 'c1', external_reference: 'r', amount_cents: 1990, currency: 'BRL' };
  const told = async (changes: object) => {
    agent
      .get('https://pix.test')
      .intercept({ path: '/charges/c1' })
      .reply(200, {
        ...charge,
        ...changes,
      });
    return (await gateway.getCharge('c1'))?.status;
  };
  t.equal(await told({ status: 'partially_refunded' }), 'unknown');
  t.equal(await told({ status: 'partially_refunded', refunded_cents: null }), 'unknown');
  t.equal(await told({ status: 'partially_refunded', refunded_cents: 5 }), 'partially_refunded');
  t.equal(await told({ status: 'paid' }), 'paid');
  t.equal(await told({ status: 'constructor' }), 'unknown');
});

await t.test('nothing crashes it', async (t) => {
  const header = fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.string())), {
    nil: undefined,
  });
  const property = fc.property(
    fc.uint8Array({ maxLength: 200 }),
    header,
    header,
    header,
    (...of) => {
      const [body, id, timestamp, signature] = of;
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signature,
      };
      return outcomeOf({ body, query: {}, headers }) !== 'verified';
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2_000 }));
  const signed = fc.property(fc.json(), (json) => outcomeOf(delivery(json)) !== 'forged');
  t.doesNotThrow(() => fc.assert(signed, { numRuns: 500 }));
});
