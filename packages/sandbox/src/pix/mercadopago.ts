/**
 * Mercado Pago's Payments API as far as a PIX needs it: `POST /v1/payments`,
 * `GET /v1/payments/:id`, `POST /v1/payments/:id/refunds`, and its webhooks. Messages and codes of
 * refusals are those of its reference:
 * https://www.mercadopago.com.br/developers/pt/reference/online-payments/checkout-api-payments/create-payment/post
 */
import { createHmac, randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { WorldPixAccount } from '../world.ts';
import { accountIdOf } from './account.ts';
import type { Charge } from './charge.ts';
import { centsOf, isoOf, numberOf, readOrder, type Refusal } from './mercadopago-order.ts';
import {
  accountWithKey,
  type Dispatch,
  ownCharge,
  type Vendor,
  type VendorDesk,
} from './vendor.ts';

export const mercadoPago: Vendor = {
  kind: 'mercadopago',
  prefix: '/mercadopago',
  newChargeId: () => String(randomInt(100_000_000_000, 200_000_000_000)),
  register: registerRoutes,
  messageOf(charge, news) {
    const action = news === 'charge.created' ? 'payment.created' : 'payment.updated';
    const body = JSON.stringify({
      action,
      api_version: 'v1',
      data: { id: charge.id },
      date_created: isoOf(Date.now()),
      id: randomInt(100_000_000_000, 200_000_000_000),
      live_mode: true,
      type: 'payment',
      user_id: String(collectorOf(charge.accountId)),
    });
    const query = { 'data.id': charge.id, type: 'payment' };
    return { type: action, body, contentType: 'application/json', query };
  },
  headersOf(dispatch) {
    const requestId = randomUUID();
    const ts = timestampOf(dispatch);
    const id = new URL(dispatch.url).searchParams.get('data.id') ?? '';
    const secret = dispatch.isForged
      ? randomBytes(32).toString('hex')
      : (dispatch.account.webhookSecret ?? '');
    const manifest = `id:${id};request-id:${requestId};ts:${ts};`;
    const v1 = createHmac('sha256', secret).update(manifest).digest('hex');
    return { 'x-request-id': requestId, 'x-signature': `ts=${ts},v1=${v1}` };
  },
};

/** Documented as ms, shown in seconds, and seen as both. */
function timestampOf({ webhookId, sentAt }: Dispatch): string {
  const isInSeconds = webhookId.charCodeAt(webhookId.length - 1) % 2 === 0;
  return String(isInSeconds ? Math.floor(sentAt.getTime() / 1_000) : sentAt.getTime());
}

const collectorOf = (accountId: string): number => Number.parseInt(accountId.slice(0, 8), 16);

function refusal(status: number, { code, message }: Refusal): Answer {
  const cause = code === null ? [] : [{ code, description: message, data: null }];
  return { status, body: { message, error: errors[status] ?? 'error', status, cause } };
}

const errors: Readonly<Record<number, string>> = {
  400: 'bad_request',
  401: 'unauthorized',
  404: 'not_found',
  429: 'too_many_requests',
  500: 'internal_error',
};

const faultBody = (_fault: unknown, status: number) =>
  refusal(status, { code: null, message: 'A fault is switched on in the sandbox.' }).body;

function registerRoutes(app: FastifyInstance, desk: VendorDesk): void {
  const { world, faults } = desk;
  /** Of refunds, by account and key; in memory alone, so that a restart forgets them. */
  const refundKeys = new Set<string>();
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    const message = status < 500 ? 'the body must be a Json Object' : 'internal_error';
    const answer = refusal(status, { code: null, message });
    await reply.code(status).send(answer.body);
  });
  const handle =
    (process: (account: WorldPixAccount, request: FastifyRequest) => Answer) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const fault = faults.strike('pix', { method: request.method, path: request.url });
      await answerWith(reply, fault, faultBody, () => {
        const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
        const account = accountWithKey(world, 'mercadopago', token);
        if (account !== null) return process(account, request);
        return refusal(401, { code: null, message: 'invalid access token' });
      });
      return reply;
    };
  app.post(
    '/v1/payments',
    handle((account, request) => create(account, request, desk)),
  );
  app.get(
    '/v1/payments/:id',
    handle((account, request) => {
      const charge = ownCharge(desk, account, idIn(request));
      return charge === null ? notFound : { status: 200, body: describe(charge, account) };
    }),
  );
  app.post(
    '/v1/payments/:id/refunds',
    handle((account, request) => refund(account, request, { desk, refundKeys })),
  );
}

const notFound = refusal(404, { code: 2000, message: 'Payment not found' });
const noKey = refusal(400, { code: 4292, message: "Header X-Idempotency-Key can't be null" });

/** A key that was used before brings back its first payment, whatever the body says now. */
function create(
  account: WorldPixAccount,
  request: FastifyRequest,
  { gateway }: VendorDesk,
): Answer {
  const key = keyIn(request);
  if (key === null) return noKey;
  const reading = readOrder(request.body, Date.now());
  if ('code' in reading) return refusal(400, reading);
  const { kind, charge } = gateway.create(account, key, reading.order);
  return { status: kind === 'created' ? 201 : 200, body: describe(charge, account) };
}

function refund(
  account: WorldPixAccount,
  request: FastifyRequest,
  { desk, refundKeys }: { desk: VendorDesk; refundKeys: Set<string> },
): Answer {
  const key = keyIn(request);
  if (key === null) return noKey;
  const charge = ownCharge(desk, account, idIn(request));
  if (charge === null) return notFound;
  const scopedKey = `${accountIdOf(account)}:${charge.id}:${key}`;
  // Measured at the real one: it says yes again, and nothing of the refund.
  if (refundKeys.has(scopedKey)) return { status: 200, body: '' };
  const { amount } = (request.body ?? {}) as { amount?: unknown };
  const cents = amount === undefined ? null : centsOf(amount);
  const isBadAmount = amount !== undefined && (cents === null || cents < 1);
  const badAmount = { code: 2017, message: 'Invalid transaction_amount for update' };
  if (isBadAmount) return refusal(400, badAmount);
  const change = desk.gateway.refund(charge.id, cents);
  if (change?.ok !== true) {
    const leftCents = charge.paidAtMs === null ? 0 : charge.amountCents - charge.refundedCents;
    const message = 'The action requested is not valid for the current payment state';
    return refusal(400, leftCents > 0 ? badAmount : { code: 2063, message });
  }
  refundKeys.add(scopedKey);
  const [made] = change.charge.refunds.slice(-1);
  return { status: 201, body: describeRefund(change.charge, made) };
}

const idIn = ({ params }: FastifyRequest): string => (params as { id: string }).id;

function keyIn({ headers }: FastifyRequest): string | null {
  const key = headers['x-idempotency-key'];
  return typeof key === 'string' && key !== '' && key.length <= 64 ? key : null;
}

function describeRefund(charge: Charge, refund: Charge['refunds'][number] | undefined) {
  return {
    id: Number.parseInt(refund?.id.slice(0, 8) ?? '0', 16),
    payment_id: Number(charge.id),
    amount: numberOf(refund?.cents ?? 0),
    metadata: {},
    source: { id: String(collectorOf(charge.accountId)), name: 'Loja', type: 'collector' },
    date_created: isoOf(refund?.atMs ?? Date.now()),
    unique_sequence_number: null,
    refund_mode: 'standard',
    status: 'approved',
  };
}

const words: Readonly<Record<Charge['status'], readonly [status: string, detail: string]>> = {
  pending: ['pending', 'pending_waiting_transfer'],
  paid: ['approved', 'accredited'],
  expired: ['cancelled', 'expired'],
  cancelled: ['cancelled', 'by_collector'],
  refunded: ['refunded', 'refunded'],
  partially_refunded: ['approved', 'partially_refunded'],
  disputed: ['in_mediation', 'pending'],
  charged_back: ['charged_back', 'settled'],
};

/** Who paid is only known once somebody has. */
const payer = {
  id: '1234567890',
  email: 'maria.santos@example.com',
  first_name: 'Maria',
  last_name: 'Santos',
  identification: { type: 'CPF', number: '12345678909' },
};

function describe(charge: Charge, account: WorldPixAccount) {
  const [status, detail] = words[charge.status];
  const isPaid = charge.paidAtMs !== null;
  return {
    id: Number(charge.id),
    date_created: isoOf(charge.createdAtMs),
    date_approved: charge.paidAtMs === null ? null : isoOf(charge.paidAtMs),
    date_of_expiration: isoOf(charge.expiresAtMs),
    operation_type: 'regular_payment',
    payment_method_id: 'pix',
    payment_type_id: 'bank_transfer',
    status,
    status_detail: detail,
    currency_id: charge.currency,
    description: charge.description,
    live_mode: !account.apiKey.startsWith('TEST-'),
    collector_id: collectorOf(charge.accountId),
    payer: isPaid ? payer : { id: null, email: null, identification: { type: null, number: null } },
    metadata: {},
    external_reference: charge.externalReference,
    transaction_amount: numberOf(charge.amountCents),
    transaction_amount_refunded: numberOf(charge.refundedCents),
    captured: true,
    notification_url: charge.callbackUrl,
    refunds: charge.refunds.map((refund) => describeRefund(charge, refund)),
    point_of_interaction: {
      type: 'PIX',
      transaction_data: {
        qr_code: charge.pixCode,
        qr_code_base64: 'iVBORw0KGgo=',
        ticket_url: `https://www.mercadopago.com.br/payments/${charge.id}/ticket`,
        e2e_id: charge.endToEndId,
      },
    },
  };
}
