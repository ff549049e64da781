/** NATS request/reply with both sides checked against the same schemas. */
import type { NatsConnection } from '@nats-io/transport-node';
import {
  decoder,
  parseJson,
  type ReplyOf,
  type RequestDefinition,
  type RequestOf,
  type RequestProblem,
} from '@rastro/events';
import type { Nats } from './connection.ts';

export type RequestResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: RequestProblem };

/**
 * Answers requests, shared with other processes of the same service. Resolves once the server knows
 * of it: who asks after that is not told that nobody is there.
 */
export async function serveRequests<D extends RequestDefinition>(
  nats: Nats,
  options: {
    definition: D;
    service: string;
    handle: (request: RequestOf<D>) => Promise<RequestResult<ReplyOf<D>>>;
  },
): Promise<AsyncDisposable> {
  const { definition, service, handle } = options;
  const decode = decoder(definition.request);
  async function answer(text: string): Promise<RequestResult<ReplyOf<D>>> {
    const json = parseJson(text);
    const decoded = json.ok ? decode(json.value) : json;
    if (!decoded.ok) return refusal('invalid_request', decoded.problem);
    try {
      return await handle(decoded.value as RequestOf<D>);
    } catch (error) {
      nats.log.error({ err: error, subject: definition.subject }, 'a request failed');
      return refusal('unavailable', 'Something went wrong on our side; try again.');
    }
  }
  const underWay = new Set<Promise<void>>();
  const subscription = nats.connection.subscribe(definition.subject, {
    queue: service,
    callback: (error, message) => {
      if (error) return;
      const done = answer(message.string())
        .then((result) => void message.respond(JSON.stringify(result)))
        .catch((failure: unknown) => {
          // E.g. larger than the server's max_payload: the asker hears why instead of nothing.
          nats.log.error({ err: failure, subject: definition.subject }, 'a reply was not sent');
          if (nats.connection.isClosed()) return;
          message.respond(JSON.stringify(refusal('unavailable', 'The reply could not be sent.')));
        })
        .finally(() => underWay.delete(done));
      underWay.add(done);
    },
  });
  await nats.connection.flush();
  return {
    [Symbol.asyncDispose]: async () => {
      subscription.unsubscribe();
      await Promise.allSettled(underWay);
    },
  };
}

function refusal(
  code: RequestProblem['code'],
  message: string,
): { ok: false; error: RequestProblem } {
  return { ok: false, error: { code, message } };
}

/** Asks once; an absent or silent service is an `unavailable` result, not an exception. */
export async function ask<D extends RequestDefinition>(
  connection: NatsConnection,
  definition: D,
  request: RequestOf<D>,
  timeoutMs = 10_000,
): Promise<RequestResult<ReplyOf<D>>> {
  try {
    const reply = await connection.request(definition.subject, JSON.stringify(request), {
      timeout: timeoutMs,
    });
    return reply.json<RequestResult<ReplyOf<D>>>();
  } catch (error) {
    return refusal('unavailable', `${definition.subject}: ${(error as Error).message}`);
  }
}
