import type { CatalogItem, CatalogKind } from '@rastro/events';
import { catalogSubject } from '@rastro/events';
import { ensureStreams, type Nats, publishJson } from '@rastro/messaging';
import { newId, sealSecret } from '@rastro/runtime';

/** Key under which the samples' secrets are sealed; give it to the service under test. */
export const testMasterKey = Buffer.alloc(32, 7);

export interface SampleEntry<K extends CatalogKind = CatalogKind> {
  readonly kind: K;
  readonly id: string;
  readonly data: CatalogItem<K> | null;
  readonly version?: number;
}

/** Publishes entries straight to stream CATALOG, as operator-console would. */
export async function putCatalog(
  nats: Nats,
  workspaceId: string,
  entries: readonly SampleEntry[],
): Promise<void> {
  await ensureStreams(nats);
  for (const { kind, id, data, version = 1 } of entries) {
    const subject = catalogSubject({ workspaceId, kind, id });
    const body = { workspaceId, kind, id, version, changedAt: new Date().toISOString(), data };
    await publishJson(nats, { subject, id: newId(), body });
  }
}

/** One of each kind, as the demo has it; `apiUrl` is where the PIX gateway answers. */
export function sampleCatalog({ apiUrl = 'http://127.0.0.1:9' } = {}): SampleEntry[] {
  return [
    sampleAccount(apiUrl),
    {
      kind: 'product',
      id: 'ebook',
      data: {
        id: 'ebook',
        name: 'E-book',
        priceCents: 1990,
        currency: 'BRL',
        accessUrl: 'https://example.com/ebook',
      },
    },
    {
      kind: 'funnel',
      id: 'default',
      data: {
        id: 'default',
        steps: [{ id: 'welcome', text: 'Olá!', buttons: [{ label: 'Comprar', buy: 'ebook' }] }],
      },
    },
    {
      kind: 'bot',
      id: 'bot-a',
      data: {
        id: 'bot-a',
        username: 'demo_a_bot',
        token: seal('bot/bot-a/token', sampleSecrets.botToken),
        funnel: 'default',
        account: 'pix-sandbox',
        runtime: 'managed',
        enabled: true,
      },
    },
    samplePool(),
  ];
}

const seal = (place: string, plain: string): string => sealSecret(testMasterKey, place, plain);

function sampleAccount(apiUrl: string): SampleEntry<'account'> {
  const place = 'account/pix-sandbox/credentials';
  return {
    kind: 'account',
    id: 'pix-sandbox',
    data: {
      id: 'pix-sandbox',
      kind: 'standard-webhooks',
      apiUrl,
      credentials: {
        apiKey: seal(`${place}/apiKey`, sampleSecrets.apiKey),
        webhookSecret: seal(`${place}/webhookSecret`, sampleSecrets.webhookSecret),
      },
      checkoutNotice: null,
    },
  };
}

function samplePool(): SampleEntry<'pool'> {
  return {
    kind: 'pool',
    id: 'promo',
    data: {
      id: 'promo',
      slug: 'promo',
      strategy: 'round_robin',
      bots: [{ bot: 'bot-a', weight: 1, priority: 0 }],
      fallbackUrl: null,
      gate: { enabled: false, param: 'grim', value: '' },
      meta: {
        enabled: true,
        pixelId: '1234567890',
        accessToken: seal('pool/promo/meta/accessToken', sampleSecrets.accessToken),
        testEventCode: null,
        events: { pageView: true, purchase: true },
        purchaseTrigger: 'delivery',
        purchaseGraceMinutes: 10,
        pageViewHoldMs: 2_000,
      },
      consent: 'not_required',
      utmify: { pixelId: null },
    },
  };
}

/** The plain secrets of {@link sampleCatalog}, for the stand-ins on the other side. */
export const sampleSecrets = {
  apiKey: 'pix_sandbox_key',
  webhookSecret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  botToken: '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw',
  accessToken: 'EAATestTokenOfThePromoPool',
} as const;
