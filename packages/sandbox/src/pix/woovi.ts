/**
 * Woovi, also called OpenPix: `/api/v1/charge`, its refunds, transactions, disputes and the public keys of
 * its webhooks (https://developers.woovi.com/api). Money in cents, errors as `{ error }`, and 400 also
 * for what does not exist.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { Errors } from 'typebox/value';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { WorldPixAccount } from '../world.ts';
import { accountIdOf } from './account.ts';
import type { Charge } from './charge.ts';
import { accountWithKey, type Vendor, type VendorDesk } from './vendor.ts';
import { publicKeys, signatureOf } from './woovi-keys.ts';
import {
  chargeOf,
  disputeOf,
  messagesOf,
  newIdentifier,
  refundOf,
  transactionOf,
} from './woovi-messages.ts';

const Comment = Type.String({ maxLength: 140 });

const chargeSchema = Type.Object({
  correlationID: Type.String({ minLength: 1, maxLength: 255 }),
  value: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
  comment: Type.Optional(Comment),
  expiresIn: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
});
const refundSchema = Type.Object({
  correlationID: Type.String({ minLength: 1, maxLength: 255 }),
  value: Type.Optional(Type.Integer({ minimum: 1 })),
  comment: Type.Optional(Comment),
});
const defaultExpirySeconds = 86_400;

export const woovi: Vendor = {
  kind: 'woovi',
  prefix: '/woovi',
  newChargeId: newIdentifier,
  register: registerRoutes,
  messageOf: messagesOf,
  headersOf: ({ body, isForged }) => ({ 'x-webhook-signature': signatureOf(body, isForged) }),
};

const refused = (status: number, error: string): Answer => ({ status, body: { error } });

const faultBody = () => ({ error: 'A fault is switched on in the sandbox.' });

type Handler = (account: WorldPixAccount, request: FastifyRequest) => Answer;
/** Makes a route of it that checks the AppID first. */
type Handle = (
  process: Handler,
) => (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

function registerRoutes(app: FastifyInstance, desk: VendorDesk): void {
  const { world, faults } = desk;
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const { statusCode: status = 500, message } = error;
    const answer = refused(status, status < 500 ? message : 'Erro interno');
    await reply.code(answer.status).send(answer.body);
  });

  const answer =
    (process: (request: FastifyRequest) => Answer) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const fault = faults.strike('pix', { method: request.method, path: request.url });
      await answerWith(reply, fault, faultBody, () => process(request));
      return reply;
    };
  const handle = (process: Handler) =>
    answer((request) => {
      // The AppID as it is, without `Bearer`.
      const account = accountWithKey(world, 'woovi', request.headers.authorization);
      return account === null ? refused(401, 'appID inválido') : process(account, request);
    });

  app.get(
    '/api/v1/webhook/public-keys',
    answer(() => ({
      status: 200,
      body: publicKeys(),
      headers: { 'cache-control': 'public, max-age=3600' },
    })),
  );
  app.post(
    '/api/v1/charge',
    handle((account, request) => createCharge(account, request, desk)),
  );
  app.get(
    '/api/v1/charge/:id',
    handle((account, request) => {
      const charge = findCharge(desk, account, idIn(request));
      return charge ? { status: 200, body: { charge: chargeOf(charge) } } : noCharge;
    }),
  );
  registerMoney(app, handle, desk);
}

/** What became of the money of a charge. */
function registerMoney(app: FastifyInstance, handle: Handle, desk: VendorDesk): void {
  app.get(
    '/api/v1/charge/:id/refund',
    handle((account, request) => listRefunds(findCharge(desk, account, idIn(request)), request)),
  );
  app.post(
    '/api/v1/charge/:id/refund',
    handle((account, request) => refund(account, request, desk)),
  );
  app.get(
    '/api/v1/transaction',
    handle((account, request) => listTransactions(account, request, desk)),
  );
  app.get(
    '/api/v1/dispute/:id',
    handle((account, request) => {
      const id = idIn(request);
      const found = chargesOf(desk, account).find(({ endToEndId }) => endToEndId === id);
      const dispute = found && disputeOf(found);
      return dispute
        ? { status: 200, body: { dispute: { ...dispute, type: 'CHARGEBACK' } } }
        : refused(400, 'Disputa não encontrada');
    }),
  );
  app.get(
    '/api/v1/transaction/:id',
    handle((account, request) => {
      const id = idIn(request);
      const found = chargesOf(desk, account).find(({ endToEndId }) => endToEndId === id);
      if (found === undefined) return refused(400, 'Transação não encontrada');
      return { status: 200, body: { transaction: transactionOf(found) } };
    }),
  );
}

/** Without a filter, all of the account's payments. */
function listTransactions(account: WorldPixAccount, request: FastifyRequest, desk: VendorDesk) {
  const { charge: wanted } = request.query as { charge?: string };
  const found = wanted === undefined ? null : findCharge(desk, account, wanted);
  if (found === undefined) return noCharge;
  const charges = found === null ? chargesOf(desk, account) : [found];
  const transactions = charges.map(transactionOf).filter((one) => one !== null);
  const { length: totalCount } = transactions;
  const [skip, limit] = [0, Math.max(totalCount, 1)];
  const pageInfo = { skip, limit, totalCount, hasPreviousPage: false, hasNextPage: false };
  return { status: 200, body: { pageInfo, transactions } };
}

const noCharge = refused(400, 'Cobrança não encontrada');
const idIn = ({ params }: FastifyRequest): string => (params as { id: string }).id;

const chargesOf = ({ gateway }: VendorDesk, account: WorldPixAccount): Charge[] =>
  gateway.charges().filter(({ accountId }) => accountId === accountIdOf(account));

/** @param id the correlation id, or the identifier that it was given here */
const findCharge = (desk: VendorDesk, account: WorldPixAccount, id: string): Charge | undefined =>
  chargesOf(desk, account).find((charge) => charge.externalReference === id || charge.id === id);

function createCharge(account: WorldPixAccount, request: FastifyRequest, desk: VendorDesk): Answer {
  const wrong = problemsIn(chargeSchema, request.body);
  if (wrong !== null) return refused(400, wrong);
  const order = request.body as Static<typeof chargeSchema>;
  const existing = findCharge(desk, account, order.correlationID);
  if (existing) {
    const mayRepeat = (request.query as { return_existing?: string }).return_existing === 'true';
    if (!mayRepeat) return refused(400, 'Já existe uma cobrança com o correlationID fornecido');
    return opened(existing);
  }
  const creation = desk.gateway.create(account, null, {
    externalReference: order.correlationID,
    amountCents: order.value,
    description: order.comment ?? '',
    expiresInSeconds: order.expiresIn ?? defaultExpirySeconds,
    callbackUrl: account.webhookUrl ?? '',
  });
  return creation.kind === 'key_reused' ? refused(400, 'correlationID') : opened(creation.charge);
}

function opened(charge: Charge): Answer {
  const told = chargeOf(charge);
  const { correlationID, brCode } = told;
  return { status: 200, body: { charge: told, correlationID, brCode } };
}

function listRefunds(charge: Charge | undefined, { query }: FastifyRequest): Answer {
  if (charge === undefined) return noCharge;
  const { skip: given = '0', limit: wanted = '10' } = query as Record<string, string>;
  const [skip, limit] = [Number(given), Number(wanted)];
  const end = skip + limit;
  const { length: totalCount } = charge.refunds;
  const pageInfo = { skip, limit, totalCount, hasPreviousPage: skip > 0 };
  const refunds = charge.refunds.slice(skip, end).map((one) => refundOf(one, 'CONFIRMED'));
  const body = { pageInfo: { ...pageInfo, hasNextPage: end < totalCount }, refunds };
  return { status: 200, body };
}

/** The answer says IN_PROCESSING, and a moment later the list says CONFIRMED. */
function refund(account: WorldPixAccount, request: FastifyRequest, desk: VendorDesk): Answer {
  const charge = findCharge(desk, account, idIn(request));
  if (charge === undefined) return noCharge;
  const wrong = problemsIn(refundSchema, request.body);
  if (wrong !== null) return refused(400, wrong);
  const { correlationID, value } = request.body as Static<typeof refundSchema>;
  const repeated = charge.refunds.find(({ id }) => id === correlationID);
  if (repeated) return { status: 200, body: { refund: refundOf(repeated, 'CONFIRMED') } };
  const change = desk.gateway.refund(charge.id, value ?? null, correlationID);
  if (change?.ok !== true) return refused(400, change?.problem ?? 'Cobrança não encontrada');
  const made = change.charge.refunds.find(({ id }) => id === correlationID);
  return made
    ? { status: 200, body: { refund: refundOf(made, 'IN_PROCESSING') } }
    : refused(400, 'Reembolso não encontrado');
}

function problemsIn(
  schema: typeof chargeSchema | typeof refundSchema,
  value: unknown,
): string | null {
  const problems = Errors(schema, value).map((found) =>
    `${found.instancePath} ${found.message}`.trim(),
  );
  return problems.length === 0 ? null : problems.join('; ');
}
