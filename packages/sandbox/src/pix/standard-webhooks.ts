import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Webhook } from 'standardwebhooks';
import Type, { type Static } from 'typebox';
import { Errors } from 'typebox/value';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { WorldPixAccount } from '../world.ts';
import { describeCharge, type News } from './charge.ts';
import { accountWithKey, type Books, ownCharge, type Vendor, type VendorDesk } from './vendor.ts';

const chargeOrderSchema = Type.Object({
  external_reference: Type.String({ minLength: 1, maxLength: 255 }),
  amount_cents: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
  currency: Type.Literal('BRL'),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  expires_in_seconds: Type.Integer({ minimum: 1, maximum: 7 * 86_400 }),
  callback_url: Type.String({ pattern: '^https?://\\S+$' }),
});
const refundSchema = Type.Object({
  amount_cents: Type.Optional(Type.Integer({ minimum: 1 })),
});

/** RFC 9457. */
function problem(status: number, title: string, detail: string): Answer {
  const body = { type: 'about:blank', title, status, detail };
  return { status, body, headers: { 'content-type': 'application/problem+json' } };
}

const faultBody = (_fault: unknown, status: number) =>
  problem(status, 'Fault', 'A fault is switched on in the sandbox.').body;

/** The generic gateway: `POST /charges`, `GET /charges/:id`, `POST /charges/:id/refund`. */
export const standardWebhooks: Vendor = {
  kind: 'standard-webhooks',
  prefix: '',
  newChargeId: () => `chg_${randomBytes(12).toString('hex')}`,
  register: registerRoutes,
  messageOf(charge, news) {
    const type = types[news];
    if (type === null) return null;
    const data = {
      charge_id: charge.id,
      external_reference: charge.externalReference,
      amount_cents: charge.amountCents,
      currency: charge.currency,
      paid_at: charge.paidAtMs === null ? null : new Date(charge.paidAtMs).toISOString(),
      end_to_end_id: charge.endToEndId,
    };
    const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data });
    return { type, body, contentType: 'application/json' };
  },
  headersOf({ webhookId, body, sentAt, account, isForged }) {
    const own = account.webhookSecret ?? '';
    const secret = isForged ? `whsec_${randomBytes(32).toString('base64')}` : own;
    return {
      'webhook-id': webhookId,
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(webhookId, sentAt, body),
    };
  },
};

/** Four words for all: how a dispute ended, it says when it is asked. */
const types: Readonly<Record<News, string | null>> = {
  'charge.created': null,
  'charge.paid': 'charge.paid',
  'charge.expired': 'charge.expired',
  'charge.refunded': 'charge.refunded',
  'charge.disputed': 'charge.disputed',
  'charge.dispute_won': 'charge.disputed',
  'charge.dispute_lost': 'charge.disputed',
};

function registerRoutes(app: FastifyInstance, desk: VendorDesk): void {
  const { world, gateway, faults } = desk;
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    const detail = status < 500 ? error.message : 'The gateway failed.';
    const answer = problem(status, 'Request refused', detail);
    await reply
      .code(status)
      .headers(answer.headers ?? {})
      .send(answer.body);
  });

  const handle =
    (process: (account: WorldPixAccount, request: FastifyRequest) => Answer) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const fault = faults.strike('pix', { method: request.method, path: request.url });
      await answerWith(reply, fault, faultBody, () => {
        const key = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
        const account = accountWithKey(world, 'standard-webhooks', key);
        if (account !== null) return process(account, request);
        return problem(401, 'Unauthorized', 'Send Authorization: Bearer <apiKey> of an account.');
      });
      return reply;
    };

  app.post(
    '/charges',
    handle((account, request) => createCharge(account, request, gateway)),
  );
  app.get(
    '/charges/:id',
    handle((account, request) => {
      const charge = ownCharge(desk, account, idIn(request));
      if (charge === null) return problem(404, 'Not Found', 'No such charge.');
      return { status: 200, body: describeCharge(charge) };
    }),
  );
  app.post(
    '/charges/:id/refund',
    handle((account, request) => refund(account, request, desk)),
  );
}

function createCharge(account: WorldPixAccount, request: FastifyRequest, gateway: Books): Answer {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || key === '' || key.length > 255) {
    return problem(400, 'Bad Request', 'The header Idempotency-Key is required.');
  }
  const wrong = problemsIn(chargeOrderSchema, request.body);
  if (wrong !== null) return problem(422, 'Unprocessable Content', wrong);
  const order = request.body as Static<typeof chargeOrderSchema>;
  const creation = gateway.create(account, key, {
    externalReference: order.external_reference,
    amountCents: order.amount_cents,
    description: order.description ?? '',
    expiresInSeconds: order.expires_in_seconds,
    callbackUrl: order.callback_url,
  });
  if (creation.kind === 'key_reused') {
    const detail = 'This Idempotency-Key was used with a different body.';
    return problem(422, 'Unprocessable Content', detail);
  }
  const headers = { 'idempotency-replayed': String(creation.kind === 'repeated') };
  return { status: 201, body: describeCharge(creation.charge), headers };
}

function refund(account: WorldPixAccount, request: FastifyRequest, desk: VendorDesk): Answer {
  const charge = ownCharge(desk, account, idIn(request));
  if (charge === null) return problem(404, 'Not Found', 'No such charge.');
  const wrong = problemsIn(refundSchema, request.body ?? {});
  if (wrong !== null) return problem(422, 'Unprocessable Content', wrong);
  const { amount_cents: cents } = (request.body ?? {}) as Static<typeof refundSchema>;
  const change = desk.gateway.refund(charge.id, cents ?? null);
  if (change?.ok !== true) {
    return problem(409, 'Conflict', change?.problem ?? 'The charge is gone.');
  }
  return { status: 200, body: describeCharge(change.charge) };
}

const idIn = ({ params }: FastifyRequest): string => (params as { id: string }).id;

function problemsIn(
  schema: typeof chargeOrderSchema | typeof refundSchema,
  value: unknown,
): string | null {
  const problems = Errors(schema, value).map((found) =>
    `${found.instancePath} ${found.message}`.trim(),
  );
  return problems.length === 0 ? null : problems.join('; ');
}
