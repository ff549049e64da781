/**
 * Goal: whatever AbacatePay writes in a proven webhook is heeded as far as it can be understood, and
 * what is odd is remarked upon: it never sends again what was refused.
 * Method: the documented sample, each part of it spoilt.
 */
import t from 'tap';
import { readWebhook } from '../../src/adapters/abacatepay.ts';
import type { WebhookDelivery } from '../../src/core/gateway.ts';

/** As documented (webhooks/events/transparent). */
const sample =
  '{"event":"transparent.completed","apiVersion":2,"devMode":false,"data":{"transparent":{"id":"char_xyz789","externalId":"chg_01","amount":5000,"paidAmount":5000,"platformFee":50,"status":"PAID","frequency":"ONE_TIME","devMode":true,"customerId":"cust_abc123","methods":["PIX"],"receiptUrl":"https://app.abacatepay.com/receipt/x","createdAt":"2024-12-06T19:00:00.000Z","updatedAt":"2024-12-06T19:00:05.000Z"},"customer":{"id":"","name":null,"email":null,"taxId":null},"payerInformation":{"method":"PIX","PIX":{"name":"Maria Santos","taxId":"12.***.***/0001-**","isSameAsCustomer":true}}}}';

const delivery = (body: string | Uint8Array): WebhookDelivery => ({
  headers: {},
  query: {},
  body: Buffer.from(body as string),
});
const hintOf = (body: string) => {
  const verdict = readWebhook(delivery(body));
  if (verdict.outcome !== 'verified') throw new Error(verdict.problem);
  return verdict.hint;
};
/** The sample with another event, and other fields of the charge. */
const message = (changes: object, transparent: object = {}) => {
  const body = JSON.parse(sample) as { data: { transparent: object } };
  const data = { ...body.data, transparent: { ...body.data.transparent, ...transparent } };
  return JSON.stringify({ ...body, data, ...changes });
};

await t.test('the event says what happened, not the status inside', (t) => {
  for (const event of ['completed', 'refunded', 'disputed', 'brand_new']) {
    const hint = hintOf(message({ event: `transparent.${event}` }));
    t.match(hint, { type: `transparent.${event}`, isAboutCharge: true, claim: null });
  }
  t.equal(hintOf(message({ event: 'transparent.lost' })).claim, 'charged_back');
  for (const event of ['checkout.completed', 'payout.completed', 'subscription.renewed']) {
    t.match(hintOf(JSON.stringify({ event, data: {} })), { isAboutCharge: false, reference: null });
  }
  t.end();
});

await t.test('the same message has one id; another has its own', (t) => {
  t.equal(hintOf(sample).webhookId, hintOf(sample).webhookId);
  t.equal(hintOf(message({ id: 'log_abc123xyz' })).webhookId, 'log_abc123xyz');
  const ids = [
    sample,
    message({ event: 'transparent.refunded' }),
    message({}, { updatedAt: '2024-12-06T19:00:06.000Z' }),
    message({}, { id: 'char_other' }),
  ].map((body) => hintOf(body).webhookId);
  t.equal(new Set(ids).size, ids.length);
  t.end();
});

await t.test('bodies that are none', (t) => {
  const outcome = (body: string | Uint8Array) => readWebhook(delivery(body)).outcome;
  const malformed = ['', '{', 'null', '[]', '"x"'];
  for (const body of malformed) t.equal(outcome(body), 'malformed', body);
  t.equal(outcome(Buffer.from([0x7b, 0xff, 0x7d])), 'malformed', 'no UTF-8');
  t.equal(outcome(`\uFEFF${sample}`), 'verified', 'a byte order mark');
  t.end();
});

await t.test('a proven message is never refused for what is odd in it', (t) => {
  const read = (body: string) => {
    const verdict = readWebhook(delivery(body));
    if (verdict.outcome !== 'verified') throw new Error(`${body}: ${verdict.problem}`);
    return { ...verdict.hint, remark: verdict.remark ?? null };
  };
  for (const body of ['{}', '{"event":5}', '{"event":"a b"}', '{"event":null,"data":1}']) {
    t.match(read(body), { isAboutCharge: false, type: 'without event', remark: /what happened/ });
  }
  for (const data of [undefined, null, 5, [], {}, { transparent: 5 }]) {
    const body = JSON.stringify({ event: 'transparent.completed', data });
    t.match(read(body), { isAboutCharge: true, reference: null, remark: /which charge/ }, body);
  }
  for (const paidAmount of [50.5, '5000', -1, 1e300, {}, 9_007_199_254_740_992]) {
    const odd = { reference: 'chg_01', amountCents: null, remark: /no amount in cents/ };
    t.match(read(message({}, { paidAmount })), odd, JSON.stringify(paidAmount));
  }
  for (const externalId of [5, {}, 'a\0b', 'x'.repeat(257)]) {
    t.match(read(message({}, { externalId })), { reference: null, remark: /which charge/ });
  }
  for (const id of [5, {}, '', 'a b', 'a\0', 'x'.repeat(129)]) {
    t.match(read(message({ id })), {
      webhookId: /^transparent\.completed:[0-9a-f]{64}$/,
      remark: null,
    });
  }
  t.match(read(message({}, { id: undefined })), { reference: 'chg_01', remark: null });
  for (const event of ['refunded', 'disputed', 'lost', 'brand_new']) {
    const told = read(message({ event: `transparent.${event}` }, { paidAmount: 1 }));
    t.match(told, { amountCents: null, remark: null }, `${event}: nobody says of what`);
  }
  t.match(hintOf(message({}, { externalId: null, paidAmount: null })), {
    reference: null,
    amountCents: null,
  });
  t.match(read(message({ brand_new: [1] })), { reference: 'chg_01', remark: null });
  t.end();
});
