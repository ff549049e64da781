import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import multipart from '@fastify/multipart';
import { type Answer, answerWith } from '../faults/answer.ts';
import type { FaultAction, Faults } from '../faults/rules.ts';
import type { WorldBot, WorldHolder } from '../world.ts';
import { methods } from './bot-api.ts';
import { type Parameters, textOf } from './parameters.ts';
import type { TelegramStore } from './store.ts';
import { BotApiError, type User } from './types.ts';
import type { UpdateQueue } from './updates.ts';

const maxBodyBytes = 12 * 1024 * 1024;

/** `/telegram/bot<token>/<method>`: the Bot API. */
export async function registerTelegramRoutes(
  app: FastifyInstance,
  world: WorldHolder,
  store: TelegramStore,
  queue: UpdateQueue,
  faults: Faults,
): Promise<void> {
  await app.register(multipart, { limits: { fileSize: maxBodyBytes, files: 10, fields: 100 } });
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    const detail = status < 500 ? `Bad Request: ${error.message}` : 'Internal Server Error';
    await reply.code(status).send(errorBody(status, detail));
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send(errorBody(404, 'Not Found')));

  app.route<{ Params: { botToken: string; method: string } }>({
    method: ['GET', 'POST'],
    url: '/:botToken/:method',
    bodyLimit: maxBodyBytes,
    handler: async (request, reply) => {
      const token = /^bot(\d+:.+)$/.exec(request.params.botToken)?.[1];
      if (token === undefined) return reply.code(404).send(errorBody(404, 'Not Found'));
      const bot = world.current.bots.find((candidate) => candidate.token === token);
      const { method } = request.params;
      const path = `/${bot?.username ?? 'unknown'}/${method}`;
      const fault = faults.strike('telegram', { method, path });
      return answerCall(request, reply, fault, (parameters) =>
        bot === undefined
          ? { status: 401, body: errorBody(401, 'Unauthorized') }
          : callMethod(bot, method, parameters, store, queue),
      );
    },
  });
}

async function answerCall(
  request: FastifyRequest,
  reply: FastifyReply,
  fault: FaultAction | null,
  call: (parameters: Parameters) => Answer | Promise<Answer>,
): Promise<FastifyReply> {
  // Read first: an upload that nobody reads would hang the connection.
  const parameters = await readParameters(request);
  await answerWith(reply, fault, faultBody, () => call(parameters));
  return reply;
}

/** Runs one method of a bot. @returns Telegram's answer, also for a refusal */
export async function callMethod(
  bot: WorldBot,
  methodName: string,
  parameters: Parameters,
  store: TelegramStore,
  queue: UpdateQueue,
): Promise<Answer> {
  const name = methodName.toLowerCase();
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method === undefined) return { status: 404, body: errorBody(404, 'Not Found') };
  try {
    store.flood.admit(bot.username, name, textOf(parameters, 'chat_id'));
    const context = { username: bot.username, me: botUserOf(bot), store };
    const answer = await method(context, parameters, queue);
    return { status: 200, body: { ok: true, ...answer } };
  } catch (error) {
    if (!(error instanceof BotApiError)) throw error;
    return { status: error.code, body: errorBody(error.code, error.message, error.parameters) };
  }
}

export function botUserOf(bot: WorldBot): User {
  const id = Number(/^\d{1,15}/.exec(bot.token)?.[0] ?? shortNumber(bot.username));
  return { id, is_bot: true, first_name: bot.name ?? bot.username, username: bot.username };
}

function shortNumber(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}

function errorBody(code: number, description: string, parameters?: Record<string, unknown>) {
  return {
    ok: false,
    error_code: code,
    description,
    ...(parameters === undefined ? {} : { parameters }),
  };
}

function faultBody(fault: FaultAction, status: number): unknown {
  if (status !== 429) return errorBody(status, status >= 500 ? 'Internal Server Error' : 'Fault');
  const seconds = fault.retryAfterSeconds ?? 1;
  return errorBody(429, `Too Many Requests: retry after ${seconds}`, { retry_after: seconds });
}

async function readParameters(request: FastifyRequest): Promise<Parameters> {
  const fields: Record<string, unknown> = { ...(request.query as object) };
  const files = new Map<string, Buffer>();
  if (request.isMultipart()) {
    for await (const part of request.parts()) {
      if (part.type === 'file') files.set(part.fieldname, await part.toBuffer());
      else fields[part.fieldname] = part.value;
    }
  } else if (typeof request.body === 'object') {
    Object.assign(fields, request.body);
  }
  return { fields, files };
}
