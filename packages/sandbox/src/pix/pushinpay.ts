import { randomBytes, randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { WorldPixAccount } from '../world.ts';
import type { Charge, ChargeStatus, News } from './charge.ts';
import { accountWithKey, ownCharge, type Vendor, type VendorDesk } from './vendor.ts';

/** Its integrators' words: the API takes no expiry and tells none. */
const expiresInSeconds = 15 * 60;
const minCents = 50;

/** It has no words for disputes and for parts of an amount. */
const statuses: Readonly<Record<ChargeStatus, string>> = {
  pending: 'created',
  paid: 'paid',
  expired: 'expired',
  cancelled: 'canceled',
  refunded: 'refunded',
  partially_refunded: 'paid',
  disputed: 'paid',
  charged_back: 'refunded',
};

/** Sent whenever the status has changed. */
const isSent: Readonly<Record<News, boolean>> = {
  'charge.created': false,
  'charge.paid': true,
  'charge.expired': true,
  'charge.refunded': true,
  'charge.disputed': false,
  'charge.dispute_won': false,
  'charge.dispute_lost': true,
};

/** PushinPay: `POST /pix/cashIn` and `GET /transactions/:id`; refunds are made in its panel. */
export const pushinpay: Vendor = {
  kind: 'pushinpay',
  prefix: '/pushinpay',
  newChargeId: randomUUID,
  register: registerRoutes,
  /** Ids in upper case, as sellers have seen them; refunds come as a form, all else as JSON. */
  messageOf(charge, news) {
    const isTold = isSent[news] && charge.status !== 'partially_refunded';
    if (!isTold || charge.callbackUrl === '') return null;
    const transaction = { ...describe(charge), id: charge.id.toUpperCase() };
    const isForm = transaction.status === 'refunded';
    return {
      type: transaction.status,
      body: isForm ? formOf(transaction) : JSON.stringify(transaction),
      contentType: isForm ? 'application/x-www-form-urlencoded' : 'application/json',
    };
  },
  headersOf: ({ account, isForged }) => ({
    'x-pushinpay-token': isForged ? randomBytes(16).toString('hex') : (account.webhookSecret ?? ''),
  }),
};

function describe(charge: Charge) {
  const isPaid = charge.paidAtMs !== null;
  return {
    id: charge.id,
    qr_code: charge.pixCode,
    status: statuses[charge.status],
    value: charge.amountCents,
    webhook_url: charge.callbackUrl === '' ? null : charge.callbackUrl,
    qr_code_base64: 'data:image/png;base64,iVBORw0KGgo=',
    webhook: null,
    split_rules: [],
    end_to_end_id: charge.endToEndId,
    payer_name: isPaid ? 'João Silva' : null,
    payer_national_registration: isPaid ? '12345678901' : null,
  };
}

/** As PHP's `http_build_query` does it: no nulls and no empty lists. */
function formOf(transaction: ReturnType<typeof describe>): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(transaction)) {
    if (value !== null && !Array.isArray(value)) form.set(name, String(value));
  }
  return form.toString();
}

const refusal = (status: number, message: string): Answer => ({ status, body: { message } });

function invalid(field: string, message: string): Answer {
  return { status: 422, body: { message, errors: { [field]: [message] } } };
}

function registerRoutes(app: FastifyInstance, desk: VendorDesk): void {
  const { world, faults } = desk;
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    await reply.code(error.statusCode ?? 500).send({ message: 'Formato JSON inválido' });
  });
  const handle =
    (process: (account: WorldPixAccount, request: FastifyRequest) => Answer) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const fault = faults.strike('pix', { method: request.method, path: request.url });
      const faultBody = () => ({ message: 'Server Error' });
      await answerWith(reply, fault, faultBody, () => {
        const { accept = '', authorization = '' } = request.headers;
        const key = /^Bearer (.+)$/i.exec(authorization)?.[1];
        const account = accountWithKey(world, 'pushinpay', key);
        if (account === null) return refusal(401, 'Unauthenticated.');
        if (!accept.includes('application/json')) return refusal(406, 'Not Acceptable');
        return process(account, request);
      });
      return reply;
    };
  app.post(
    '/pix/cashIn',
    handle((account, { body }) => createCharge(account, body, desk)),
  );
  app.get(
    '/transactions/:id',
    handle((account, { params }) => {
      const { id } = params as { id: string };
      const charge = ownCharge(desk, account, id.toLowerCase());
      return charge === null
        ? refusal(404, 'Pedido não existe')
        : { status: 200, body: describe(charge) };
    }),
  );
}

/** Each call makes another charge: it knows no key. */
function createCharge(account: WorldPixAccount, body: unknown, { gateway }: VendorDesk): Answer {
  const order = (body ?? {}) as { value?: unknown; webhook_url?: unknown; split_rules?: unknown };
  const { value, webhook_url: webhookUrl = '', split_rules: splitRules = [] } = order;
  if (value === undefined || value === null) {
    return invalid('value', 'O campo value é obrigatório.');
  }
  if (!Number.isSafeInteger(value)) {
    return invalid('value', 'O campo value deve ser um número inteiro.');
  }
  if (Number(value) < minCents) {
    return invalid('value', `O campo value deve ser no mínimo ${minCents}.`);
  }
  const isUrl = typeof webhookUrl === 'string' && (webhookUrl === '' || URL.canParse(webhookUrl));
  if (!isUrl) return invalid('webhook_url', 'O campo webhook_url deve ser uma URL válida.');
  if (!Array.isArray(splitRules)) {
    return invalid('split_rules', 'O campo split_rules deve ser um array.');
  }
  const creation = gateway.create(account, null, {
    // Not a field of theirs: only so that the back office can list the charges of a payment.
    externalReference: referenceIn(webhookUrl),
    amountCents: Number(value),
    description: '',
    expiresInSeconds,
    callbackUrl: webhookUrl,
  });
  if (creation.kind === 'key_reused')
    throw new Error('a charge without a key cannot have reused it');
  return { status: 200, body: describe(creation.charge) };
}

const referenceIn = (webhookUrl: string): string =>
  webhookUrl === '' ? '' : (new URL(webhookUrl).searchParams.get('payment') ?? '');
