/** Real NATS, Postgres, sandbox gateway and two sellers, for the tests with servers. */
import { eventStoreMigrations } from '@rastro/event-store';
import {
  type paymentsCreate,
  paymentsCreate as create,
  type RastroEvent,
  type RequestOf,
} from '@rastro/events';
import { ask, connectNats, type Nats } from '@rastro/messaging';
import { type Logger, newId, type RunningService, sealSecret, type Sql } from '@rastro/runtime';
import { type Sandbox, startSandbox } from '@rastro/sandbox';
import { freePort } from '@rastro/servers';
import {
  eventually,
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  type SampleEntry,
  sampleSecrets,
  startTestServers,
  testLog,
  testMasterKey,
  type TestServers,
} from '@rastro/testing';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import type { Config } from '../src/config.ts';
import { defaultFailover } from '../src/core/failover.ts';
import { defaultSchedule } from '../src/core/schedule.ts';
import { startService } from '../src/service.ts';

export const otherSecrets = {
  apiKey: 'other_key',
  webhookSecret: `whsec_${Buffer.alloc(32, 9).toString('base64')}`,
};

/** Of the demo's second account, which a test puts into the catalog. */
export const secondSecrets = {
  apiKey: 'second_key',
  webhookSecret: `whsec_${Buffer.alloc(32, 8).toString('base64')}`,
};

export interface World extends AsyncDisposable {
  readonly servers: TestServers;
  readonly sql: Sql;
  readonly nats: Nats;
  readonly sandbox: Sandbox;
  readonly config: Config;
  /** All of stream COMMERCE so far. */
  readonly seen: readonly RastroEvent[];
}

export async function startWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const folders = [
    eventStoreMigrations,
    { name: 'payments', path: join(import.meta.dirname, '../migrations') },
  ];
  const database = stack.use(await migratedDatabase(servers, { schema: 'payments', folders }));
  const port = await freePort();
  const publicOrigin = `http://127.0.0.1:${port}`;
  const { apiKey, webhookSecret } = sampleSecrets;
  const pixAccounts = [{ apiKey, webhookSecret }, otherSecrets, secondSecrets];
  const sandbox = stack.use(
    await startSandbox({
      port: 0,
      publicOrigin,
      world: { bots: [], pixels: [], pixAccounts },
    }),
  );
  const nats = stack.use(
    await connectNats({ url: servers.nats.url, name: 'test', log: testLog() }),
  );
  await putCatalog(nats, 'demo', sampleCatalog({ apiUrl: sandbox.url }));
  await putCatalog(nats, 'other', otherSeller(sandbox.url));
  const seen: RastroEvent[] = [];
  const messages = await (await nats.js.consumers.get('COMMERCE')).consume();
  stack.defer(() => messages.stop());
  void (async () => {
    for await (const message of messages) seen.push(message.json<RastroEvent>());
  })();
  const config: Config = {
    host: '127.0.0.1',
    port,
    logLevel: 'silent',
    natsUrl: servers.nats.url,
    natsReplicas: 1,
    postgresUrl: database.url,
    masterKey: testMasterKey,
    publicOrigin,
    trustedProxies: ['loopback'],
    apiUrls: {
      mercadopago: `${sandbox.url}/mercadopago`,
      pushinpay: `${sandbox.url}/pushinpay`,
      woovi: `${sandbox.url}/woovi`,
      abacatepay: `${sandbox.url}/abacatepay`,
    },
    pixExpirySeconds: 1_800,
    schedule: defaultSchedule,
    failover: defaultFailover,
    webhookDays: 90,
  };
  const owned = stack.move();
  const dispose = () => owned.disposeAsync();
  const { sql } = database;
  return { servers, sql, nats, sandbox, config, seen, [Symbol.asyncDispose]: dispose };
}

function otherSeller(apiUrl: string): SampleEntry[] {
  const seal = (name: keyof typeof otherSecrets) =>
    sealSecret(testMasterKey, `account/pix-other/credentials/${name}`, otherSecrets[name]);
  const credentials = { apiKey: seal('apiKey'), webhookSecret: seal('webhookSecret') };
  const account = { apiUrl, credentials, checkoutNotice: 'Pago a terceiros.' };
  const token = sealSecret(testMasterKey, 'bot/bot-other/token', '1:x');
  const bot = { token, funnel: 'default', runtime: 'managed', enabled: true } as const;
  const botOf = (id: string, accountId: string): SampleEntry => {
    const username = `${id.replaceAll('-', '_')}_bot`;
    return { kind: 'bot', id, data: { ...bot, id, username, account: accountId } };
  };
  const accountOf = (id: string, kind: 'standard-webhooks' | 'woovi'): SampleEntry => {
    return { kind: 'account', id, data: { ...account, id, kind } };
  };
  const product = {
    id: 'course',
    name: 'Course',
    priceCents: 500,
    currency: 'BRL',
    accessUrl: null,
  };
  return [
    accountOf('pix-other', 'standard-webhooks'),
    accountOf('pix-woovi', 'woovi'),
    { kind: 'product', id: 'course', data: product },
    botOf('bot-other', 'pix-other'),
    botOf('bot-woovi', 'pix-woovi'),
    // An account of somebody else's.
    botOf('bot-thief', 'pix-sandbox'),
  ];
}

export function start(
  world: World,
  changes: Partial<Config> = {},
  log: Logger = testLog(),
): Promise<RunningService> {
  return startService({ ...world.config, ...changes }, log);
}

type CreateRequest = RequestOf<typeof paymentsCreate>;

export function buy(world: World, changes: Partial<CreateRequest> = {}, timeoutMs = 10_000) {
  const request: CreateRequest = {
    workspaceId: 'demo',
    checkoutId: newId(),
    botId: 'bot-a',
    productId: 'ebook',
    poolId: 'promo',
    leadId: newId(),
    telegramUserId: 700_100_200,
    trackingToken: '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
    ...changes,
  };
  return ask(world.nats.connection, create, request, timeoutMs);
}

/** @throws with the refusal. */
export async function bought(world: World, changes: Partial<CreateRequest> = {}) {
  const reply = await buy(world, changes);
  if (!reply.ok) throw new Error(reply.error.message);
  return reply.value;
}

export interface SandboxCharge {
  readonly charge_id: string;
  readonly external_reference: string;
  readonly amount_cents: number;
  readonly currency: string;
  readonly status: string;
  readonly pix_code: string;
}

/** Newest first. */
export async function chargesOf(world: World, paymentId: string): Promise<SandboxCharge[]> {
  const url = `${world.sandbox.url}/control/pix/charges?external_reference=${paymentId}`;
  return (await (await fetch(url)).json()) as SandboxCharge[];
}

export async function chargeOf(world: World, paymentId: string): Promise<SandboxCharge> {
  const [charge] = await chargesOf(world, paymentId);
  if (!charge) throw new Error(`the sandbox has no charge for ${paymentId}`);
  return charge;
}

/** Plays the payer or the gateway's back office: pay, refund, dispute, expire, forge. */
export async function atBank(
  world: World,
  paymentId: string,
  action: 'pay' | 'refund' | 'dispute' | 'settle' | 'expire' | 'forge',
  body: object = {},
): Promise<void> {
  await chargeAtBank(world, await chargeOf(world, paymentId), action, body);
}

/** The same for one of several charges. */
export async function chargeAtBank(
  world: World,
  { charge_id: id }: SandboxCharge,
  action: 'pay' | 'refund' | 'dispute' | 'settle' | 'expire' | 'forge',
  body: object = {},
): Promise<void> {
  const response = await fetch(`${world.sandbox.url}/control/pix/charges/${id}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
}

export async function setFaults(world: World, rules: object[]): Promise<void> {
  const response = await fetch(`${world.sandbox.url}/control/faults`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ rules }),
  });
  if (!response.ok) throw new Error(await response.text());
}

export interface Delivery {
  readonly id?: string;
  readonly accountId?: string;
  readonly secret?: string;
  readonly at?: Date;
  readonly contentType?: string;
}

/** Posts a signed webhook by hand; resolves with the status. */
export async function deliver(world: World, body: string, how: Delivery = {}): Promise<number> {
  const { id = newId(), accountId = 'pix-sandbox', at = new Date() } = how;
  const { secret = sampleSecrets.webhookSecret, contentType = 'application/json' } = how;
  const response = await fetch(`${world.config.publicOrigin}/webhooks/${accountId}`, {
    method: 'POST',
    headers: {
      'content-type': contentType,
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret).sign(id, at, body),
    },
    body,
  });
  const text = await response.text();
  if (response.status === 200 && text !== '{"received":true}') throw new Error(text);
  return response.status;
}

/** What the gateway would say in a webhook, with changes. */
export function paidBody(charge: SandboxCharge, changes: object = {}): string {
  const { charge_id, external_reference, amount_cents, currency } = charge;
  const data = { charge_id, external_reference, amount_cents, currency, ...changes };
  return JSON.stringify({ type: 'charge.paid', timestamp: new Date().toISOString(), data });
}

/** Types in the order in which JetStream has them. */
export function typesOf(world: World, paymentId: string): string[] {
  return world.seen
    .filter((event) => (event.data as { paymentId?: string }).paymentId === paymentId)
    .map((event) => event.type);
}

/** Waits until JetStream has exactly these events of a payment. */
export async function sees(world: World, paymentId: string, ...types: string[]): Promise<void> {
  await eventually(
    () => {
      const found = typesOf(world, paymentId).join();
      if (found !== types.join()) throw new Error(`${paymentId}: ${found}, wanted ${types.join()}`);
    },
    { timeoutMs: 25_000 },
  );
}

/** Waits until nothing is left to be done about webhooks; resolves with their outcomes. */
export async function processed(world: World): Promise<string[]> {
  return eventually(
    async () => {
      const rows = await world.sql<{ outcome: string | null }[]>`
        select outcome from webhooks order by id`;
      const outcomes = rows.map(({ outcome }) => outcome);
      if (outcomes.includes(null)) throw new Error(`still to do: ${outcomes.join()}`);
      return outcomes as string[];
    },
    { timeoutMs: 25_000 },
  );
}
