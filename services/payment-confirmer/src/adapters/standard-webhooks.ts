/**
 * The generic PIX gateway: JSON over HTTP, and webhooks as Standard Webhooks 1.0 signs them
 * (https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
 */
import { decoder, parseJson, paymentStatuses } from '@rastro/events';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import Type, { type Static } from 'typebox';
import type { Dispatcher } from 'undici';
import type {
  ChargeOrder,
  ChargeReport,
  Gateway,
  OpenedCharge,
  Opening,
  WebhookDelivery,
  WebhookHint,
  WebhookVerdict,
} from '../core/gateway.ts';
import { withoutPayer } from '../core/redaction.ts';
import { askGateway, isoTime, readAnswer, reasonOf, told, toldOrNull } from './gateway-http.ts';
import { Cents, Id, Maybe, ShortText, statusIn, type Statuses } from './shapes.ts';
import { utf8Of } from './webhook-body.ts';

const Charge = Type.Object({
  charge_id: Id,
  external_reference: ShortText,
  amount_cents: Cents,
  currency: ShortText,
  status: ShortText,
  paid_at: Maybe(Type.String()),
  end_to_end_id: Maybe(Type.String()),
  refunded_cents: Maybe(Cents),
});
const readCharge = decoder(Charge);
const readNewCharge = decoder(
  Type.Intersect([Charge, Type.Object({ pix_code: Type.String(), expires_at: Type.String() })]),
);

const WebhookBody = Type.Object({
  type: ShortText,
  timestamp: Maybe(ShortText),
  data: Type.Object({
    charge_id: Id,
    external_reference: Maybe(ShortText),
    amount_cents: Maybe(Cents),
    currency: Maybe(ShortText),
    paid_at: Maybe(ShortText),
    end_to_end_id: Maybe(ShortText),
  }),
});
const readWebhookBody = decoder(WebhookBody);
const readWebhookType = decoder(Type.Object({ type: ShortText }));

/** Its words are ours. */
const statuses: Statuses = new Map(paymentStatuses.map((status) => [status, status]));

export interface StandardWebhooksAccount {
  /** Without a trailing slash. */
  readonly apiUrl: string;
  readonly apiKey: string;
  /** `whsec_` and base64. */
  readonly webhookSecret: string;
}

/** @throws when the webhook secret is no base64. */
export function createStandardWebhooksGateway(
  account: StandardWebhooksAccount,
  dispatcher: Dispatcher,
): Gateway {
  const { apiUrl, apiKey, webhookSecret } = account;
  const verifier = new Webhook(webhookSecret);
  const headers = { authorization: `Bearer ${apiKey}` };
  const chargeUrl = (chargeId: string) => `${apiUrl}/charges/${encodeURIComponent(chargeId)}`;
  return {
    kind: 'standard-webhooks',
    silentOn: {},
    requeryIntervalMs: 0,
    checkoutNotice: null,
    async createCharge(order, timeoutMs) {
      const answer = await askGateway(dispatcher, {
        method: 'POST',
        url: `${apiUrl}/charges`,
        headers: { ...headers, 'idempotency-key': order.paymentId },
        body: orderBody(order),
        timeoutMs,
      });
      return answer.kind === 'refused'
        ? { ok: false, reason: reasonOf(answer) }
        : openingOf(readAnswer(readNewCharge, answer.json));
    },
    async getCharge(chargeId) {
      const url = chargeUrl(chargeId);
      const json = toldOrNull(await askGateway(dispatcher, { method: 'GET', url, headers }));
      return json === null ? null : reportOf(readAnswer(readCharge, json));
    },
    async refund(chargeId, amountCents) {
      const answer = await askGateway(dispatcher, {
        method: 'POST',
        url: `${chargeUrl(chargeId)}/refund`,
        headers,
        body: { amount_cents: amountCents },
      });
      return reportOf(readAnswer(readCharge, told(answer)));
    },
    verifyWebhook: async (delivery) => verifyWebhook(verifier, delivery),
  };
}

function orderBody(order: ChargeOrder) {
  return {
    external_reference: order.paymentId,
    amount_cents: order.amountCents,
    currency: order.currency,
    description: order.description,
    expires_in_seconds: order.expiresInSeconds,
    callback_url: order.callbackUrl,
  };
}

function reportOf(charge: Static<typeof Charge>): ChargeReport {
  const { status, end_to_end_id: endToEndId } = charge;
  const refundedCents = charge.refunded_cents ?? null;
  // Of how much it does not say: a person has to look.
  const isUnclear = status === 'partially_refunded' && refundedCents === null;
  return {
    chargeId: charge.charge_id,
    reference: charge.external_reference,
    amountCents: charge.amount_cents,
    currency: charge.currency,
    status: isUnclear ? 'unknown' : statusIn(statuses, status),
    statusAtGateway: status,
    paidAt: isoTime(charge.paid_at),
    endToEndId: endToEndId && endToEndId.length <= 64 ? endToEndId : null,
    refundedCents,
    receiver: null,
    isTestMode: null,
  };
}

function openingOf(
  charge: Static<typeof Charge> & { pix_code: string; expires_at: string },
): Opening {
  const expiresAt = isoTime(charge.expires_at);
  if (expiresAt === null) return { ok: false, reason: 'its expiry is no time' };
  const opened: OpenedCharge = {
    ...reportOf(charge),
    pixCode: charge.pix_code,
    expiresAt,
  };
  return { ok: true, charge: opened };
}

const maxIdLength = 256;
const toleranceSeconds = 5 * 60;

/**
 * The library's verification, guarded: it takes header arrays for a crash, reads `17x` as a time,
 * replaces bytes that are no UTF-8, and lets a broken JSON escape as a SyntaxError.
 */
export function verifyWebhook(verifier: Webhook, delivery: WebhookDelivery): WebhookVerdict {
  const id = delivery.headers['webhook-id'];
  const timestamp = delivery.headers['webhook-timestamp'];
  const signature = delivery.headers['webhook-signature'];
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signature !== 'string') {
    return { outcome: 'forged', problem: 'a webhook-* header is missing or came twice' };
  }
  if (id.length > maxIdLength || !/^\d{1,12}$/.test(timestamp)) {
    return { outcome: 'forged', problem: 'webhook-id or webhook-timestamp is not as specified' };
  }
  const text = utf8Of(delivery.body);
  if (text === null) return { outcome: 'malformed', problem: 'the body is not UTF-8' };
  if (!isSigned(verifier, text, { id, timestamp, signature })) {
    return isFresh(timestamp)
      ? { outcome: 'forged', problem: 'the signature does not fit' }
      : { outcome: 'stale', problem: 'webhook-timestamp is more than 5 minutes away' };
  }
  return readBody(id, text);
}

const isFresh = (timestamp: string): boolean =>
  Math.abs(Date.now() / 1_000 - Number(timestamp)) <= toleranceSeconds;

function isSigned(
  verifier: Webhook,
  text: string,
  { id, timestamp, signature }: { id: string; timestamp: string; signature: string },
): boolean {
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signature,
  };
  try {
    verifier.verify(text, headers, { jsonParse: false });
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

function readBody(webhookId: string, text: string): WebhookVerdict {
  const json = parseJson(text);
  if (!json.ok) return { outcome: 'malformed', problem: 'the body is not JSON' };
  const typed = readWebhookType(json.value);
  if (!typed.ok) return { outcome: 'malformed', problem: typed.problem };
  if (!typed.value.type.startsWith('charge.')) {
    return { outcome: 'verified', hint: otherHint(webhookId, typed.value.type) };
  }
  const body = readWebhookBody(json.value);
  return body.ok
    ? { outcome: 'verified', hint: chargeHint(webhookId, body.value, json.value) }
    : { outcome: 'malformed', problem: body.problem };
}

function otherHint(webhookId: string, type: string): WebhookHint {
  const nothing = { chargeId: null, reference: null, amountCents: null, currency: null };
  return { webhookId, type, isAboutCharge: false, ...nothing, claim: null, record: { type } };
}

function chargeHint(
  webhookId: string,
  { type, data }: Static<typeof WebhookBody>,
  json: unknown,
): WebhookHint {
  return {
    webhookId,
    type,
    isAboutCharge: true,
    chargeId: data.charge_id,
    reference: data.external_reference ?? null,
    amountCents: data.amount_cents ?? null,
    currency: data.currency ?? null,
    claim: null,
    record: withoutPayer(json),
  };
}
