/**
 * What Mercado Pago says of its webhooks
 * (https://www.mercadopago.com.br/developers/pt/docs/your-integrations/notifications/webhooks).
 * The signature is over ids and a time, not over the body, and real deliveries are known to fail it
 * (https://github.com/mercadopago/sdk-java/issues/420): see docs/decisions/022.
 */
import { createHmac } from 'node:crypto';
import { decoder, parseJson } from '@rastro/events';
import { isSameSecret, sha256Hex } from '@rastro/runtime';
import Type from 'typebox';
import type { WebhookDelivery, WebhookHint, WebhookVerdict } from '../core/gateway.ts';
import { withoutPayer } from '../core/redaction.ts';

const Maybe = <T extends Type.TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));
const ShortText = Type.String({ maxLength: 256 });
/** A number or a text, as the topic has it. */
const Id = Type.Union([
  Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  Type.String({ pattern: '^[\\w-]{1,64}$' }),
]);

/** Webhooks say `type` and `data`; their predecessor, IPN, says `topic` and `resource`. */
const readNotification = decoder(
  Type.Object({
    type: Maybe(ShortText),
    action: Maybe(ShortText),
    data: Maybe(Type.Object({ id: Maybe(Id), payment_id: Maybe(Id) })),
    topic: Maybe(ShortText),
    resource: Maybe(Type.Union([Id, Type.String({ maxLength: 512 })])),
  }),
);

const toleranceMs = 5 * 60_000;

export function verifyWebhook(secret: string, delivery: WebhookDelivery): WebhookVerdict {
  const verdict = readWebhook(delivery);
  // What is not about a charge leads to nothing, so it needs no proof.
  if (verdict.outcome !== 'verified' || verdict.hint.chargeId === null) return verdict;
  const { chargeId } = verdict.hint;
  const signature = textIn(delivery.headers, 'x-signature') ?? '';
  const [, ts = ''] = /(?:^|,)\s*ts=(\d{1,13})\s*(?:,|$)/.exec(signature) ?? [];
  const [, v1 = ''] = /(?:^|,)\s*v1=([\da-f]{64})\s*(?:,|$)/.exec(signature) ?? [];
  if (ts === '' || v1 === '') {
    return { outcome: 'unproven', problem: 'x-signature is missing or unreadable', chargeId };
  }
  const isSigned = manifestsOf(delivery, ts)
    .map((manifest) => createHmac('sha256', secret).update(manifest).digest('hex'))
    .some((expected) => isSameSecret(v1, expected));
  if (!isSigned) return { outcome: 'unproven', problem: 'the signature does not fit', chargeId };
  return Math.abs(Date.now() - epochMsOf(ts)) <= toleranceMs
    ? verdict
    : { outcome: 'stale', problem: 'ts is more than 5 minutes away' };
}

/** Documented as ms and shown in seconds; both are sent. */
const epochMsOf = (ts: string): number => (Number(ts) >= 1e12 ? Number(ts) : Number(ts) * 1_000);

/** With `data.id` as it came, and in lower case, as older versions of the SDK have it. */
function manifestsOf({ headers, query }: WebhookDelivery, ts: string): string[] {
  const id = textIn(query, 'data.id');
  const requestId = textIn(headers, 'x-request-id');
  const rest = `${requestId === null ? '' : `request-id:${requestId};`}ts:${ts};`;
  if (id === null) return [rest];
  return [...new Set([id, id.toLowerCase()])].map((one) => `id:${one};${rest}`);
}

/** What a delivery says, should it be proven. */
export function readWebhook(delivery: WebhookDelivery): WebhookVerdict {
  const { query, headers } = delivery;
  const text = Buffer.from(delivery.body).toString('utf8');
  // IPN may come with a query alone.
  const json = text === '' ? { ok: true as const, value: {} } : parseJson(text);
  if (!json.ok) return { outcome: 'malformed', problem: 'the body is not JSON' };
  const body = readNotification(json.value);
  if (!body.ok) return { outcome: 'malformed', problem: body.problem };
  const { type, topic, action, data, resource } = body.value;
  const about = textIn(query, 'type') ?? textIn(query, 'topic') ?? type ?? topic ?? action ?? '';
  if (about === '') return { outcome: 'malformed', problem: 'it does not say what it is about' };
  const isPayment = about === 'payment' || about.startsWith('payment.');
  const id = isPayment
    ? (textIn(query, 'data.id') ?? data?.id ?? textIn(query, 'id') ?? lastPartOf(resource))
    : // Chargebacks and fraud alerts have ids of their own, and name the payment.
      data?.payment_id;
  const chargeId = id === null || id === undefined ? null : String(id);
  if (chargeId === null) {
    return isPayment
      ? { outcome: 'malformed', problem: 'it does not say which payment it is about' }
      : { outcome: 'verified', hint: ignoredHint(about) };
  }
  if (!/^[\w-]{1,64}$/.test(chargeId)) {
    return { outcome: 'malformed', problem: 'the id of the payment is not one' };
  }
  const signature = textIn(headers, 'x-signature') ?? '';
  return {
    outcome: 'verified',
    hint: {
      ...nothing,
      // Two messages may differ in nothing but the time that is signed.
      webhookId: `${chargeId}:${sha256Hex(`${signature}\n${text}`)}`,
      type: nameOf(action ?? about),
      isAboutCharge: true,
      chargeId,
      record: withoutPayer(json.value),
    },
  };
}

const nothing = { reference: null, amountCents: null, currency: null, claim: null };

/** The same id for all: they are not proven, and must not fill a table. */
function ignoredHint(about: string): WebhookHint {
  const type = ignoredTypes.has(about) ? about : 'other';
  const hint = { webhookId: `ignored:${type}`, type, isAboutCharge: false, chargeId: null };
  return { ...nothing, ...hint, record: { type } };
}

const ignoredTypes: ReadonlySet<string> = new Set(['merchant_order', 'topic_merchant_order_wh']);

const nameOf = (type: string): string => (/^[\w.-]{1,64}$/.test(type) ? type : 'other');

/** `https://api.mercadolibre.com/collections/notifications/456` or `456`. */
const lastPartOf = (resource: string | number | null | undefined): string | null =>
  /([^/]+)$/.exec(String(resource ?? ''))?.[1] ?? null;

function textIn(from: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = from[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
