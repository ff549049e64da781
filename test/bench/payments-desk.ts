/** payment-confirmer and its gateway as processes of their own, and charges that are paid there. */
import { paymentsCreate } from '@rastro/events';
import { startServiceProcess } from '@rastro/infra/service-process';
import { services } from '@rastro/infra/services';
import { ask, connectNats, type Nats } from '@rastro/messaging';
import { newId, type Sql } from '@rastro/runtime';
import { freePort } from '@rastro/servers';
import {
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  sampleSecrets,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import { request } from 'undici';
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox-process.ts';

export interface PaidCharge {
  readonly paymentId: string;
  readonly chargeId: string;
  readonly amountCents: number;
}

export interface PaymentsDesk extends AsyncDisposable {
  readonly url: string;
  readonly nats: Nats;
  /** Reads schema `payments`. */
  readonly sql: Sql;
  /** Opens so many and pays them at the gateway, which says nothing of it by itself. */
  paidCharges(count: number): Promise<PaidCharge[]>;
}

export async function startPaymentsDesk(): Promise<PaymentsDesk> {
  await using stack = new AsyncDisposableStack();
  const log = testLog();
  const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
  const folders =
    services.find(({ name }) => name === 'payment-confirmer')?.database?.folders ?? [];
  const database = stack.use(await migratedDatabase(servers, { schema: 'payments', folders }));
  const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'bench', log }));
  const gateway = stack.use(await startGateway());
  await putCatalog(nats, 'demo', sampleCatalog({ apiUrl: gateway.url }));
  const port = await freePort();
  const environment = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'error',
    PORT: String(port),
    NATS_URL: servers.nats.url,
    POSTGRES_URL: database.url,
    PUBLIC_ORIGIN: `http://127.0.0.1:${port}`,
    RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
  };
  const options = { name: 'payment-confirmer', port, environment, log };
  const service = stack.use(startServiceProcess(options));
  await service.ready();
  const owned = stack.move();
  return {
    url: service.url,
    nats,
    sql: database.sql,
    paidCharges: (count) => openAndPay(nats, gateway.url, count),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const together = 16;

async function openAndPay(nats: Nats, gatewayUrl: string, count: number): Promise<PaidCharge[]> {
  const charges: PaidCharge[] = [];
  let left = count;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      charges.push(await openOne(nats, gatewayUrl));
    }
  };
  await Promise.all(Array.from({ length: together }, work));
  return charges;
}

async function openOne(nats: Nats, gatewayUrl: string): Promise<PaidCharge> {
  const buyer = { leadId: newId(), telegramUserId: 700_100_200, trackingToken: null };
  const what = { workspaceId: 'demo', botId: 'bot-a', productId: 'ebook', poolId: 'promo' };
  const order = { ...what, ...buyer, checkoutId: newId() };
  const reply = await ask(nats.connection, paymentsCreate, order, 10_000);
  if (!reply.ok) throw new Error(reply.error.message);
  const { paymentId, amountCents } = reply.value;
  const path = `/control/pix/charges?external_reference=${paymentId}`;
  const [charge] = (await (await request(`${gatewayUrl}${path}`)).body.json()) as {
    charge_id: string;
  }[];
  const chargeId = charge?.charge_id ?? '';
  const pay = `${gatewayUrl}/control/pix/charges/${chargeId}/pay`;
  await (await request(pay, { method: 'POST' })).body.dump();
  return { paymentId, chargeId, amountCents };
}

/** It says nothing of payments by itself. */
async function startGateway(): Promise<SandboxProcess> {
  const { apiKey, webhookSecret } = sampleSecrets;
  const world = { bots: [], pixels: [], pixAccounts: [{ apiKey, webhookSecret }] };
  const gateway = await startSandboxProcess({ world });
  const silence = { rules: [{ api: 'pixWebhooks', action: { lose: true } }] };
  await gateway.control('PUT', '/faults', silence);
  return gateway;
}
