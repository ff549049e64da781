/**
 * Goal: whatever bytes a gateway or a stranger sends, no adapter crashes, and no message by itself
 * makes anything paid.
 * Method: 100,000 mutations of each gateway's documented messages, read as if they were proven; each
 * that is understood is then carried to the decision, with a gateway that says "pending". The seed
 * is printed: RASTRO_SEED=<n> runs it again.
 */
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import t from 'tap';
import { readWebhook as readAbacatepay } from '../../src/adapters/abacatepay.ts';
import { readWebhook as readMercadoPago } from '../../src/adapters/mercadopago.ts';
import { readWebhook as readPushinpay } from '../../src/adapters/pushinpay.ts';
import { verifyWebhook as verifyStandard } from '../../src/adapters/standard-webhooks.ts';
import { readWebhook as readWoovi } from '../../src/adapters/woovi.ts';
import {
  type ChargeReport,
  completeStatus,
  type WebhookDelivery,
  type WebhookVerdict,
} from '../../src/core/gateway.ts';
import { storableHint } from '../../src/core/redaction.ts';
import { decide, evolve, initialState, type PaymentEvent } from '../../src/core/payment.ts';

const runs = 100_000;
const seed = Number(process.env['RASTRO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`RASTRO_SEED=${seed}`);

interface Target {
  readonly samples: readonly string[];
  readonly query?: WebhookDelivery['query'];
  readonly read: (delivery: WebhookDelivery) => WebhookVerdict;
}

const verifier = new Webhook('whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=');
const signedAt = new Date();

/** Signed after it was spoilt, so that the reader gets to see it. */
function readStandard(delivery: WebhookDelivery): WebhookVerdict {
  const text = Buffer.from(delivery.body).toString();
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(signedAt.getTime() / 1_000)),
    'webhook-signature': verifier.sign('msg_1', signedAt, text),
  };
  return verifyStandard(verifier, { ...delivery, headers });
}

const paymentId = '01a21433-9fef-7012-ba80-db3aec3ff887';
const targets: Readonly<Record<string, Target>> = {
  'standard-webhooks': {
    read: readStandard,
    samples: [
      `{"type":"charge.paid","timestamp":"2026-11-20T12:00:00Z","data":{"charge_id":"c1","external_reference":"${paymentId}","amount_cents":1990,"currency":"BRL","paid_at":"2026-11-20T12:00:00Z","end_to_end_id":"E1"}}`,
      '{"type":"charge.disputed","data":{"charge_id":"c1","amount_cents":1990}}',
    ],
  },
  mercadopago: {
    read: readMercadoPago,
    query: { 'data.id': '456', type: 'payment' },
    samples: [
      '{"id":112233445566,"live_mode":true,"type":"payment","date_created":"2026-05-25T13:01:08.000-03:00","application_id":1234567890,"user_id":987654321,"version":1,"api_version":"v1","action":"payment.updated","data":{"id":"456"}}',
      '{"resource":"https://api.mercadopago.com/v1/payments/456","topic":"payment"}',
    ],
  },
  pushinpay: {
    read: readPushinpay,
    query: { payment: paymentId },
    samples: [
      `{"id":"9c29870c-9f69-4bb6-90d3-2dce9453bb45","qr_code":"00020101021226770014BR.GOV.BCB.PIX2555api...","status":"paid","value":1990,"webhook_url":"https://pay.example.test/webhooks/pp?payment=${paymentId}","webhook":null,"split_rules":[],"end_to_end_id":"E12345678202301011234567890123456","payer_name":"João Silva","payer_national_registration":"12345678901"}`,
      `id=9C29870C-9f69-4bb6-90d3-2dce9453bb45&status=paid&value=1990&end_to_end_id=E1&payer_name=Jo%C3%A3o`,
    ],
  },
  woovi: {
    read: readWoovi,
    samples: [
      `{"event":"OPENPIX:CHARGE_COMPLETED","charge":{"value":5000,"correlationID":"${paymentId}","transactionID":"t1","status":"COMPLETED","paidAt":"2023-11-28T11:30:39.933Z","payer":{"name":"Loma"},"brCode":"000201"},"pix":{"value":5000,"time":"2023-11-28T11:30:39.933Z","endToEndId":"E1","transactionID":"t1"},"company":{"id":"c"},"account":{"clientId":"a"}}`,
      '{"data_criacao":"2021-08-10T20:32:14.429Z","evento":"teste_webhook","event":"OPENPIX:CHARGE_COMPLETED"}',
      '{"event":"OPENPIX:DISPUTE_REJECTED","dispute":{"endToEndId":"E1","status":"REJECTED"}}',
    ],
  },
  abacatepay: {
    read: readAbacatepay,
    samples: [
      `{"event":"transparent.completed","apiVersion":2,"devMode":false,"data":{"transparent":{"id":"char_xyz789","externalId":"${paymentId}","amount":5000,"paidAmount":5000,"platformFee":50,"status":"PAID","devMode":true,"methods":["PIX"],"createdAt":"2024-12-06T19:00:00.000Z","updatedAt":"2024-12-06T19:00:05.000Z"},"customer":{"id":"","name":null},"payerInformation":{"method":"PIX","PIX":{"name":"Maria Santos","taxId":"12.***.***/0001-**"}}}}`,
      `{"event":"transparent.lost","devMode":false,"data":{"transparent":{"id":"char_1","externalId":"${paymentId}","amount":5000,"status":"PAID"}}}`,
    ],
  },
};

type Draw = (below: number) => number;

/** Whole numbers below a bound; the same for the same seed. */
function drawer(): Draw {
  const numbers = fc.sample(fc.noBias(fc.nat(2 ** 31 - 1)), { seed, numRuns: 300_007 });
  let next = 0;
  return (below) => (numbers[next++ % numbers.length] ?? 0) % below;
}

/** What readers stumble over, put where a value was. */
const values = [
  'null',
  'true',
  '-1',
  '1e308',
  '19.9',
  '9007199254740993',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '[]',
  '{}',
  '{"__proto__":{"status":"paid"}}',
  '[[[[[[[[]]]]]]]]',
  '"paid"',
  '"COMPLETED"',
  `"${'x'.repeat(3_000)}"`,
];

function mutate(sample: string, samples: readonly string[], draw: Draw): Uint8Array {
  let bytes = Buffer.from(sample);
  for (let left = 1 + draw(4); left > 0; left -= 1) {
    const at = draw(bytes.length + 1);
    switch (draw(7)) {
      case 0:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from([draw(256)]),
          bytes.subarray(at),
        ]);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = draw(256);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + draw(20))]);
        break;
      case 3:
        bytes = bytes.subarray(0, at);
        break;
      case 4: {
        const other = Buffer.from(samples[draw(samples.length)] ?? '');
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(draw(other.length))]);
        break;
      }
      default:
        bytes = Buffer.from(withOtherValue(bytes.toString('latin1'), draw), 'latin1');
    }
  }
  return bytes;
}

/** One of the document's values is exchanged, so that it is often still JSON. */
function withOtherValue(text: string, draw: Draw): string {
  const places = [...text.matchAll(/(?<=:)("(?:[^"\\]|\\.)*"|-?[\d.]+|true|false|null)/g)];
  const place = places[draw(Math.max(1, places.length))];
  if (place === undefined) return text;
  const value = values[draw(values.length)] ?? 'null';
  return text.slice(0, place.index) + value + text.slice(place.index + place[0].length);
}

const subject = {
  paymentId,
  checkoutId: paymentId,
  accountId: 'a',
  botId: 'b',
  poolId: null,
  trackingToken: null,
  leadId: null,
  telegramUserId: null,
  productId: 'p',
  productName: 'P',
  amountCents: 5000,
  currency: 'BRL',
};
const at = '2026-11-20T12:00:00.000Z';
const created: PaymentEvent = {
  type: 'PaymentCreated',
  data: {
    ...subject,
    gateway: 'g',
    gatewayChargeId: 'c1',
    pixCode: 'x',
    checkoutNotice: null,
    createdAt: at,
    expiresAt: '2026-11-20T12:30:00.000Z',
  },
};
const pending = evolve(initialState, created);
const stillPending: ChargeReport = {
  chargeId: 'c1',
  reference: paymentId,
  amountCents: 5000,
  currency: 'BRL',
  status: 'pending',
  statusAtGateway: 'pending',
  paidAt: null,
  endToEndId: null,
  refundedCents: null,
  receiver: null,
  isTestMode: null,
};

/** The events that a verdict leads to while the gateway itself says that nothing was paid. */
function consequencesOf(verdict: WebhookVerdict): readonly PaymentEvent[] {
  if (verdict.outcome !== 'verified') return [];
  const { claim } = verdict.hint;
  const silentOn = { lostDisputes: true, amount: true } as const;
  const circumstances = { silentOn, claim, statusHere: pending.status };
  const report = completeStatus(stillPending, circumstances);
  return decide(pending, { type: 'observe', report, proof: 'requery', at });
}

/** What is wrong with a verdict, or null. */
function faultOf(verdict: WebhookVerdict): string | null {
  if (consequencesOf(verdict).length > 0) return 'it changed the payment';
  if (verdict.outcome !== 'verified') return null;
  const { webhookId, amountCents, ...rest } = storableHint(verdict.hint);
  if (webhookId === '' || webhookId.length > 512) return `webhookId ${webhookId.slice(0, 20)}`;
  if (amountCents !== null && !Number.isSafeInteger(amountCents)) return `amount ${amountCents}`;
  // Without what was a backslash before: what is left of them escapes something.
  const text = JSON.stringify({ webhookId, ...rest }).replaceAll('\\\\', '');
  return /\\u(0000|d[89a-f])/.test(text) ? 'Postgres cannot store it' : null;
}

for (const [kind, { samples, query = {}, read }] of Object.entries(targets)) {
  await t.test(kind, (t) => {
    const draw = drawer();
    const outcomes = new Map<string, number>();
    const faults: string[] = [];
    for (let run = 0; run < runs; run += 1) {
      const body = mutate(samples[draw(samples.length)] ?? '', samples, draw);
      let outcome = 'threw';
      try {
        const verdict = read({ body, headers: {}, query });
        outcome = verdict.outcome;
        const fault = faultOf(verdict);
        if (fault !== null) faults.push(`${fault}: ${Buffer.from(body).toString()}`);
      } catch (error) {
        faults.push(`${String(error)}: ${Buffer.from(body).toString()}`);
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    t.same(faults.slice(0, 3), []);
    t.ok((outcomes.get('verified') ?? 0) > runs / 50, 'many are still understood');
    t.comment([...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(', '));
    t.end();
  });
}
