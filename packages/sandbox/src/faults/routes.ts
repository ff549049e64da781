import type { FastifyInstance } from 'fastify';
import {
  faultRuleSchema,
  type FaultRule,
  type Faults,
  type FaultSettings,
  faultSettingsSchema,
  problemsOf,
} from './rules.ts';

/** `/control/faults`: read, replace, add one, remove one or all. */
export function registerFaultRoutes(app: FastifyInstance, faults: Faults): void {
  app.get('/control/faults', () => faults.settings());

  app.put('/control/faults', (request, reply) => {
    const body = Array.isArray(request.body) ? { rules: request.body } : request.body;
    const problems = problemsOf(faultSettingsSchema, body);
    if (problems.length > 0) return reply.code(400).send({ error: problems.join('; ') });
    faults.replace(body as FaultSettings);
    return reply.send(faults.settings());
  });

  app.post('/control/faults', (request, reply) => {
    const problems = problemsOf(faultRuleSchema, request.body);
    if (problems.length > 0) return reply.code(400).send({ error: problems.join('; ') });
    return reply.code(201).send(faults.add(request.body as FaultRule));
  });

  app.delete('/control/faults', () => {
    faults.replace({ rules: [] });
    return faults.settings();
  });

  app.delete<{ Params: { id: string } }>('/control/faults/:id', (request, reply) => {
    if (faults.remove(request.params.id)) return reply.send(faults.settings());
    return reply.code(404).send({ error: `No fault rule has the id ${request.params.id}.` });
  });
}
