/** What the service's tests share: real servers, the sandbox's Telegram, a payment-confirmer of ours. */
import { eventStoreMigrations } from '@rastro/event-store';
import type { CatalogItem, DataOf, EventType, RastroEvent } from '@rastro/events';
import { connectNats, type Nats, publishEvent } from '@rastro/messaging';
import type { Sql } from '@rastro/runtime';
import { type Sandbox, startSandbox } from '@rastro/sandbox';
import {
  eventually,
  migratedDatabase,
  putCatalog,
  startTestServers,
  testLog,
  testMasterKey,
  type TestServers,
} from '@rastro/testing';
import { join } from 'node:path';
import type { Config } from '../src/config.ts';
import { answerPayments, type Gateway } from './payments.ts';
import { catalogOf, firstBot, moreBotsOf, type WorldOptions } from './world-catalog.ts';

export interface SentMessage {
  readonly message_id: number;
  readonly from: { readonly is_bot: boolean };
  readonly text?: string;
  readonly caption?: string;
  readonly photo?: unknown[];
  readonly reply_markup?: {
    readonly inline_keyboard: {
      readonly text: string;
      readonly callback_data?: string;
      readonly url?: string;
      readonly copy_text?: { readonly text: string };
    }[][];
  };
}

export interface World extends AsyncDisposable, Gateway {
  readonly nats: Nats;
  readonly sql: Sql;
  readonly sandbox: Sandbox;
  readonly natsUrl: string;
  readonly postgresUrl: string;
  /** The server itself, to be killed and started again. */
  readonly postgres: TestServers['postgres'];
  readonly publicOrigin: string;
  config(overrides?: Partial<Config>): Config;
  control(path: string, body?: object): Promise<unknown>;
  /** What the bot has said to a customer, oldest first; not what it is about to edit. */
  said(userId: number, username?: string): Promise<SentMessage[]>;
  start(userId: number, payload?: string, username?: string): Promise<unknown>;
  write(userId: number, text: string): Promise<unknown>;
  press(userId: number, message: SentMessage, label: string): Promise<unknown>;
  publish(event: RastroEvent): Promise<void>;
  /** Everything of one type that the service has recorded, oldest first. */
  recorded<T extends EventType>(type: T): Promise<RastroEvent<T>[]>;
}

/** Several times what a busy machine needs: a chat takes one message a second. */
const patienceMs = 20_000;

/** It stands there until it is edited into a PIX or a delivery link. */
const isPlaceholder = (text: string | undefined): boolean =>
  text !== undefined && /^(?:⏳ Gerando|📦 Preparando)/.test(text);

/** Everything but the service itself, which each test starts in its own way. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const folders = [
    eventStoreMigrations,
    { name: 'funnel', path: join(import.meta.dirname, '../migrations') },
  ];
  const database = stack.use(await migratedDatabase(servers, { schema: 'funnel', folders }));
  const log = testLog();
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log }));
  await putCatalog(nats, 'demo', catalogOf(options));
  const publicOrigin = 'https://go.example.com';
  const sandbox = stack.use(
    await startSandbox({
      port: 0,
      publicOrigin,
      world: { bots: [firstBot, ...moreBotsOf(options)], pixels: [], pixAccounts: [] },
    }),
  );
  const { sql } = database;
  const control = controlOf(sandbox);
  const chat = (userId: number, username = firstBot.username) =>
    `telegram/chats/${username}/${userId}`;
  const world: World = {
    nats,
    sql,
    sandbox,
    natsUrl: servers.nats.url,
    postgresUrl: database.url,
    postgres: servers.postgres,
    publicOrigin,
    asked: [],
    gatewayIsDown: false,
    products: catalogOf(options).flatMap(({ kind, data }) =>
      kind === 'product' && data !== null ? [data as CatalogItem<'product'>] : [],
    ),
    pixExpiryMs: options.pixExpiryMs ?? 1_800_000,
    control,
    config: (overrides) => ({ ...configOf(world), ...overrides }),
    async said(userId, username) {
      const messages = (await control(`${chat(userId, username)}/messages`)) as SentMessage[];
      return messages.filter(({ from, text }) => from.is_bot && !isPlaceholder(text));
    },
    start: (userId, payload = '', username = firstBot.username) =>
      control(`${chat(userId, username)}/start`, { payload }),
    write: (userId, text) => control(`${chat(userId)}/send`, { text }),
    async press(userId, message, label) {
      const buttons = message.reply_markup?.inline_keyboard.flat() ?? [];
      const callbackData = buttons.find(({ text }) => text === label)?.callback_data;
      if (callbackData === undefined) throw new Error(`no button ${label}`);
      return control(`${chat(userId)}/press`, { messageId: message.message_id, callbackData });
    },
    publish: (event) => publishEvent(nats, event),
    async recorded(type) {
      const rows = await sql<{ event: never }[]>`
        select event from events where type = ${type} order by global_position`;
      return rows.map(({ event }) => event);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  stack.use(await answerPayments(nats, world));
  const owned = stack.move();
  return world;
}

function configOf({ natsUrl, postgresUrl, publicOrigin, sandbox }: World): Config {
  return {
    host: '127.0.0.1',
    port: 0,
    logLevel: 'silent',
    natsUrl,
    natsReplicas: 1,
    postgresUrl,
    publicOrigin,
    masterKey: testMasterKey,
    telegramApiUrl: `${sandbox.url}/telegram`,
    telegramUpdates: 'polling',
    trustedProxies: ['loopback'],
  };
}

/** The sandbox's control API, where the customers are played. */
function controlOf(sandbox: Sandbox): World['control'] {
  return async (path, body) => {
    const json = { 'content-type': 'application/json' };
    const request =
      body === undefined ? {} : { method: 'POST', headers: json, body: JSON.stringify(body) };
    const signal = AbortSignal.timeout(patienceMs);
    const response = await fetch(`${sandbox.url}/control/${path}`, { ...request, signal });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
}

/** The charge of a lead as the service has heard of it. */
export function chargeOf(
  world: World,
  telegramUserId: number,
  timeoutMs = patienceMs,
): Promise<DataOf<'PaymentCreated'>> {
  const check = async (): Promise<DataOf<'PaymentCreated'>> => {
    const rows = await world.sql<{ event: RastroEvent<'PaymentCreated'> }[]>`
      select event from observed_payments where event ->> 'type' = 'PaymentCreated'
        and (event -> 'data' ->> 'telegramUserId')::bigint = ${telegramUserId}`;
    if (rows.length !== 1) throw new Error(`${rows.length} charges of ${telegramUserId}`);
    return (rows[0] as (typeof rows)[number]).event.data;
  };
  return eventually(check, { timeoutMs });
}

/** Waits until the bot has said so many things, and returns them. */
export function hears(
  world: World,
  userId: number,
  count: number,
  timeoutMs = patienceMs,
): Promise<SentMessage[]> {
  const check = async (): Promise<SentMessage[]> => {
    const messages = await world.said(userId);
    if (messages.length < count) throw new Error(`${userId}: ${messages.length} of ${count}`);
    return messages;
  };
  return eventually(check, { timeoutMs });
}

/** Presses a button as soon as the bot has shown it. */
export function pressWhenShown(
  world: World,
  userId: number,
  label: string,
  timeoutMs = patienceMs,
): Promise<unknown> {
  const check = async (): Promise<unknown> => {
    const messages = await world.said(userId);
    const shown = messages.find(({ reply_markup: markup }) =>
      markup?.inline_keyboard.flat().some(({ text }) => text === label),
    );
    if (shown === undefined) throw new Error(`${userId} was not shown ${label}`);
    return world.press(userId, shown, label);
  };
  return eventually(check, { timeoutMs, intervalMs: 100 });
}

/** From START to the PIX of the e-book. */
export async function walkToPix(world: World, userId: number): Promise<SentMessage> {
  await world.start(userId);
  await pressWhenShown(world, userId, 'Saber mais');
  await pressWhenShown(world, userId, 'Comprar');
  return (await hears(world, userId, 3)).at(2) as SentMessage;
}
