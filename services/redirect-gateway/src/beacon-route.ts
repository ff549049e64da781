/** HTTP edge of the beacon: small, in any form a browser sends it, answered without a body. */
import { type DataOf, parseJson, type RastroEvent } from '@rastro/events';
import { type HttpServer, Problem, publicIp } from '@rastro/runtime';
import type { FastifyRequest } from 'fastify';
import { wrapped } from './click-desk.ts';
import { type Beacon, type Fields, readBeacon } from './core/beacon.ts';
import { boundedText } from './core/text.ts';

export interface BeaconParts {
  /** Null where neither token nor slug says whose visitor it is. */
  readonly workspaceOf: (beacon: Beacon) => string | null;
  /** Resolves once the event is safe; never rejects. */
  readonly record: (event: RastroEvent) => Promise<void>;
}

const maxBytes = 4_096;

export function addBeaconRoute(scope: HttpServer, { workspaceOf, record }: BeaconParts): void {
  // sendBeacon says text/plain, a form says something else again: the text itself decides.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    '*',
    { parseAs: 'string', bodyLimit: maxBytes },
    (_request, body, done) => done(null, body),
  );
  const options = { bodyLimit: maxBytes };
  scope.post('/api/tracking/cookies', options, async (request, reply) => {
    const reading = readBeacon(fieldsOf(request.body), publicIp);
    if (!reading.ok) throw new Problem(400, 'Invalid beacon', reading.problem);
    const { beacon } = reading;
    const workspaceId = workspaceOf(beacon);
    if (workspaceId === null)
      throw new Problem(400, 'Unknown token', 'No click of late has this tracking_token.');
    await record(signalsCaptured(request, beacon, workspaceId));
    return reply.code(204).send();
  });
}

/** @throws {Problem} when it is neither a JSON object nor a form. */
function fieldsOf(body: unknown): Fields {
  const text = typeof body === 'string' ? body.trim() : '';
  const json = parseJson(text);
  if (json.ok) {
    if (typeof json.value === 'object' && json.value !== null && !Array.isArray(json.value))
      return json.value as Fields;
  } else if (/^[\w%.-]+=/.test(text)) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  throw new Problem(400, 'Invalid beacon', 'Send a JSON object, or a form.');
}

function signalsCaptured(
  request: FastifyRequest,
  { trackingToken, pageType, fbp, fbc, fbi }: Beacon,
  workspaceId: string,
): RastroEvent<'BrowserSignalsCaptured'> {
  const capturedAt = new Date().toISOString();
  const data: DataOf<'BrowserSignalsCaptured'> = {
    trackingToken,
    pageType,
    capturedAt,
    fbp,
    fbc,
    fbi,
    clientIp: publicIp(request.ip),
    userAgent: boundedText(request.headers['user-agent'], 1024),
  };
  const body = { type: 'BrowserSignalsCaptured', data } as const;
  return wrapped(body, workspaceId, trackingToken, capturedAt);
}
