/**
 * AbacatePay, API v2 (https://docs.abacatepay.com, https://github.com/AbacatePay/documentation):
 * a charge is a "checkout transparente", amounts are in cents of a real. Its webhooks are proven by
 * a secret only: the HMAC beside it has a key that is printed in the documentation.
 */
import { decoder } from '@rastro/events';
import { isSameSecret } from '@rastro/runtime';
import { createHmac } from 'node:crypto';
import Type, { type Static } from 'typebox';
import type { Dispatcher } from 'undici';
import type {
  ChargeOrder,
  ChargeReport,
  Gateway,
  Opening,
  WebhookDelivery,
  WebhookHint,
  WebhookVerdict,
} from '../core/gateway.ts';
import { withoutPayer } from '../core/redaction.ts';
import { askGateway, GatewayError, isoTime, readAnswer, reasonOf } from './gateway-http.ts';
import { Cents, Maybe, statusIn, type Statuses } from './shapes.ts';
import { fingerprintOf, jsonIn } from './webhook-body.ts';

const ChargeId = Type.String({ pattern: '^[\\w-]{1,128}$' });

/** openapi.yaml, `PixQRCode` and `TransparentCharge`. */
const Charge = Type.Object({
  id: ChargeId,
  amount: Cents,
  status: Type.String({ maxLength: 64 }),
  devMode: Maybe(Type.Boolean()),
  expiresAt: Maybe(Type.String()),
  externalId: Maybe(Type.String()),
  metadata: Type.Optional(Type.Unknown()),
});
type Charge = Static<typeof Charge>;
const readNewCharge = decoder(Type.Intersect([Charge, Type.Object({ brCode: Type.String() })]));
const readCharges = decoder(Type.Array(Charge));

/** "Sempre verifique `success`": failures may come with status 200. */
const readEnvelope = decoder(
  Type.Object({
    data: Type.Optional(Type.Unknown()),
    success: Type.Optional(Type.Unknown()),
    error: Maybe(Type.String()),
  }),
);

const statuses: Statuses = new Map([
  ['PENDING', 'pending'],
  ['PAID', 'paid'],
  ['APPROVED', 'paid'],
  ['REDEEMED', 'paid'],
  ['EXPIRED', 'expired'],
  ['CANCELLED', 'cancelled'],
  ['FAILED', 'refused'],
  ['UNDER_DISPUTE', 'disputed'],
  ['REFUNDED', 'refunded'],
]);

/**
 * As tolerant as it gets: what is refused never comes again, so nothing that is odd about a proven
 * message may cost us the rest of it.
 */
const readEvent = decoder(
  Type.Object({
    event: Type.Optional(Type.Unknown()),
    id: Type.Optional(Type.Unknown()),
    data: Type.Optional(Type.Unknown()),
  }),
);
const readTransparent = decoder(
  Type.Object({
    transparent: Type.Object({
      externalId: Type.Optional(Type.Unknown()),
      paidAmount: Type.Optional(Type.Unknown()),
    }),
  }),
);

export interface AbacatepayAccount {
  /** Without a trailing slash and the version. */
  readonly apiUrl: string;
  readonly accessToken: string;
  /** As given when the webhook was set up, 32 characters at least. */
  readonly webhookSecret: string;
}

export function createAbacatepayGateway(
  { apiUrl, accessToken, webhookSecret }: AbacatepayAccount,
  dispatcher: Dispatcher,
): Gateway {
  const headers = { authorization: `Bearer ${accessToken}` };
  const call = async (method: 'GET' | 'POST', path: string, how: Call = {}): Promise<Result> => {
    const url = `${apiUrl}/v2/transparents/${path}`;
    const answer = await askGateway(dispatcher, { method, url, headers, ...how });
    if (answer.kind === 'refused') return { ok: false, problem: reasonOf(answer) };
    const { success, data, error } = readAnswer(readEnvelope, answer.json);
    const hasFailed = success === false || data === null || data === undefined;
    return hasFailed
      ? { ok: false, problem: error?.slice(0, 256) ?? 'no data' }
      : { ok: true, data };
  };
  const getCharge = async (chargeId: string): Promise<ChargeReport | null> => {
    const query = new URLSearchParams({ id: chargeId, limit: '1' });
    // Unlike `check`, it tells amount, live mode and metadata.
    const result = await call('GET', `list?${query.toString()}`);
    if (!result.ok) throw new GatewayError(`the gateway refused: ${result.problem}`);
    const found = readAnswer(readCharges, result.data).find(({ id }) => id === chargeId);
    return found ? reportOf(found) : null;
  };
  return {
    kind: 'abacatepay',
    // Its answers tell how much was asked for, its webhooks how much was paid; and a dispute that
    // was lost stays UNDER_DISPUTE.
    silentOn: { amount: true, lostDisputes: true },
    requeryIntervalMs: 0,
    checkoutNotice: null,
    // "Uma resposta 401 não gera nova tentativa", and neither does any other 4xx but 408 and 429.
    isRefusalFinal: true,
    async createCharge(order, timeoutMs) {
      if (order.currency !== 'BRL') return { ok: false, reason: 'it charges in BRL only' };
      const result = await call('POST', 'create', { body: orderBody(order), timeoutMs });
      return result.ok
        ? openingOf(readAnswer(readNewCharge, result.data))
        : { ok: false, reason: result.problem };
    },
    getCharge,
    async refund(chargeId, amountCents) {
      const before = await getCharge(chargeId);
      if (before === null) throw new GatewayError(`AbacatePay has no charge ${chargeId}`);
      if (before.status === 'refunded') return before;
      if (before.amountCents !== amountCents) {
        throw new GatewayError(
          `AbacatePay refunds charges as a whole only: ${before.amountCents} cents, not ${amountCents}`,
        );
      }
      const result = await call('POST', 'refund', { body: { id: chargeId } });
      const after = await getCharge(chargeId);
      // Somebody else may have been first: "Esta cobrança já foi reembolsada." is no failure.
      if (after !== null && (result.ok || after.status === 'refunded')) return after;
      throw new GatewayError(
        `the refund was refused: ${result.ok ? 'it is gone' : result.problem}`,
      );
    },
    verifyWebhook: async (delivery) => verifyWebhook(delivery, webhookSecret),
  };
}

type Call = Pick<Parameters<typeof askGateway>[1], 'body' | 'timeoutMs'>;
type Result =
  | { readonly ok: true; readonly data: unknown }
  | { readonly ok: false; readonly problem: string };

/** `externalId` makes a repetition the same charge; the answers only hand back the metadata. */
function orderBody({ amountCents, expiresInSeconds, description, paymentId }: ChargeOrder) {
  const data = {
    amount: amountCents,
    expiresIn: expiresInSeconds,
    description,
    externalId: paymentId,
    metadata: { paymentId },
  };
  return { method: 'PIX', data };
}

function openingOf(charge: Charge & { brCode: string }): Opening {
  const expiresAt = isoTime(charge.expiresAt);
  if (expiresAt === null) return { ok: false, reason: 'its expiry is no time' };
  return { ok: true, charge: { ...reportOf(charge), pixCode: charge.brCode, expiresAt } };
}

function reportOf(charge: Charge): ChargeReport {
  const { id, amount, status, devMode } = charge;
  const known = statusIn(statuses, status);
  return {
    chargeId: id,
    reference: referenceOf(charge),
    amountCents: amount,
    // It knows no other.
    currency: 'BRL',
    status: known,
    statusAtGateway: status,
    paidAt: null,
    endToEndId: null,
    refundedCents: known === 'refunded' ? amount : null,
    receiver: null,
    isTestMode: devMode ?? null,
  };
}

function referenceOf({ externalId, metadata }: Charge): string | null {
  const { paymentId } = (metadata ?? {}) as { paymentId?: unknown };
  return externalId ?? (typeof paymentId === 'string' ? paymentId : null);
}

/**
 * Of all accounts and in everybody's hands: https://docs.abacatepay.com/pages/notificacoes/seguranca
 * prints it. What it signs came intact, from whomever.
 */
export const publicHmacKey =
  't9dXRhHHo3yDEj5pVDYz0frf7q6bMKyMRmxxCPIPp3RCplBfXRxqlC6ZpiWmOqj4L63qEaeUOtrCI8P0VMUgo6iIga2ri9' +
  'ogaHFs0WIIywSMg0q7RmBfybe1E5XJcfC4IW3alNqym0tXoAKkzvfEjZxV6bE0oG2zJrNNYmUCKZyV0KZ3JS8Votf9EAW' +
  'WYdiDkMkpbMdPggfh1EqHlVkMiTady6jOR3hyzGEHrIz2Ret0xHKMbiqkr9HS1JhNHDX9';

/** The secret comes in the header and in the address, the same in both; the header is preferred. */
function verifyWebhook(delivery: WebhookDelivery, secret: string): WebhookVerdict {
  const { headers, query, body } = delivery;
  const given = headers['x-webhook-secret'] ?? query['webhookSecret'];
  if (typeof given !== 'string' || !isSameSecret(given, secret)) {
    return { outcome: 'forged', problem: 'X-Webhook-Secret is missing or wrong' };
  }
  const verdict = readWebhook(delivery);
  if (verdict.outcome !== 'verified') return verdict;
  const checksum = headers['x-webhook-signature'];
  const expected = createHmac('sha256', publicHmacKey).update(body).digest('base64');
  if (checksum === undefined || checksum === expected) return verdict;
  // Whatever changed the body on its way, the gateway itself is asked what is true.
  return remarked(verdict, 'the body is not the one that was signed');
}

type Verified = Extract<WebhookVerdict, { outcome: 'verified' }>;

function remarked(verdict: Verified, remark: string): Verified {
  const before = verdict.remark === undefined ? '' : `${verdict.remark}; `;
  return { ...verdict, remark: before + remark };
}

/**
 * What a delivery says that is known to come from AbacatePay. `event` says what happened: the
 * `status` inside stays PAID after refunds and disputes. The id inside is not the one that the
 * creation answered (`char_…`, not `pix_char_…`), so that only our reference leads to the charge.
 *
 * Only what is no JSON object at all is refused: there is nothing in it to act upon, and the alarm
 * that goes with a refusal is all that can be done about it.
 */
export function readWebhook({ body }: WebhookDelivery): WebhookVerdict {
  const json = jsonIn(body);
  if (!json.ok) return { outcome: 'malformed', problem: json.problem };
  const read = readEvent(json.value);
  if (!read.ok) return { outcome: 'malformed', problem: read.problem };
  const { event, id, data } = read.value;
  const isNamed = typeof event === 'string' && /^[\w.-]{1,64}$/.test(event);
  const type = isNamed ? event : 'without event';
  // Promised since 2026, and missing in the documented events.
  const isNumbered = typeof id === 'string' && /^[\w-]{1,128}$/.test(id);
  const webhookId = isNumbered ? id : `${type}:${fingerprintOf(body)}`;
  if (isNamed && type.startsWith('transparent.')) {
    return aboutCharge({ webhookId, type, record: withoutPayer(json.value) }, data);
  }
  const hint = { ...nothing, webhookId, type, isAboutCharge: false, record: { type } };
  const verdict: Verified = { outcome: 'verified', hint };
  return isNamed ? verdict : remarked(verdict, 'it does not say what happened');
}

const nothing = {
  chargeId: null,
  reference: null,
  amountCents: null,
  currency: null,
  claim: null,
} as const;

function aboutCharge(
  message: Pick<WebhookHint, 'webhookId' | 'type' | 'record'>,
  data: unknown,
): WebhookVerdict {
  const { type } = message;
  const read = readTransparent(data);
  const { externalId = null, paidAmount = null } = read.ok ? read.value.transparent : {};
  const isPaid = type === 'transparent.completed';
  const hint: WebhookHint = {
    ...nothing,
    ...message,
    isAboutCharge: true,
    reference: isReference(externalId) ? externalId : null,
    // Of the others, nobody says whether it is what was paid or what went back.
    amountCents: isPaid && isCents(paidAmount) ? paidAmount : null,
    // Its API has no word for a dispute that was lost.
    claim: type === 'transparent.lost' ? 'charged_back' : null,
  };
  const verdict: Verified = { outcome: 'verified', hint };
  if (!read.ok || (externalId !== null && !isReference(externalId))) {
    return remarked(verdict, 'it does not say which charge it is about');
  }
  const isAmountOdd = isPaid && paidAmount !== null && !isCents(paidAmount);
  return isAmountOdd ? remarked(verdict, 'paidAmount is no amount in cents') : verdict;
}

const isReference = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= 256 && !value.includes('\0');

const isCents = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;
