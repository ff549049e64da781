/** Event edge: what other services say, each in one transaction. */
import type { Catalog, Settlement } from '@rastro/messaging';
import {
  isFirstDelivery,
  type Sql,
  type Transaction,
  withConflictRetry,
} from '@rastro/event-store';
import type { RastroEvent } from '@rastro/events';
import type { Logger } from '@rastro/runtime';
import type { PaymentFact } from './core/checkout.ts';
import { decide, type LeadCommand } from './core/decide.ts';
import type { Occasion } from './adapters/decision-store.ts';
import type { FunnelVersions } from './adapters/funnel-versions.ts';
import { leadKey, type LeadOwner, type LoadedLead } from './adapters/lead-store.ts';
import { noteExternalPayment } from './external-checkouts.ts';
import { insideFunnel } from './update-command.ts';

export interface HandlersOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly catalog: Catalog;
  readonly funnels: FunnelVersions;
  readonly leads: {
    findById(tx: Transaction, leadId: string): Promise<LoadedLead | null>;
    find(tx: Transaction, owners: readonly LeadOwner[]): Promise<Map<string, LoadedLead>>;
    save(
      tx: Transaction,
      loaded: LoadedLead,
      decision: ReturnType<typeof decide>,
      occasion: Omit<Occasion, 'decision'>,
    ): Promise<void>;
    rememberPayment(tx: Transaction, leadId: string, event: RastroEvent): Promise<void>;
  };
  /** Something may have been queued for Telegram. */
  readonly onQueued: () => void;
  /** Base of delivery links. */
  readonly publicOrigin: string;
}

export type CommerceEvent = RastroEvent<PaymentFact['type'] | 'DeliveryIssued'>;

export async function handleCommerce(
  options: HandlersOptions,
  event: CommerceEvent,
): Promise<Settlement> {
  const { sql, catalog, leads, log, onQueued } = options;
  const { botId, paymentId } = event.data;
  const bot = catalog.get('bot', botId)?.item;
  // An external runtime hears of its payments itself.
  if (bot?.runtime === 'external') {
    return event.type === 'DeliveryIssued' ? 'ack' : noteExternalPayment(options, event);
  }
  await withConflictRetry(() =>
    sql.begin(async (tx) => {
      if (!(await isFirstDelivery(tx, 'bot-funnel__commerce', event.id))) return;
      const loaded = await leadOf(options, tx, event);
      if (loaded?.row.workspaceId !== event.workspaceid) return;
      const at = new Date().toISOString();
      const command = await commandOfCommerce(options, tx, { event, loaded, at });
      if (event.type !== 'DeliveryIssued') {
        await leads.rememberPayment(tx, loaded.row.leadId, event);
      }
      const decision = decide(loaded.lead, command);
      const operatorChatId = bot?.operatorChatId;
      await leads.save(tx, loaded, decision, { at, causationId: event.id, operatorChatId });
    }),
  );
  if (isReversal(event)) {
    log.warn({ botId, paymentId, type: event.type }, 'money went back or is in dispute');
  }
  onQueued();
  return 'ack';
}

const isReversal = ({ type }: CommerceEvent): boolean =>
  type === 'PaymentRefunded' || type === 'PaymentDisputed' || type === 'PaymentChargedBack';

/** By its id; where a payment has none, by the Telegram user. */
async function leadOf(
  { leads }: HandlersOptions,
  tx: Transaction,
  event: CommerceEvent,
): Promise<LoadedLead | null> {
  const { botId, leadId, telegramUserId } = event.data;
  if (leadId !== null) return leads.findById(tx, leadId);
  if (telegramUserId === null) return null;
  const owner = { workspaceId: event.workspaceid, botId, telegramUserId };
  return (await leads.find(tx, [owner])).get(leadKey(owner)) ?? null;
}

async function commandOfCommerce(
  { publicOrigin, funnels, catalog }: HandlersOptions,
  tx: Transaction,
  { event, loaded, at }: { event: CommerceEvent; loaded: LoadedLead; at: string },
): Promise<LeadCommand> {
  const funnel = await insideFunnel(funnels, tx, event.workspaceid, loaded.lead);
  if (event.type !== 'DeliveryIssued') {
    const product = catalog.get('product', event.data.productId);
    const isTheirs = product?.workspaceId === event.workspaceid;
    const accessStays = isTheirs && product.item.accessAfterRefund === 'stays';
    return { type: 'ObservePayment', at, fact: event, accessStays, funnel };
  }
  const { paymentId, productName, hasPixel, deliveryToken, accessUrl } = event.data;
  const link = hasPixel ? `${publicOrigin}/delivery/${deliveryToken}` : accessUrl;
  return { type: 'Deliver', delivery: { paymentId, productName, link }, funnel };
}
