import { join } from 'node:path';
import { checkSchema, eventStoreMigrations, startOutboxRelay } from '@rastro/event-store';
import {
  paymentsCreate,
  paymentsRevalidate,
  type RastroEvent,
  type RequestOf,
} from '@rastro/events';
import {
  ask,
  Catalog,
  checkNats,
  connectNats,
  ensureStreams,
  ensureWorkspaceConsumer,
  followCatalog,
  type Nats,
  publishEvents,
  type Subscription,
} from '@rastro/messaging';
import {
  addHealthRoutes,
  checkPostgres,
  connectPostgres,
  createHttpServer,
  createMetrics,
  listen,
  type Logger,
  type RunningService,
  type Sql,
  startHourly,
} from '@rastro/runtime';
import { type BotFleet, createBotFleet } from './adapters/bot-fleet.ts';
import { type BotHealth, createBotHealth } from './adapters/bot-health.ts';
import { createBotRunner } from './adapters/bot-runner.ts';
import { type BotSecrets, createBotSecrets } from './adapters/bot-secrets.ts';
import { findClicks, saveClicks } from './adapters/click-store.ts';
import { saveDecision, saveDecisions } from './adapters/decision-store.ts';
import { createFunnelVersions } from './adapters/funnel-versions.ts';
import { sweep } from './adapters/housekeeping.ts';
import {
  findLead,
  findLeads,
  findUserClicks,
  openLeads,
  rememberPayment,
} from './adapters/lead-store.ts';
import { createLiveEffects } from './adapters/live-effects.ts';
import { startMessageSender } from './adapters/message-sender.ts';
import { createFunnelMetrics } from './adapters/metrics.ts';
import { startPaymentRequests } from './adapters/payment-requests.ts';
import { createTelegram } from './adapters/telegram.ts';
import { startTimers } from './adapters/timers.ts';
import { storeUpdate } from './adapters/update-source.ts';
import { createWaitingChats } from './adapters/waiting-chats.ts';
import { createWorkspaceConsumers } from './adapters/workspace-consumers.ts';
import type { Incoming } from './core/incoming.ts';
import type { Config } from './config.ts';
import { createFunnelRequests } from './requests.ts';
import { addRoutes } from './routes.ts';
import { serveAll, subscribeAll } from './subscriptions.ts';
import { decodeUpdate } from './update-schema.ts';

const service = 'bot-funnel';
const schema = 'funnel';
const folders = [
  eventStoreMigrations,
  { name: 'service', path: join(import.meta.dirname, '../migrations') },
];
const tables = [
  'events',
  'outbox',
  'inbox',
  'clicks',
  'leads',
  'funnel_versions',
  'observed_payments',
  'payment_requests',
  'messages',
  'timers',
  'chat_lanes',
  'bot_paces',
  'bot_health',
];

/** Receives customers' updates, walks them through funnels, and sends what they are told. */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();
  const { natsUrl, natsReplicas: replicas, postgresUrl, masterKey } = config;
  const sql = connectPostgres({ url: postgresUrl, schema, service, maxConnections: 8 });
  stack.defer(() => sql.end({ timeout: 5 }));
  await checkSchema(sql, schema, tables, folders);
  const nats = stack.use(
    await connectNats({ url: natsUrl, name: service, log, topology: { replicas } }),
  );
  await ensureStreams(nats);
  const onError = (error: unknown): void => log.error({ err: error }, 'something went wrong');
  const publish = (events: readonly RastroEvent[]): Promise<void> => publishEvents(nats, events);
  stack.use(await startOutboxRelay({ sql, schema, publish, onError }));

  const catalog = new Catalog();
  const telegram = createTelegram({ apiRoot: config.telegramApiUrl });
  const secrets = createBotSecrets({ catalog, telegram, masterKey, log });
  const registry = createMetrics(service);
  const metrics = createFunnelMetrics(registry);
  const health = createBotHealth({ sql, log, gauge: metrics.botHealth });
  const parts = { config, log, sql, nats, catalog, secrets, health, metrics };
  const store = async (incoming: Incoming): Promise<void> => {
    await storeUpdate(nats, incoming);
    metrics.updates.inc({ type: incoming.content.type });
  };
  const fleet = stack.use(createFleet(parts, store));
  const ensure = (workspaceId: string): Promise<void> => ensureWorkspaceConsumer(nats, workspaceId);
  const consumers = stack.use(createWorkspaceConsumers({ catalog, ensure, onError }));
  let isListening = false;
  const onChange = (): void => {
    // Telegram pushes as soon as it knows where: not before somebody answers there.
    if (isListening) fleet.reconcile();
    consumers.reconcile();
  };
  stack.use(await followCatalog(nats, { catalog, onChange }));
  for (const subscription of await startWork(parts, stack)) stack.use(subscription);

  const app = createHttpServer({ log, trustedProxies: config.trustedProxies });
  stack.defer(() => app.close());
  const checks = { postgres: () => checkPostgres(sql), nats: () => checkNats(nats) };
  addHealthRoutes(app, { checks, metrics: registry });
  addRoutes(app, { findBot: secrets.findWebhook, storeUpdate: store });
  const url = await listen(app, config);
  isListening = true;
  fleet.reconcile();
  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Parts {
  readonly config: Config;
  readonly log: Logger;
  readonly sql: Sql;
  readonly nats: Nats;
  readonly catalog: Catalog;
  readonly secrets: BotSecrets;
  readonly health: BotHealth;
  readonly metrics: ReturnType<typeof createFunnelMetrics>;
}

function createFleet(
  { config, log, sql, catalog, secrets, health }: Parts,
  store: (incoming: Incoming) => Promise<void>,
): BotFleet {
  const webhookOrigin = config.telegramUpdates === 'webhook' ? config.publicOrigin : null;
  const runner = { sql, health, secrets, log, store, decode: decodeUpdate, webhookOrigin };
  return createBotFleet({ catalog, keep: createBotRunner(runner) });
}

/** Starts what works off tables, and then what fills them. */
async function startWork(parts: Parts, stack: AsyncDisposableStack): Promise<Subscription[]> {
  const { config, log, sql, nats, catalog, secrets, health, metrics } = parts;
  const { apiOf } = secrets;
  const { sends, requests } = metrics;
  const funnels = createFunnelVersions();
  const onUnauthorized = (botId: string): void => health.suspect(botId);
  const onOutcome = health.noteSend.bind(health);
  const sender = stack.use(
    startMessageSender({ sql, log, apiOf, onUnauthorized, onOutcome, sends }),
  );
  const onMessage = (): void => sender.wake();
  const createPayment = (request: RequestOf<typeof paymentsCreate>) =>
    ask(nats.connection, paymentsCreate, request);
  const payments = stack.use(
    startPaymentRequests({ sql, log, requests, createPayment, onMessage }),
  );
  stack.use(startTimers({ sql, log, funnels, onMessage }));
  const onError = (error: unknown): void => log.error({ err: error }, 'nothing was swept');
  stack.use(startHourly({ work: () => sweep(sql), onError }));
  const revalidate = (workspaceId: string, paymentId: string) =>
    ask(nats.connection, paymentsRevalidate, { workspaceId, paymentId });
  const live = stack.use(createLiveEffects({ log, apiOf, revalidate }));
  const onQueued = (): void => {
    sender.wake();
    payments.wake();
  };
  const common = { sql, log, catalog, funnels, onQueued };
  const clicks = {
    findClicks: (tokens: readonly string[]) => findClicks(sql, tokens),
    findUserClicks,
  };
  const external = {
    ...common,
    ...clicks,
    leads: { open: openLeads, find: findLeads, save: saveDecision },
  };
  const served = await serveAll(nats, createFunnelRequests(external));
  const subscribed = await subscribeAll(nats, {
    saveClicks: (events) => saveClicks(sql, events),
    commerce: {
      ...common,
      leads: { findById: findLead, find: findLeads, save: saveDecision, rememberPayment },
      publicOrigin: config.publicOrigin,
    },
    updates: {
      ...common,
      leads: { open: openLeads, find: findLeads, save: saveDecisions },
      ...clicks,
      waiting: createWaitingChats(),
      carryOut: (effects, incoming) => live.carryOut(effects, incoming),
    },
  });
  return [...served, ...subscribed];
}
