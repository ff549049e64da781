import { createHash, randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerWith, type Outcome } from '../faults/answer.ts';
import type { Faults } from '../faults/rules.ts';
import type { WorldHolder } from '../world.ts';
import { tokenOf } from './access.ts';
import { createTraceId, graphErrorAnswer, graphFaultBody, invalidParameter } from './errors.ts';
import { isRecord } from './findings.ts';
import { registerQualityRoute } from './quality-routes.ts';
import { receiveEvents, type Reception } from './receive.ts';
import type { GraphRequest, GraphStore } from './store.ts';

interface EventsRoute {
  Params: { version: string; pixelId: string };
  Querystring: Record<string, unknown>;
}

const maxBodyBytes = 16 * 1024 * 1024;
const shownEvents = 50;

/** What Meta's Graph API answers at `/graph/vNN.0/…`: events taken in, and their quality. */
export function registerGraphRoutes(
  app: FastifyInstance,
  world: WorldHolder,
  store: GraphStore,
  faults: Faults,
): void {
  app.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    const detail = status < 500 ? error.message : 'An unknown error occurred';
    const code = status < 500 ? 100 : 1;
    const graphError = { ...invalidParameter(detail), status: status < 500 ? 400 : 500, code };
    const answer = graphErrorAnswer(graphError, createTraceId());
    if (request.method === 'POST') store.addRequest(unreadRequest(request, answer.status, detail));
    await reply.code(answer.status).send(answer.body);
  });
  app.setNotFoundHandler((request, reply) => {
    const { pathname } = new URL(request.url, 'http://any');
    const error = { status: 400, code: 2500, message: `Unknown path components: ${pathname}` };
    if (request.method === 'POST') store.addRequest(unreadRequest(request, 400, error.message));
    return reply.code(400).send(graphErrorAnswer(error, createTraceId()).body);
  });
  registerQualityRoute(app, { world, store, faults });
  app.post<EventsRoute>(
    '/:version/:pixelId/events',
    { bodyLimit: maxBodyBytes },
    async (request, reply) => {
      const startedMs = Date.now();
      const { version, pixelId } = request.params;
      const requestId = randomUUID();
      const parameters = { ...request.query, ...(isRecord(request.body) ? request.body : {}) };
      const token = tokenOf(request, parameters);
      const fault = faults.strike('graph', { method: 'POST', path: request.url, pixelId });
      let reception: Reception | null = null;
      const outcome = await answerWith(reply, fault, graphFaultBody, () => {
        const incoming = { requestId, version, pixelId, token, parameters };
        const { pixels } = world.current;
        reception = receiveEvents(incoming, pixels, Date.now(), (eventIds) =>
          faults.condemn(pixelId, eventIds),
        );
        store.addCopies(reception.copies);
        const headers = { 'facebook-api-version': version, 'x-fb-trace-id': reception.traceId };
        return { ...reception.answer, headers };
      });
      const seen = reception ?? peek(parameters);
      const events = store.isFull
        ? seen.events.map((event) => ({ ...nameEvent(event), digest: digestOf(event) }))
        : seen.events.slice(0, shownEvents).map(nameEvent);
      store.addRequest({ ...logEntry(request, requestId, startedMs, outcome, seen), events });
      return reply;
    },
  );
}

/** `/control/graph/*`: what was received, for tests and for the Events Manager page. */
export function registerGraphControl(app: FastifyInstance, store: GraphStore): void {
  interface Query {
    Querystring: { pixelId?: string; eventName?: string; eventId?: string; limit?: string };
  }
  const limitOf = (limit: string | undefined) =>
    limit === undefined ? undefined : Math.max(1, Number.parseInt(limit, 10) || 1);
  app.get<Query>('/control/graph/events', ({ query }) =>
    store.groups({ ...query, limit: limitOf(query.limit) }),
  );
  app.get<Query>('/control/graph/requests', ({ query }) =>
    store.requests({ pixelId: query.pixelId, limit: limitOf(query.limit) }),
  );
  app.get('/control/graph/revision', () => ({ revision: store.revision() }));
}

/** What a request that was never processed (a fault answered it) would have brought. */
function peek(parameters: Record<string, unknown>): Pick<Reception, 'events'> {
  const { data } = parameters;
  return { events: Array.isArray(data) ? data : [] };
}

function logEntry(
  request: FastifyRequest<EventsRoute>,
  id: string,
  startedMs: number,
  outcome: Outcome,
  reception: Partial<Reception> & { events: unknown[] },
): Omit<GraphRequest, 'events'> {
  const { version, pixelId } = request.params;
  const answered = isRecord(outcome.body) ? outcome.body : {};
  const error = isRecord(answered['error']) ? answered['error'] : {};
  const traceId = answered['fbtrace_id'] ?? error['fbtrace_id'];
  return {
    id,
    atMs: startedMs,
    version,
    pixelId,
    tokenOk: reception.tokenOk ?? false,
    contentType: request.headers['content-type'] ?? '',
    status: outcome.status,
    code: numberOrNull(error['code']),
    subcode: numberOrNull(error['error_subcode']),
    message: textOrNull(error['message']),
    detail: textOrNull(error['error_user_msg']),
    eventCount: reception.events.length,
    accepted: (reception.copies?.length ?? 0) > 0,
    dropped: outcome.dropped,
    faulted: outcome.replaced,
    testEventCode: reception.testEventCode ?? null,
    fbtraceId: textOrNull(traceId),
    durationMs: Date.now() - startedMs,
  };
}

function unreadRequest(request: FastifyRequest, status: number, detail: string): GraphRequest {
  const { version = '', pixelId = '' } = (request.params ?? {}) as Record<string, string>;
  return {
    id: randomUUID(),
    atMs: Date.now(),
    version,
    pixelId,
    tokenOk: false,
    contentType: request.headers['content-type'] ?? '',
    status,
    code: 100,
    subcode: null,
    message: 'Invalid parameter',
    detail,
    events: [],
    eventCount: 0,
    accepted: false,
    dropped: false,
    faulted: false,
    testEventCode: null,
    fbtraceId: null,
    durationMs: 0,
  };
}

function nameEvent(event: unknown): GraphRequest['events'][number] {
  const fields = isRecord(event) ? event : {};
  return {
    eventName: textOrNull(fields['event_name']),
    eventId: textOrNull(fields['event_id']),
    eventTime: numberOrNull(fields['event_time']),
  };
}

function digestOf(event: unknown): string {
  return createHash('sha256').update(JSON.stringify(event)).digest('hex');
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
