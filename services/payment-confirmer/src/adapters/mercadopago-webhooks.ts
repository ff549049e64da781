/**
 * What Mercado Pago says of its webhooks
 * (https://www.mercadopago.com.br/developers/pt/docs/your-integrations/notifications/webhooks).
 * The signature is over ids and a time, not over the body, and real deliveries are known to fail it
 * (https://github.com/mercadopago/sdk-java/issues/420): see docs/decisions/022.
 */
import { createHmac } from 'node:crypto';
import { decoder, parseJson } from '@rastro/events';
import { isSameSecret } from '@rastro/runtime';
import Type from 'typebox';
import type { WebhookDelivery, WebhookHint, WebhookVerdict } from '../core/gateway.ts';
import { withoutPayer } from '../core/redaction.ts';
import { Maybe, ShortText } from './shapes.ts';
import { textOf } from './webhook-body.ts';

/**
 * Webhooks say `type` and `data`; their predecessor, IPN, says `topic` and `resource`. Ids are
 * looked at once it is known which of them names the payment: those of chargebacks are numbers that
 * JavaScript cannot hold.
 */
const readNotification = decoder(
  Type.Object({
    type: Maybe(ShortText),
    action: Maybe(ShortText),
    data: Maybe(
      Type.Object({
        id: Type.Optional(Type.Unknown()),
        payment_id: Type.Optional(Type.Unknown()),
      }),
    ),
    topic: Maybe(ShortText),
    resource: Type.Optional(Type.Unknown()),
  }),
);

/** What a delivery is about, before it is known whether anything of it is to be believed. */
type Notice =
  | { readonly kind: 'payment'; readonly chargeId: string; type: string; json: unknown }
  | { readonly kind: 'other'; readonly type: string }
  | { readonly kind: 'malformed'; readonly problem: string };

const toleranceMs = 5 * 60_000;

export function verifyWebhook(secret: string, delivery: WebhookDelivery): WebhookVerdict {
  const notice = readNotice(delivery);
  // What is not about a charge leads to nothing, so it needs no proof.
  if (notice.kind !== 'payment') return verdictOf(notice, delivery);
  const { chargeId } = notice;
  const { ts, v1 } = signatureIn(delivery);
  if (ts === '' || v1 === '') {
    return { outcome: 'unproven', problem: 'x-signature is missing or unreadable', chargeId };
  }
  const isSigned = manifestsOf(delivery, ts)
    .map((manifest) => createHmac('sha256', secret).update(manifest).digest('hex'))
    .some((expected) => isSameSecret(v1, expected));
  if (!isSigned) return { outcome: 'unproven', problem: 'the signature does not fit', chargeId };
  // Late or sent again by a stranger: not to be told apart, and no worse than a wrong signature.
  return Math.abs(Date.now() - epochMsOf(ts)) <= toleranceMs
    ? verdictOf(notice, delivery)
    : { outcome: 'unproven', problem: 'ts is more than 5 minutes away', chargeId };
}

/** What a delivery says, should it be proven. */
export const readWebhook = (delivery: WebhookDelivery): WebhookVerdict =>
  verdictOf(readNotice(delivery), delivery);

function signatureIn({ headers }: WebhookDelivery): { ts: string; v1: string } {
  const signature = stringIn(headers, 'x-signature') ?? '';
  const [, ts = ''] = /(?:^|,)\s*ts=(\d{1,13})\s*(?:,|$)/.exec(signature) ?? [];
  const [, v1 = ''] = /(?:^|,)\s*v1=([\da-f]{64})\s*(?:,|$)/.exec(signature) ?? [];
  return { ts, v1 };
}

/** Documented as ms and shown in seconds; both are sent. */
const epochMsOf = (ts: string): number => (Number(ts) >= 1e12 ? Number(ts) : Number(ts) * 1_000);

/** With `data.id` as it came, and in lower case, as older versions of the SDK have it. */
function manifestsOf({ headers, query }: WebhookDelivery, ts: string): string[] {
  const id = stringIn(query, 'data.id');
  const requestId = stringIn(headers, 'x-request-id');
  const rest = `${requestId === null ? '' : `request-id:${requestId};`}ts:${ts};`;
  if (id === null) return [rest];
  return [...new Set([id, id.toLowerCase()])].map((one) => `id:${one};${rest}`);
}

function readNotice({ query, body: bytes }: WebhookDelivery): Notice {
  const text = textOf(bytes);
  if (text === null) return { kind: 'malformed', problem: 'the body is not UTF-8' };
  // IPN may come with a query alone.
  const json = text === '' ? { ok: true as const, value: {} } : parseJson(text);
  if (!json.ok) return { kind: 'malformed', problem: 'the body is not JSON' };
  const body = readNotification(json.value);
  if (!body.ok) return { kind: 'malformed', problem: body.problem };
  const { type, topic, action, data, resource } = body.value;
  const about =
    stringIn(query, 'type') ?? stringIn(query, 'topic') ?? type ?? topic ?? action ?? '';
  if (about === '') return { kind: 'malformed', problem: 'it does not say what it is about' };
  const isPayment = about === 'payment' || about.startsWith('payment.');
  const named = isPayment
    ? (stringIn(query, 'data.id') ?? data?.id ?? stringIn(query, 'id') ?? lastPartOf(resource))
    : // Chargebacks and fraud alerts have ids of their own, and name the payment.
      data?.payment_id;
  if (named === null || named === undefined) {
    return isPayment
      ? { kind: 'malformed', problem: 'it does not say which payment it is about' }
      : { kind: 'other', type: about };
  }
  const chargeId = idOf(named);
  return chargeId === null
    ? { kind: 'malformed', problem: 'the id of the payment is not one' }
    : { kind: 'payment', chargeId, type: nameOf(action ?? about), json: json.value };
}

/** A number that JavaScript has rounded would be somebody else's. */
function idOf(value: unknown): string | null {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value > 0 ? String(value) : null;
  }
  return typeof value === 'string' && /^[\w-]{1,64}$/.test(value) ? value : null;
}

function verdictOf(notice: Notice, delivery: WebhookDelivery): WebhookVerdict {
  if (notice.kind === 'malformed') return { outcome: 'malformed', problem: notice.problem };
  if (notice.kind === 'other') return { outcome: 'verified', hint: ignoredHint(notice.type) };
  const { chargeId, type, json } = notice;
  // All that is signed and nothing else: who repeats it with another body says nothing new.
  const webhookId = `signed:${signatureIn(delivery).v1}`;
  const hint = { ...nothing, webhookId, type, isAboutCharge: true, chargeId };
  return { outcome: 'verified', hint: { ...hint, record: withoutPayer(json) } };
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
const lastPartOf = (resource: unknown): unknown =>
  typeof resource === 'string' ? (/([^/]+)$/.exec(resource.slice(0, 512))?.[1] ?? null) : resource;

function stringIn(from: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = from[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
