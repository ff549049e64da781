/** The sandbox: every stand-in on one port. */
import formbody from '@fastify/formbody';
import fastify, { type FastifyInstance } from 'fastify';
import { registerFaultRoutes } from './faults/routes.ts';
import { createFaults } from './faults/rules.ts';
import { registerGraphControl, registerGraphRoutes } from './graph/routes.ts';
import { createGraphStore, type GraphLog } from './graph/store.ts';
import { openJournal } from './journal.ts';
import { type Log, silentLog } from './log.ts';
import { registerPages } from './pages/routes.ts';
import type { Parts } from './parts.ts';
import { accountIdOf } from './pix/account.ts';
import { Gateway } from './pix/gateway.ts';
import { registerPixControl } from './pix/control.ts';
import { vendors } from './pix/vendors.ts';
import { Webhooks } from './pix/webhooks.ts';
import { registerPixelRoutes } from './pixel/routes.ts';
import { registerTelegramControl } from './telegram/control.ts';
import { Customers } from './telegram/customer.ts';
import { botUserOf, callMethod, registerTelegramRoutes } from './telegram/routes.ts';
import { createTelegramStore } from './telegram/store.ts';
import { UpdateQueue } from './telegram/updates.ts';
import { InvalidWorldError, parseWorld, type SandboxWorld, type WorldHolder } from './world.ts';

export interface SandboxOptions {
  host?: string;
  /** 0 takes any free port. */
  port?: number;
  /** Where Rastro answers: the demo's ads link to `<publicOrigin>/go/<slug>`. */
  publicOrigin: string;
  world: SandboxWorld;
  /** Keeps the sandbox's memory across restarts. */
  journalFile?: string;
  log?: Log;
  /** Of the faults' random generator. */
  seed?: number;
  /** How much of what the Graph was sent is kept; `short` unless told otherwise. */
  graphLog?: GraphLog;
}

export interface Sandbox extends AsyncDisposable {
  url: string;
  /** @throws InvalidWorldError */
  setWorld(world: SandboxWorld): void;
}

/** @throws InvalidWorldError; the error of the port where it is taken */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { host = '127.0.0.1', port = 9300, log = silentLog } = options;
  await using stack = new AsyncDisposableStack();
  const world: WorldHolder = { current: parseWorld(options.world) };
  const journal = openJournal(options.journalFile);
  stack.defer(() => journal.close());
  const faults = createFaults(options.seed ?? 1);
  const accountOf = (accountId: string) =>
    world.current.pixAccounts.find((one) => accountIdOf(one) === accountId);
  const webhooks = new Webhooks(journal, faults, accountOf, log);
  stack.defer(() => webhooks.close());
  const gateway = new Gateway(journal, world, webhooks);
  stack.defer(() => gateway.close());
  const telegram = createTelegramStore(journal);
  const botNamed = (name: string) => world.current.bots.find((bot) => bot.username === name);
  const queue: UpdateQueue = new UpdateQueue(journal, log, (name, fields) => {
    const bot = botNamed(name);
    if (bot === undefined) return;
    const call = callMethod(
      bot,
      String(fields['method']),
      { fields, files: new Map() },
      telegram,
      queue,
    );
    call.catch((error: unknown) => log.error({ err: error }, 'a call in an answer failed'));
  });
  stack.defer(() => queue.close());
  const customers = new Customers(telegram, queue, (name) =>
    botUserOf(botNamed(name) ?? { username: name, token: '0:gone' }),
  );
  const graph = createGraphStore(journal, options.graphLog);
  const { publicOrigin } = options;
  const parts: Parts = {
    world,
    publicOrigin,
    faults,
    graph,
    gateway,
    webhooks,
    telegram,
    queue,
    customers,
  };
  const app = fastify({
    forceCloseConnections: true,
    trustProxy: 'loopback',
    routerOptions: { maxParamLength: 500 },
  });
  stack.defer(() => app.close());
  await registerAll(app, parts);
  const url = await app.listen({ host, port });
  log.info({ url }, 'the sandbox is listening');
  const owned = stack.move();
  return {
    url,
    setWorld: (next) => {
      world.current = parseWorld(next);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function registerAll(app: FastifyInstance, parts: Parts): Promise<void> {
  const { world, faults, graph, gateway, webhooks, telegram, queue, customers } = parts;
  await app.register(formbody);
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  // A button without parameters often says JSON and sends nothing.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parseJson(request, String(body), done);
  });
  await app.register(async (scope) => registerGraphRoutes(scope, world, graph, faults), {
    prefix: '/graph',
  });
  await app.register(async (scope) => registerPixelRoutes(scope, world, graph, faults), {
    prefix: '/pixel',
  });
  await app.register((scope) => registerTelegramRoutes(scope, world, telegram, queue, faults), {
    prefix: '/telegram',
  });
  const desk = { world, gateway, faults };
  for (const { prefix, register } of vendors) {
    await app.register(async (scope) => register(scope, desk), { prefix });
  }
  await app.register(async (scope) => {
    registerFaultRoutes(scope, faults);
    registerGraphControl(scope, graph);
    registerPixControl(scope, gateway, webhooks);
    registerTelegramControl(scope, world, telegram, queue, customers);
    registerWorldControl(scope, parts);
  });
  await app.register((scope) => registerPages(scope, parts));
}

function registerWorldControl(app: FastifyInstance, parts: Parts): void {
  app.put('/control/world', (request, reply) => {
    try {
      parts.world.current = parseWorld(request.body);
    } catch (error) {
      if (!(error instanceof InvalidWorldError)) throw error;
      return reply.code(400).send({ error: error.message });
    }
    return reply.send({ ok: true });
  });
  /** Forgets what happened; the world, the bots' webhooks and their numbering stay. */
  app.post('/control/reset', () => {
    parts.graph.reset();
    parts.gateway.reset();
    parts.webhooks.reset();
    parts.telegram.reset();
    parts.queue.reset();
    parts.faults.replace({ rules: [] });
    return { ok: true };
  });
}
