/**
 * PushinPay, as its documentation has it (https://app.theneo.io/pushinpay/pix/criar-pix): a charge
 * is called a transaction, amounts are in cents of a real, and webhooks are the transaction itself,
 * as JSON or as a form. There is no signature and no reference of the seller's: the proof is a
 * static header, and our `payment.id` travels in the webhook's address (`docs/decisions/024`).
 */
import { decoder, parseJson } from '@rastro/events';
import { isSameSecret } from '@rastro/runtime';
import Type, { type Static } from 'typebox';
import type { Dispatcher } from 'undici';
import type {
  ChargeOrder,
  ChargeReport,
  Gateway,
  Opening,
  WebhookDelivery,
  WebhookVerdict,
} from '../core/gateway.ts';
import { withoutPayer } from '../core/redaction.ts';
import { askGateway, GatewayError, readAnswer, reasonOf, toldOrNull } from './gateway-http.ts';
import { Cents, Maybe, statusIn, type Statuses } from './shapes.ts';
import { fingerprintOf, textOf } from './webhook-body.ts';

/** The same object in answers and in webhooks; a form has its numbers as digits. */
const Transaction = Type.Object({
  id: Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' }),
  status: Type.String({ pattern: '^[\\w .-]{1,64}$' }),
  value: Maybe(Type.Union([Cents, Type.String({ pattern: '^\\d{1,15}$' })])),
  webhook_url: Maybe(Type.String()),
  // The documentation shows `{}` where there is none yet.
  end_to_end_id: Type.Optional(Type.Unknown()),
});
type Transaction = Static<typeof Transaction>;
const readTransaction = decoder(Transaction);
const readNewTransaction = decoder(
  Type.Intersect([Transaction, Type.Object({ qr_code: Type.String() })]),
);

/**
 * Its documentation says `expired` in one place and `canceled` in another for the same, and both
 * spellings are in use: a charge so called may still be paid, late. For money that went back it has
 * no word; `refunded` is the one that integrators know, and any other raises the alarm for unknown
 * ones.
 */
const statuses: Statuses = new Map([
  ['created', 'pending'],
  ['pending', 'pending'],
  ['paid', 'paid'],
  ['expired', 'expired'],
  ['canceled', 'expired'],
  ['cancelled', 'expired'],
  ['refunded', 'refunded'],
]);

/** Terms of use, 4.10 (https://pushinpay.com.br/termos-de-uso): word for word, before payment. */
const notice =
  'A PUSHIN PAY atua exclusivamente como processadora de pagamentos e não possui qualquer ' +
  'responsabilidade pela entrega, suporte, conteúdo, qualidade ou cumprimento das obrigações ' +
  'relacionadas aos produtos ou serviços oferecidos pelo vendedor.';

export interface PushinpayAccount {
  /** Without a trailing slash. */
  readonly apiUrl: string;
  readonly accessToken: string;
  /** The value of the header that the panel's settings add to webhooks. */
  readonly webhookSecret: string;
}

export function createPushinpayGateway(
  { apiUrl, accessToken, webhookSecret }: PushinpayAccount,
  dispatcher: Dispatcher,
): Gateway {
  const headers = { authorization: `Bearer ${accessToken}` };
  return {
    kind: 'pushinpay',
    silentOn: {},
    // Accounts that ask about a charge more often get blocked.
    requeryIntervalMs: 60_000,
    checkoutNotice: notice,
    async createCharge(order, timeoutMs) {
      if (order.currency !== 'BRL') return { ok: false, reason: 'it charges in BRL only' };
      const answer = await askGateway(dispatcher, {
        method: 'POST',
        url: `${apiUrl}/pix/cashIn`,
        headers,
        body: { value: order.amountCents, webhook_url: webhookUrlOf(order), split_rules: [] },
        timeoutMs,
      });
      return answer.kind === 'refused'
        ? { ok: false, reason: reasonOf(answer) }
        : openingOf(readAnswer(readNewTransaction, answer.json), order);
    },
    async getCharge(chargeId) {
      const url = `${apiUrl}/transactions/${encodeURIComponent(chargeId)}`;
      const json = toldOrNull(await askGateway(dispatcher, { method: 'GET', url, headers }));
      return json === null ? null : reportOf(readAnswer(readTransaction, json));
    },
    // None is documented, and the libraries that have one disagree on its address: no guesses with
    // somebody's money.
    refund: async (chargeId) => {
      throw new GatewayError(`PushinPay's API cannot refund; refund ${chargeId} in its panel`);
    },
    async verifyWebhook(delivery) {
      const token = delivery.headers['x-pushinpay-token'];
      if (typeof token !== 'string' || !isSameSecret(token, webhookSecret)) {
        return { outcome: 'forged', problem: 'x-pushinpay-token is missing or wrong' };
      }
      return readWebhook(delivery);
    },
  };
}

const referenceParameter = 'payment';

/** An id and no secret: addresses end up in logs. */
function webhookUrlOf({ callbackUrl, paymentId }: ChargeOrder): string {
  const url = new URL(callbackUrl);
  url.searchParams.set(referenceParameter, paymentId);
  return url.href;
}

function referenceIn(webhookUrl: string | null | undefined): string | null {
  if (!webhookUrl || !URL.canParse(webhookUrl)) return null;
  return wellFormed(new URL(webhookUrl).searchParams.get(referenceParameter));
}

const wellFormed = (reference: unknown): string | null =>
  typeof reference === 'string' && /^[\w-]{1,64}$/.test(reference) ? reference : null;

/** The end of the charge is not told: it is at most when we stop showing the code. */
function openingOf(
  transaction: Transaction & { qr_code: string },
  { expiresInSeconds }: ChargeOrder,
): Opening {
  const expiresAt = new Date(Date.now() + expiresInSeconds * 1_000).toISOString();
  return {
    ok: true,
    charge: { ...reportOf(transaction), pixCode: transaction.qr_code, expiresAt },
  };
}

/** A payer's name may stand in any of them: it is no proof of a payment, only the status is. */
function reportOf(transaction: Transaction): ChargeReport {
  const { id, status, value, webhook_url: webhookUrl, end_to_end_id: endToEnd } = transaction;
  const endToEndId =
    typeof endToEnd === 'string' && endToEnd.length <= 64 ? endToEnd || null : null;
  const known = statusIn(statuses, status.toLowerCase());
  // It may be their word for money that went back: an alarm, not a charge that came to nothing.
  const isUnclear = known === 'expired' && endToEndId !== null;
  return {
    chargeId: id.toLowerCase(),
    reference: referenceIn(webhookUrl),
    amountCents: centsOf(value),
    // It knows no other.
    currency: 'BRL',
    status: isUnclear ? 'unknown' : known,
    statusAtGateway: status,
    paidAt: null,
    endToEndId,
    refundedCents: null,
    receiver: null,
    isTestMode: null,
  };
}

/** At most fifteen digits: exact as a number. */
const centsOf = (value: Transaction['value']): number | null =>
  typeof value === 'string' ? Number(value) : (value ?? null);

/** What a delivery says that is known to come from PushinPay. Its content type is not believed. */
export function readWebhook({ body, query }: WebhookDelivery): WebhookVerdict {
  const text = textOf(body);
  if (text === null) return { outcome: 'malformed', problem: 'the body is not UTF-8' };
  const fields = /^\s*\{/.test(text)
    ? parseJson(text)
    : { ok: true as const, value: Object.fromEntries(new URLSearchParams(text)) };
  if (!fields.ok) return { outcome: 'malformed', problem: 'the body is not JSON' };
  const read = readTransaction(fields.value);
  if (!read.ok) return { outcome: 'malformed', problem: read.problem };
  const { id, status, value, webhook_url: webhookUrl } = read.value;
  // Upper case in some webhooks, lower case in the answer to the creation.
  const chargeId = id.toLowerCase();
  const reference = referenceIn(webhookUrl) ?? wellFormed(query[referenceParameter]);
  return {
    outcome: 'verified',
    hint: {
      // What may stand in the address alone tells messages apart as well.
      webhookId: [chargeId, status, reference, fingerprintOf(body)].join(':'),
      type: status,
      isAboutCharge: true,
      chargeId,
      reference,
      amountCents: centsOf(value),
      currency: null,
      claim: null,
      record: withoutPayer(fields.value),
    },
  };
}
