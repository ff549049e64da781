/** The one way in which a service speaks HTTP. */
import { TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  LogController,
  type RawServerDefault,
} from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from './logger.ts';
import { Problem, problemDocument, toProblem } from './problem.ts';

/** Fastify with TypeBox schemas as the source of the request's types. */
export type HttpServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface HttpServerOptions {
  readonly log: Logger;
  /** Proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Largest body in bytes. */
  readonly bodyLimit?: number;
}

/**
 * Errors become problem documents; a finished request is one line that names the route's pattern,
 * never the URL, since URLs carry tokens and click ids.
 */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { log, trustedProxies, bodyLimit = 65_536 } = options;
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    // Nothing is logged through a request, so none needs a logger of its own.
    childLoggerFactory: (logger) => logger,
    trustProxy: [...trustedProxies],
    bodyLimit,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
    // An address that cannot even be decoded never gets to the error handler below.
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, toProblem(error));
    },
  })
    .setValidatorCompiler(TypeBoxValidatorCompiler)
    .withTypeProvider<TypeBoxTypeProvider>();

  app.setErrorHandler(async (error, request, reply) => {
    const problem = toProblem(error);
    if (problem.status >= 500)
      log.error({ err: error, route: request.routeOptions.url }, 'request failed');
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler(async (_request, reply) => {
    const problem = new Problem(404, 'Not found', 'There is nothing at this address.');
    return sendProblem(reply, problem);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { statusCode, elapsedTime } = reply;
    const level = statusCode >= 500 ? 'warn' : 'debug';
    const line = {
      method: request.method,
      route: request.routeOptions.url,
      statusCode,
      ms: Math.round(elapsedTime),
    };
    log[level](line, 'request');
  });
  return app;
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const document = problemDocument(problem);
  return reply.code(problem.status).type('application/problem+json').send(document);
}

/** Starts to listen and returns the base URL, with the port that was really taken. */
export async function listen(
  app: HttpServer,
  where: { host: string; port: number },
): Promise<string> {
  await app.listen(where);
  const { port } = app.server.address() as AddressInfo;
  const host = where.host === '0.0.0.0' || where.host === '::' ? '127.0.0.1' : where.host;
  return `http://${host}:${port}`;
}
