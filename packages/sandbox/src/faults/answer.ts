/** How every stand-in answers, so that any of them can be made to fail in the same ways. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { FaultAction } from './rules.ts';

export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** What became of a call, for the stand-ins' own logs. */
export interface Outcome {
  /** null where the connection was reset before anything happened. */
  status: number | null;
  body: unknown;
  /** A fault answered in place of the stand-in: nothing was processed. */
  replaced: boolean;
  /** Processed, but the connection was cut before the answer. */
  dropped: boolean;
}

const htmlBody =
  '<!doctype html><html><head><title>Error</title></head>' +
  '<body><h1>Sorry, something went wrong.</h1></body></html>';

/**
 * Answers a call as the fault says, else with what `process` returns.
 * @param errorBody the vendor's error shape for a faulty status
 */
export async function answerWith(
  reply: FastifyReply,
  fault: FaultAction | null,
  errorBody: (fault: FaultAction, status: number) => unknown,
  process: () => Answer | Promise<Answer>,
): Promise<Outcome> {
  if (fault?.delayMs !== undefined) await sleep(fault.delayMs);
  if (fault?.reset === true) {
    reply.hijack();
    reply.raw.socket?.resetAndDestroy();
    return { status: null, body: null, replaced: true, dropped: false };
  }
  if (fault !== null && replacesAnswer(fault)) return answerFaulty(reply, fault, errorBody);
  const answer = await process();
  if (fault?.acceptThenDrop === true) {
    reply.hijack();
    reply.raw.destroy();
    return { status: answer.status, body: answer.body, replaced: false, dropped: true };
  }
  if (reply.raw.destroyed) {
    reply.hijack();
  } else {
    await reply
      .code(answer.status)
      .headers(answer.headers ?? {})
      .send(answer.body);
  }
  return { status: answer.status, body: answer.body, replaced: false, dropped: false };
}

function replacesAnswer(fault: FaultAction): boolean {
  return fault.status !== undefined || fault.html === true || fault.code !== undefined;
}

async function answerFaulty(
  reply: FastifyReply,
  fault: FaultAction,
  errorBody: (fault: FaultAction, status: number) => unknown,
): Promise<Outcome> {
  const status = fault.status ?? (fault.html === true ? 502 : 400);
  if (fault.retryAfterSeconds !== undefined) reply.header('retry-after', fault.retryAfterSeconds);
  const body = fault.html === true ? htmlBody : (fault.body ?? errorBody(fault, status));
  const isText = typeof body === 'string';
  await reply
    .code(status)
    .type(isText ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8')
    .send(body);
  return { status, body, replaced: true, dropped: false };
}
