/** HTTP edge of the beacon: small, in any form a browser sends it, answered without a body. */
import { parseJson } from '@rastro/events';
import { type HttpServer, Problem, publicIp } from '@rastro/runtime';
import type { WaitOf } from './client-limit.ts';
import { type Captured, type Fields, readBeacon } from './core/beacon.ts';
import { boundedText } from './core/text.ts';

export interface BeaconParts {
  /** Resolves once it is safe, or waits to be known; never rejects. */
  readonly receive: (captured: Captured) => Promise<void>;
  readonly waitOf: WaitOf;
}

const maxBytes = 4_096;

export function addBeaconRoute(scope: HttpServer, { receive, waitOf }: BeaconParts): void {
  // sendBeacon says text/plain, a form says something else again: the text itself decides.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    '*',
    { parseAs: 'string', bodyLimit: maxBytes },
    (_request, body, done) => done(null, body),
  );
  scope.addHook('onRequest', async (request, reply) => {
    const waitSeconds = waitOf(request, request.ip);
    if (waitSeconds === 0) return;
    reply.header('retry-after', String(waitSeconds));
    throw new Problem(429, 'Too many requests', 'Too many beacons from this address in an hour.');
  });
  const options = { bodyLimit: maxBytes };
  scope.post('/api/tracking/cookies', options, async (request, reply) => {
    const reading = readBeacon(fieldsOf(request.body), publicIp);
    if (!reading.ok) throw new Problem(400, 'Invalid beacon', reading.problem);
    await receive({
      beacon: reading.beacon,
      capturedAt: new Date().toISOString(),
      clientIp: publicIp(request.ip),
      userAgent: boundedText(request.headers['user-agent'], 1024),
    });
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
