/**
 * Mercado Pago's Payments API, as its reference has it:
 * https://www.mercadopago.com.br/developers/pt/reference/online-payments/checkout-api-payments/create-payment/post
 */
import { centsToDecimal, decimalToCents, decoder } from '@rastro/events';
import Type, { type Static } from 'typebox';
import type { Dispatcher } from 'undici';
import type { ChargeOrder, ChargeReport, Gateway, Opening } from '../core/gateway.ts';
import {
  askGateway,
  GatewayError,
  isoTime,
  readAnswer,
  reasonOf,
  told,
  toldOrNull,
} from './gateway-http.ts';
import { verifyWebhook } from './mercadopago-webhooks.ts';
import { Maybe, ShortText, statusIn, type Statuses } from './shapes.ts';

export { readWebhook } from './mercadopago-webhooks.ts';

/** A number or a text, as the topic has it. */
const Id = Type.Union([
  Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  Type.String({ pattern: '^[\\w-]{1,64}$' }),
]);
const Decimal = Type.Union([Type.Number(), Type.String({ maxLength: 32 })]);
const TransactionData = Type.Object({
  qr_code: Maybe(Type.String()),
  e2e_id: Type.Optional(Type.Unknown()),
});

const Payment = Type.Object({
  id: Id,
  status: ShortText,
  status_detail: Maybe(ShortText),
  transaction_amount: Decimal,
  transaction_amount_refunded: Maybe(Decimal),
  currency_id: ShortText,
  external_reference: Maybe(ShortText),
  live_mode: Maybe(Type.Boolean()),
  collector_id: Maybe(Id),
  date_approved: Maybe(ShortText),
  date_of_expiration: Maybe(ShortText),
  point_of_interaction: Maybe(Type.Object({ transaction_data: Maybe(TransactionData) })),
});
type Payment = Static<typeof Payment>;
const readPayment = decoder(Payment);

export interface MercadoPagoAccount {
  /** Without a trailing slash. */
  readonly apiUrl: string;
  readonly accessToken: string;
  readonly webhookSecret: string;
  /** Mercado Pago wants one for each payment; customers of a bot have none. */
  readonly payerEmail: string;
}

export function createMercadoPagoGateway(
  { apiUrl, accessToken, webhookSecret, payerEmail }: MercadoPagoAccount,
  dispatcher: Dispatcher,
): Gateway {
  const headers = { authorization: `Bearer ${accessToken}` };
  const paymentsUrl = `${apiUrl}/v1/payments`;
  const urlOf = (chargeId: string) => `${paymentsUrl}/${encodeURIComponent(chargeId)}`;
  const post = (url: string, body: unknown, idempotencyKey: string, timeoutMs?: number) =>
    askGateway(dispatcher, {
      method: 'POST',
      url,
      headers: { ...headers, 'x-idempotency-key': idempotencyKey },
      body,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  async function getCharge(chargeId: string): Promise<ChargeReport | null> {
    const url = urlOf(chargeId);
    const json = toldOrNull(await askGateway(dispatcher, { method: 'GET', url, headers }));
    return json === null ? null : reportOf(readAnswer(readPayment, json));
  }
  async function knownCharge(chargeId: string): Promise<ChargeReport> {
    const report = await getCharge(chargeId);
    if (report === null) throw new GatewayError(`the gateway knows no payment ${chargeId}`);
    return report;
  }
  return {
    kind: 'mercadopago',
    silentOn: {},
    requeryIntervalMs: 0,
    checkoutNotice: null,
    async createCharge(order, timeoutMs) {
      if (order.currency !== 'BRL') {
        return { ok: false, reason: `a PIX is paid in BRL, not in ${order.currency}` };
      }
      const body = orderBody(order, { payerEmail, nowMs: Date.now() });
      const answer = await post(paymentsUrl, body, order.paymentId, timeoutMs);
      return answer.kind === 'refused'
        ? { ok: false, reason: reasonOf(answer) }
        : openingOf(readAnswer(readPayment, answer.json));
    },
    getCharge,
    async refund(chargeId, amountCents) {
      const { status, statusAtGateway, refundedCents } = await knownCharge(chargeId);
      if (status === 'unknown') {
        throw new GatewayError(`payment ${chargeId} is ${statusAtGateway}: look at it first`);
      }
      // Says from where to where, so that asking twice at once gives back once.
      const key = `refund-${chargeId}-${refundedCents ?? 0}-${amountCents}`;
      const body = { amount: amountOf(amountCents) };
      // It tells of the refund, or of nothing where the key was used before.
      told(await post(`${urlOf(chargeId)}/refunds`, body, key));
      return knownCharge(chargeId);
    },
    verifyWebhook: async (delivery) => verifyWebhook(webhookSecret, delivery),
  };
}

/**
 * For a seller who gives none: what is sent there comes back to him. Names of no public domain are
 * refused (code 4050).
 */
export function placeholderEmail(publicOrigin: string): string {
  const { hostname } = new URL(publicOrigin);
  const isPublic = /\.[a-z][a-z\d-]+$/.test(hostname) && !reservedDomain.test(hostname);
  return `comprador@${isPublic ? hostname : 'example.com'}`;
}

/** RFC 2606, RFC 6762 and the like. */
const reservedDomain = /\.(test|example|invalid|localhost|local|internal|lan)$/;

/** JSON writes the shortest decimal that means the same number: 1990 is sent as 19.9. */
const amountOf = (cents: number): number => Number(centsToDecimal(cents));

function orderBody(
  order: ChargeOrder,
  { payerEmail, nowMs }: { payerEmail: string; nowMs: number },
) {
  const notificationUrl = new URL(order.callbackUrl);
  // Else each message comes as IPN too, which nobody can prove
  // (…/developers/pt/docs/your-integrations/notifications/ipn).
  notificationUrl.searchParams.set('source_news', 'webhooks');
  return {
    transaction_amount: amountOf(order.amountCents),
    description: order.description,
    payment_method_id: 'pix',
    external_reference: order.paymentId,
    notification_url: notificationUrl.href,
    date_of_expiration: dateOf(expiryMsOf(order, nowMs)),
    payer: { email: payerEmail },
  };
}

const minExpiryMs = 30 * 60_000;
const stepMs = 2 * 60_000;

/**
 * A PIX is open for 30 minutes at least and 30 days at most
 * (…/pt/docs/checkout-api-payments/integration-configuration/integrate-pix). Counted in steps from
 * the birth of the payment, whose UUIDv7 tells it: what is repeated within a step is the same
 * request to the letter, as its idempotency key promises.
 */
function expiryMsOf({ paymentId, expiresInSeconds }: ChargeOrder, nowMs: number): number {
  const bornMs = Number.parseInt(paymentId.replaceAll('-', '').slice(0, 12), 16);
  const startMs = nowMs - ((nowMs - bornMs) % stepMs);
  return startMs + Math.max(expiresInSeconds * 1_000, minExpiryMs + stepMs);
}

const brasiliaMs = -3 * 3_600_000;

/** As `yyyy-MM-dd'T'HH:mm:ss.SSSz` wants it: with an offset, in whole seconds. */
function dateOf(ms: number): string {
  const seconds = Math.ceil((ms + brasiliaMs) / 1_000);
  return new Date(seconds * 1_000).toISOString().replace('Z', '-03:00');
}

function reportOf(payment: Payment): ChargeReport {
  const { status, status_detail: detail, live_mode: isLive, collector_id: collector } = payment;
  const endToEndId = payment.point_of_interaction?.transaction_data?.e2e_id;
  const refundedCents = centsOf(payment.transaction_amount_refunded);
  return {
    chargeId: String(payment.id),
    reference: payment.external_reference ?? null,
    amountCents: centsOf(payment.transaction_amount),
    currency: payment.currency_id,
    status: statusOf(payment, refundedCents),
    statusAtGateway: detail ? `${status}/${detail}` : status,
    paidAt: isoTime(payment.date_approved),
    endToEndId: /^(?:PIX)?(E\w{31})$/.exec(String(endToEndId))?.[1] ?? null,
    refundedCents,
    receiver: collector === null || collector === undefined ? null : String(collector),
    isTestMode: typeof isLive === 'boolean' ? !isLive : null,
  };
}

/** The decimals of a JSON number are those that it was sent with, up to 15 digits. */
const centsOf = (decimal: string | number | null | undefined): number | null =>
  decimalToCents(String(decimal ?? ''));

const statuses: Statuses = new Map([
  ['pending', 'pending'],
  ['in_process', 'pending'],
  ['authorized', 'pending'],
  ['approved', 'paid'],
  ['rejected', 'refused'],
  ['cancelled', 'cancelled'],
  ['refunded', 'refunded'],
  ['in_mediation', 'disputed'],
  ['charged_back', 'charged_back'],
]);

/** What a detail means: …/pt/docs/checkout-api-payments/response-handling/query-results. */
function statusOf(
  { status, status_detail: detail, transaction_amount_refunded: refunded }: Payment,
  refundedCents: number | null,
): ChargeReport['status'] {
  // What was given back and cannot be read is not nothing: a person has to look.
  const isUnreadable = refundedCents === null && refunded !== null && refunded !== undefined;
  if (status === 'approved' && isUnreadable) return 'unknown';
  if (status === 'approved' && (refundedCents ?? 0) > 0) return 'partially_refunded';
  if (status === 'cancelled' && detail === 'expired') return 'expired';
  if (status === 'charged_back' && detail === 'in_process') return 'disputed';
  // Given back to whom, it does not say: a person has to look.
  if (status === 'charged_back' && detail === 'reimbursed') return 'unknown';
  return statusIn(statuses, status);
}

function openingOf(payment: Payment): Opening {
  const expiresAt = isoTime(payment.date_of_expiration);
  const pixCode = payment.point_of_interaction?.transaction_data?.qr_code;
  if (expiresAt === null) return { ok: false, reason: 'its expiry is no time' };
  if (!pixCode) return { ok: false, reason: 'it has no PIX code' };
  return { ok: true, charge: { ...reportOf(payment), pixCode, expiresAt } };
}
