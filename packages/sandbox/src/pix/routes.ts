import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { Errors } from 'typebox/value';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { Faults } from '../faults/rules.ts';
import type { WorldHolder, WorldPixAccount } from '../world.ts';
import { type Charge, describeCharge } from './charge.ts';
import { accountIdOf, type Gateway } from './gateway.ts';

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
export function registerPixRoutes(
  app: FastifyInstance,
  world: WorldHolder,
  gateway: Gateway,
  faults: Faults,
): void {
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
        const account = accountOf(request, world);
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
      const charge = ownCharge(account, request, gateway);
      if (charge === null) return problem(404, 'Not Found', 'No such charge.');
      return { status: 200, body: describeCharge(charge) };
    }),
  );
  app.post(
    '/charges/:id/refund',
    handle((account, request) => refund(account, request, gateway)),
  );
}

function createCharge(account: WorldPixAccount, request: FastifyRequest, gateway: Gateway): Answer {
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

function refund(account: WorldPixAccount, request: FastifyRequest, gateway: Gateway): Answer {
  const charge = ownCharge(account, request, gateway);
  if (charge === null) return problem(404, 'Not Found', 'No such charge.');
  const wrong = problemsIn(refundSchema, request.body ?? {});
  if (wrong !== null) return problem(422, 'Unprocessable Content', wrong);
  const { amount_cents: cents } = (request.body ?? {}) as Static<typeof refundSchema>;
  const change = gateway.refund(charge.id, cents ?? null);
  if (change?.ok !== true) {
    return problem(409, 'Conflict', change?.problem ?? 'The charge is gone.');
  }
  return { status: 200, body: describeCharge(change.charge) };
}

function accountOf(request: FastifyRequest, world: WorldHolder): WorldPixAccount | null {
  const key = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (key === undefined) return null;
  const given = Buffer.from(key);
  const found = world.current.pixAccounts.find((account) => {
    const wanted = Buffer.from(account.apiKey);
    return wanted.length === given.length && timingSafeEqual(wanted, given);
  });
  return found ?? null;
}

function ownCharge(
  account: WorldPixAccount,
  request: FastifyRequest,
  gateway: Gateway,
): Charge | null {
  const { id } = request.params as { id: string };
  const charge = gateway.find(id);
  return charge !== undefined && charge.accountId === accountIdOf(account) ? charge : null;
}

function problemsIn(
  schema: typeof chargeOrderSchema | typeof refundSchema,
  value: unknown,
): string | null {
  const problems = Errors(schema, value).map((found) =>
    `${found.instancePath} ${found.message}`.trim(),
  );
  return problems.length === 0 ? null : problems.join('; ');
}
