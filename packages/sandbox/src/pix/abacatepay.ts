import { createHmac, randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { Errors } from 'typebox/value';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { WorldPixAccount } from '../world.ts';
import { accountIdOf } from './account.ts';
import type { Charge, ChargeStatus, News } from './charge.ts';
import { accountWithKey, ownCharge, type Vendor, type VendorDesk } from './vendor.ts';

const strict = { additionalProperties: false };
const Text = Type.Optional(Type.String());
const orderSchema = Type.Object(
  {
    method: Type.Literal('PIX'),
    data: Type.Object(
      {
        amount: Type.Integer({ minimum: 1 }),
        expiresIn: Type.Optional(Type.Integer({ minimum: 1 })),
        description: Type.Optional(Type.String({ maxLength: 500 })),
        externalId: Text,
        metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
        customer: Type.Optional(
          Type.Object(
            {
              name: Type.String(),
              taxId: Type.String(),
              email: Type.String(),
              cellphone: Type.String(),
            },
            strict,
          ),
        ),
        utm: Type.Optional(
          Type.Object(
            { source: Text, medium: Text, campaign: Text, term: Text, content: Text },
            strict,
          ),
        ),
      },
      strict,
    ),
  },
  strict,
);
const refundSchema = Type.Object({ id: Type.String(), reason: Text }, strict);

const statuses: Readonly<Record<ChargeStatus, string>> = {
  pending: 'PENDING',
  paid: 'PAID',
  expired: 'EXPIRED',
  cancelled: 'CANCELLED',
  refunded: 'REFUNDED',
  // It gives back all or nothing, and has no word for a dispute that was lost.
  partially_refunded: 'PAID',
  disputed: 'UNDER_DISPUTE',
  charged_back: 'UNDER_DISPUTE',
};

/** Expiries and disputes that were won are told to whoever asks. */
const events: Readonly<Record<News, string | null>> = {
  'charge.created': null,
  'charge.paid': 'transparent.completed',
  'charge.expired': null,
  'charge.refunded': 'transparent.refunded',
  'charge.disputed': 'transparent.disputed',
  'charge.dispute_won': null,
  'charge.dispute_lost': 'transparent.lost',
};

/** The one that the documentation prints, the same for all accounts. */
const publicHmacKey =
  't9dXRhHHo3yDEj5pVDYz0frf7q6bMKyMRmxxCPIPp3RCplBfXRxqlC6ZpiWmOqj4L63qEaeUOtrCI8P0VMUgo6iIga2ri9' +
  'ogaHFs0WIIywSMg0q7RmBfybe1E5XJcfC4IW3alNqym0tXoAKkzvfEjZxV6bE0oG2zJrNNYmUCKZyV0KZ3JS8Votf9EAW' +
  'WYdiDkMkpbMdPggfh1EqHlVkMiTady6jOR3hyzGEHrIz2Ret0xHKMbiqkr9HS1JhNHDX9';

/** AbacatePay, API v2, "checkout transparente", with keys of production: create, list, check, refund. */
export const abacatepay: Vendor = {
  kind: 'abacatepay',
  prefix: '/abacatepay',
  newChargeId: () => `pix_char_${randomBytes(12).toString('hex')}`,
  register: registerRoutes,
  messageOf(charge, news) {
    const event = events[news];
    if (event === null || charge.callbackUrl === '') return null;
    const body = JSON.stringify(webhookBody(charge, event));
    return { type: event, body, contentType: 'application/json' };
  },
  /** A stranger has the key of the HMAC as well. */
  headersOf: ({ body, account, isForged }) => ({
    'x-webhook-secret': isForged ? randomBytes(32).toString('hex') : (account.webhookSecret ?? ''),
    'x-webhook-signature': createHmac('sha256', publicHmacKey).update(body).digest('base64'),
  }),
};

function webhookBody(charge: Charge, event: string) {
  const { id, externalReference, amountCents, createdAtMs } = charge;
  const transparent = {
    id: id.replace('pix_char_', 'char_'),
    externalId: externalReference === '' ? null : externalReference,
    amount: amountCents,
    paidAmount: amountCents,
    platformFee: 80,
    // As in all of the documented events, refunds and disputes too, and whatever the mode is.
    status: 'PAID',
    frequency: 'ONE_TIME',
    devMode: true,
    customerId: null,
    methods: ['PIX'],
    receiptUrl: `https://app.abacatepay.test/receipt/${id}`,
    createdAt: new Date(createdAtMs).toISOString(),
    updatedAt: new Date().toISOString(),
  };
  const payer = { name: 'Maria Santos', taxId: '123.***.789-**', isSameAsCustomer: true };
  return {
    id: `log_${randomBytes(8).toString('hex')}`,
    event,
    apiVersion: 2,
    devMode: false,
    data: {
      transparent,
      customer: { id: '', name: null, email: null, taxId: null },
      payerInformation: { method: 'PIX', PIX: payer },
      ...(event === 'transparent.completed' ? {} : { reason: 'requested_by_customer' }),
    },
  };
}

const failure = (status: number, error: string): Answer => ({
  status,
  body: { data: null, success: false, error },
});

const success = (data: unknown, more: object = {}): Answer => ({
  status: 200,
  body: { data, success: true, error: null, ...more },
});

function registerRoutes(app: FastifyInstance, desk: VendorDesk): void {
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const { status, body } = failure(error.statusCode ?? 500, error.message);
    await reply.code(status).send(body);
  });
  const handle =
    (process: (account: WorldPixAccount, request: FastifyRequest) => Answer) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const fault = desk.faults.strike('pix', { method: request.method, path: request.url });
      const faultBody = (_fault: unknown, status: number) => failure(status, 'Erro interno').body;
      await answerWith(reply, fault, faultBody, () => {
        const key = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
        const account = accountWithKey(desk.world, 'abacatepay', key);
        if (account !== null) return process(account, request);
        return { status: 401, body: { error: 'Token de autenticação inválido ou ausente.' } };
      });
      return reply;
    };
  const path = '/v2/transparents';
  app.post(
    `${path}/create`,
    handle((account, { body }) => createCharge(account, body, desk)),
  );
  app.get(
    `${path}/list`,
    handle((account, { query }) => list(account, query as ListQuery, desk)),
  );
  app.get(
    `${path}/check`,
    handle((account, { query }) => {
      const charge = ownCharge(desk, account, (query as ListQuery).id ?? '');
      if (charge === null) return failure(404, 'Cobrança não encontrada.');
      const { id, status, expiresAt } = describe(charge);
      return success({ id, status, expiresAt });
    }),
  );
  app.post(
    `${path}/refund`,
    handle((account, { body }) => refund(account, body, desk)),
  );
}

function describe(charge: Charge) {
  const { id, status, amountCents, pixCode, createdAtMs, expiresAtMs } = charge;
  const createdAt = new Date(createdAtMs).toISOString();
  return {
    id,
    amount: amountCents,
    status: statuses[status],
    devMode: false,
    brCode: pixCode,
    brCodeBase64: 'data:image/png;base64,iVBORw0KGgo=',
    platformFee: 80,
    receiptUrl: charge.paidAtMs === null ? null : `https://app.abacatepay.test/receipt/${id}`,
    createdAt,
    updatedAt: createdAt,
    expiresAt: new Date(expiresAtMs).toISOString(),
    metadata: charge.metadata ?? {},
  };
}

const daySeconds = 86_400;

function createCharge(account: WorldPixAccount, body: unknown, { gateway }: VendorDesk): Answer {
  const wrong = problemsIn(orderSchema, body);
  if (wrong !== null) return failure(400, wrong);
  const { data } = body as Static<typeof orderSchema>;
  const creation = gateway.create(account, data.externalId ?? null, {
    externalReference: data.externalId ?? '',
    amountCents: data.amount,
    description: data.description ?? '',
    expiresInSeconds: data.expiresIn ?? daySeconds,
    // Set up in its dashboard, once for all charges.
    callbackUrl: account.webhookUrl ?? '',
    ...(data.metadata === undefined ? {} : { metadata: data.metadata }),
  });
  return creation.kind === 'key_reused'
    ? failure(400, 'Este externalId já foi usado em outra cobrança.')
    : success(describe(creation.charge));
}

interface ListQuery {
  id?: string;
  externalId?: string;
  status?: string;
  limit?: string;
  after?: string;
}

/** Newest first, page by page. */
function list(account: WorldPixAccount, query: ListQuery, { gateway }: VendorDesk): Answer {
  const limit = Number(query.limit ?? 100);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) return failure(400, 'limit inválido.');
  const accountId = accountIdOf(account);
  const all = gateway
    .charges()
    .filter((charge) => charge.kind === 'abacatepay' && charge.accountId === accountId)
    .filter(({ id }) => query.id === undefined || id === query.id)
    .filter((one) => [undefined, one.externalReference].includes(query.externalId))
    .filter(({ status }) => [undefined, statuses[status]].includes(query.status));
  const start = query.after === undefined ? 0 : all.findIndex(({ id }) => id === query.after) + 1;
  const page = all.slice(start, start + limit).map(describe);
  const hasMore = all.length > start + limit;
  const next = hasMore ? (page.at(-1)?.id ?? null) : null;
  return success(page, { pagination: { hasMore, next, before: page[0]?.id ?? null } });
}

/** As a whole; `id` of the answer is the refund's own. */
function refund(account: WorldPixAccount, body: unknown, desk: VendorDesk): Answer {
  const wrong = problemsIn(refundSchema, body);
  if (wrong !== null) return failure(400, wrong);
  const { id, reason = null } = body as Static<typeof refundSchema>;
  const charge = ownCharge(desk, account, id);
  if (charge === null) return failure(400, 'TRANSACTION_NOT_FOUND');
  if (charge.status === 'refunded') return failure(400, 'Esta cobrança já foi reembolsada.');
  if (statuses[charge.status] === 'UNDER_DISPUTE') return failure(400, 'TRANSACTION_UNDER_DISPUTE');
  const change = desk.gateway.refund(id, null);
  if (change?.ok !== true) return failure(400, 'TRANSACTION_NOT_REFUNDABLE');
  const createdAt = new Date().toISOString();
  const transaction = `tran_${randomBytes(8).toString('hex')}`;
  const amount = charge.amountCents;
  return success({
    id: transaction,
    status: 'COMPLETE',
    amount,
    reason,
    originalId: id,
    createdAt,
  });
}

function problemsIn(
  schema: typeof orderSchema | typeof refundSchema,
  value: unknown,
): string | null {
  const problems = Errors(schema, value ?? {}).map((found) =>
    `${found.instancePath} ${found.message}`.trim(),
  );
  return problems.length === 0 ? null : problems.join('; ');
}
