/** `/control/pix/*`: the payer's bank and the gateway's back office, for tests and the page. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type Change, type Charge, describeCharge } from './charge.ts';
import type { Gateway } from './gateway.ts';
import type { Webhooks } from './webhooks.ts';

interface ChargeRoute {
  Params: { id: string };
  Body: { amount_cents?: number; force?: boolean; won?: boolean } | undefined;
}

export function registerPixControl(
  app: FastifyInstance,
  gateway: Gateway,
  webhooks: Webhooks,
): void {
  interface ListRoute {
    Querystring: { external_reference?: string; limit?: string };
  }
  const limitOf = (limit: string | undefined) => (limit === undefined ? Infinity : Number(limit));
  app.get<ListRoute>('/control/pix/charges', ({ query }) => {
    const wanted = query.external_reference;
    return gateway
      .charges()
      .filter((charge) => wanted === undefined || charge.externalReference === wanted)
      .slice(0, limitOf(query.limit))
      .map(describeCharge);
  });
  app.get<ListRoute>('/control/pix/webhooks', ({ query }) =>
    webhooks.deliveries().slice(0, limitOf(query.limit)),
  );

  app.post<{ Body: { code?: unknown } | undefined }>('/control/pix/decode', (request, reply) => {
    const code = request.body?.code;
    const found = gateway.findByCode(typeof code === 'string' ? code : '');
    if ('problem' in found) return reply.code(422).send({ error: found.problem });
    return reply.send({ ...describeCharge(found.charge), payee: found.payee });
  });

  const answer = (change: Change | null, reply: FastifyReply) => {
    if (change === null) return reply.code(404).send({ error: 'No such charge.' });
    if (!change.ok) return reply.code(409).send({ error: change.problem });
    return reply.send(describeCharge(change.charge));
  };
  app.post<ChargeRoute>('/control/pix/charges/:id/pay', ({ params, body }, reply) =>
    answer(gateway.pay(params.id, body?.force === true), reply),
  );
  app.post<ChargeRoute>('/control/pix/charges/:id/refund', ({ params, body }, reply) =>
    answer(gateway.refund(params.id, body?.amount_cents ?? null), reply),
  );
  app.post<ChargeRoute>('/control/pix/charges/:id/dispute', ({ params }, reply) =>
    answer(gateway.dispute(params.id), reply),
  );
  /** How the dispute ended, for the seller. */
  app.post<ChargeRoute>('/control/pix/charges/:id/settle', ({ params, body }, reply) =>
    answer(gateway.settle(params.id, body?.won === true), reply),
  );
  app.post<ChargeRoute>('/control/pix/charges/:id/expire', ({ params }, reply) =>
    answer(gateway.expire(params.id), reply),
  );
  /** A stranger's `charge.paid` about an unpaid charge, signed with a secret of their own. */
  app.post<ChargeRoute>('/control/pix/charges/:id/forge', ({ params }, reply) => {
    const charge = gateway.find(params.id);
    if (charge === undefined) return reply.code(404).send({ error: 'No such charge.' });
    const claimed: Charge = { ...charge, status: 'paid', paidAtMs: Date.now() };
    webhooks.announce(claimed, 'charge.paid', { forge: true });
    return reply.send(describeCharge(charge));
  });
}
