/** NATS request/reply with both sides checked against the same schemas. */
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import {
  decoder,
  parseJson,
  type ReplyOf,
  type RequestDefinition,
  type RequestOf,
  type RequestProblem,
} from '@rastro/events';
import type { Nats } from './connection.ts';
import { attestedSubject, attestedWorkspace } from './workspace-access.ts';

interface Question {
  readonly subject: string;
  readonly text: string;
}

export type RequestResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: RequestProblem };

/**
 * Answers requests, shared with other processes of the same service. Resolves once the server knows
 * of it: who asks after that is not told that nobody is there. What a workspace's own program asks
 * arrives under `workspace.<id>.`, which the server wrote: it is refused for any other workspace.
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
  async function answer({ subject, text }: Question): Promise<RequestResult<ReplyOf<D>>> {
    const json = parseJson(text);
    const decoded = json.ok ? decode(json.value) : json;
    if (!decoded.ok) return refusal('invalid_request', decoded.problem);
    const attested = attestedWorkspace(subject);
    const { workspaceId } = decoded.value as { workspaceId: string };
    if (attested !== undefined && attested !== workspaceId) {
      return refusal('refused', `These credentials are of workspace ${attested} and no other.`);
    }
    try {
      return await handle(decoded.value as RequestOf<D>);
    } catch (error) {
      nats.log.error({ err: error, subject: definition.subject }, 'a request failed');
      return refusal('unavailable', 'Something went wrong on our side; try again.');
    }
  }
  const underWay = new Set<Promise<void>>();
  const callback = (error: Error | null, message: Msg): void => {
    if (error) return;
    const done = answer({ subject: message.subject, text: message.string() })
      .then((result) => void message.respond(JSON.stringify(result)))
      .catch((failure: unknown) => {
        // E.g. larger than the server's max_payload: the asker hears why instead of nothing.
        nats.log.error({ err: failure, subject: definition.subject }, 'a reply was not sent');
        if (nats.connection.isClosed()) return;
        message.respond(JSON.stringify(refusal('unavailable', 'The reply could not be sent.')));
      })
      .finally(() => underWay.delete(done));
    underWay.add(done);
  };
  const subjects = [definition.subject, attestedSubject('*', definition.subject)];
  const subscriptions = subjects.map((subject) =>
    nats.connection.subscribe(subject, { queue: service, callback }),
  );
  await nats.connection.flush();
  return {
    [Symbol.asyncDispose]: async () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
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
