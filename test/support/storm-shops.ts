/** Two shops in a house, whose gateway says nothing by itself, and their open charges. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { paymentsCreate } from '@rastro/events';
import { applyCatalog } from '@rastro/infra/catalog-client';
import { parseCatalogYaml } from '@rastro/infra/catalog-yaml';
import { worldOf } from '@rastro/infra/house-sandbox';
import { repository } from '@rastro/infra/services';
import { ask, type Nats } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import { eventually } from '@rastro/testing';
import type { TestHouse } from './test-house.ts';
import type { StormAccount, StormCharge } from './webhook-storm.ts';

interface Shop {
  readonly workspaceId: string;
  readonly accountId: string;
  readonly webhookSecret: string;
}

const shops: readonly Shop[] = ['tempestade', 'vizinha'].map((workspaceId) => ({
  workspaceId,
  accountId: `pix-${workspaceId}`,
  webhookSecret: `whsec_${Buffer.from(`secret-of-the-shop-${workspaceId}`).toString('base64')}`,
}));

export const stormAccounts: readonly StormAccount[] = shops.map(
  ({ accountId: id, webhookSecret }) => ({ id, webhookSecret }),
);

const catalogOf = (
  { workspaceId, accountId, webhookSecret }: Shop,
  number: number,
  sandboxUrl: string,
) =>
  parseCatalogYaml({
    fileName: `${workspaceId}.yaml`,
    environment: {},
    text: `
workspace: ${workspaceId}
accounts:
  - id: ${accountId}
    kind: standard-webhooks
    apiUrl: ${sandboxUrl}
    credentials: { apiKey: key-of-${workspaceId}, webhookSecret: ${webhookSecret} }
products:
  - { id: curso-${workspaceId}, name: Curso, priceCents: 4990, currency: BRL, accessUrl: 'https://example.com' }
funnels:
  - { id: funil-${workspaceId}, steps: [{ id: welcome, text: Oi, buttons: [{ label: Comprar, buy: curso-${workspaceId} }] }] }
bots:
  - id: bot-${workspaceId}
    username: ${workspaceId}_bot
    token: '700000020${number}:AAsandboxBotTokenOfTheStorm000000000'
    funnel: funil-${workspaceId}
    account: ${accountId}
pools:
  - id: pool-${workspaceId}
    slug: pool-${workspaceId}
    bots: [{ bot: bot-${workspaceId} }]
    meta: { enabled: true, pixelId: '55555555${number}', accessToken: EAAof${workspaceId}, purchaseTrigger: paid }
`,
  });

/** Beside the demo's shop. Their gateway sends no webhooks: the storm plays it. */
export async function openShops({ house, sandbox }: TestHouse): Promise<void> {
  const sandboxUrl = house.sandboxUrl ?? '';
  const demoFile = join(repository, 'infra/sandbox/catalog.yaml');
  const demo = parseCatalogYaml({
    fileName: demoFile,
    text: readFileSync(demoFile, 'utf8'),
    environment: { SANDBOX_URL: sandboxUrl },
  });
  const catalogs = shops.map((shop, index) => catalogOf(shop, index, sandboxUrl));
  const drafts = [demo, ...catalogs].flatMap((catalog) => catalog.drafts);
  await sandbox.putWorld(worldOf({ ...demo, drafts }, house.publicOrigin));
  const api = { url: house.urls.get('operator-console') ?? '', apiKey: house.secrets.apiKey };
  for (const catalog of catalogs) await applyCatalog(api, catalog, house.secrets);
  for (const { accountId } of shops) {
    const match = { path: `/webhooks/${accountId}` };
    await sandbox.addFault({ api: 'pixWebhooks', match, action: { lose: true } });
  }
}

const together = 25;

/** One in twenty is the neighbour's. */
export async function openCharges(
  { sandbox }: TestHouse,
  { nats, count }: { nats: Nats; count: number },
): Promise<StormCharge[]> {
  const opened: Omit<StormCharge, 'chargeId'>[] = [];
  for (let from = 0; from < count; from += together) {
    const some = Array.from({ length: together }, (_, index) => openCharge(nats, from + index));
    opened.push(...(await Promise.all(some)));
  }
  const known = new Map(
    (await sandbox.charges()).map((charge) => [charge.external_reference, charge.charge_id]),
  );
  return opened.map((one) => ({ ...one, chargeId: known.get(one.paymentId) ?? '' }));
}

async function openCharge(nats: Nats, index: number): Promise<Omit<StormCharge, 'chargeId'>> {
  const { workspaceId, accountId } = shops[index % 20 === 0 ? 1 : 0] as Shop;
  const request = {
    workspaceId,
    checkoutId: newId(),
    botId: `bot-${workspaceId}`,
    productId: `curso-${workspaceId}`,
    poolId: `pool-${workspaceId}`,
    leadId: null,
    telegramUserId: 800_000_000 + index,
    trackingToken: null,
  };
  // The new shop's catalog is on its way.
  return eventually(async () => {
    const reply = await ask(nats.connection, paymentsCreate, request, 10_000);
    if (!reply.ok) throw new Error(reply.error.message);
    const { paymentId, amountCents } = reply.value;
    return { paymentId, amountCents, accountId };
  });
}
