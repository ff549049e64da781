/** Event edge: customers' updates and what other services say, each in one transaction. */
import { type Catalog, type Settlement } from '@rastro/messaging';
import {
  isFirstDelivery,
  type Sql,
  type Transaction,
  withConflictRetry,
} from '@rastro/event-store';
import type { RastroEvent } from '@rastro/events';
import { newId, sha256Hex } from '@rastro/runtime';
import type { PaymentFact } from './core/checkout.ts';
import { type FunnelSnapshot, parsePress } from './core/funnel.ts';
import { type Incoming, trackingTokenIn } from './core/incoming.ts';
import { type Click, decide, type LeadCommand } from './core/lead.ts';
import { clickWaitMs } from './core/retry.ts';
import type { KnownClick } from './adapters/click-store.ts';
import type { LiveEffect, LoadedLead, LeadRow } from './adapters/lead-store.ts';

/** What the handlers need of the database, so that they say what they do and not how. */
export interface Leads {
  open(tx: Transaction, who: Omit<LeadRow, 'leadId'>): Promise<LoadedLead>;
  find(
    tx: Transaction,
    key: { leadId: string } | { botId: string; telegramUserId: number },
  ): Promise<LoadedLead | null>;
  save(
    tx: Transaction,
    loaded: LoadedLead,
    decision: ReturnType<typeof decide>,
    circumstances: { at: string; causationId: string },
  ): Promise<LiveEffect[]>;
  rememberPayment(tx: Transaction, leadId: string, event: RastroEvent): Promise<void>;
}

export interface Funnels {
  /** The version that the catalog has now, kept from here on. */
  keep(tx: Transaction, funnel: FunnelEntry): Promise<FunnelSnapshot>;
  byVersion(
    tx: Transaction,
    where: { workspaceId: string; funnelId: string; version: number },
  ): Promise<FunnelSnapshot | null>;
  byKey(tx: Transaction, workspaceId: string, key: string): Promise<FunnelSnapshot | null>;
}
type FunnelEntry = NonNullable<ReturnType<typeof currentFunnel>>;

export interface HandlersOptions {
  readonly sql: Sql;
  readonly catalog: Catalog;
  readonly leads: Leads;
  readonly funnels: Funnels;
  readonly findClick: (trackingToken: string) => Promise<KnownClick | undefined>;
  readonly saveClick: (event: RastroEvent<'ClickTracked'>) => Promise<void>;
  /** What is to do right after the commit; must not throw and is not waited for. */
  readonly carryOut: (effects: readonly LiveEffect[], incoming: Incoming) => void;
  /** Something may have been queued for Telegram or payment-confirmer. */
  readonly onQueued: () => void;
  /** Base of delivery links. */
  readonly publicOrigin: string;
}

export type CommerceEvent = RastroEvent<PaymentFact['type'] | 'DeliveryIssued'>;

export interface Handlers {
  onUpdate(incoming: Incoming): Promise<Settlement>;
  onCommerce(event: CommerceEvent): Promise<Settlement>;
  onClick(event: RastroEvent<'ClickTracked'>): Promise<Settlement>;
}

export function createHandlers(options: HandlersOptions): Handlers {
  return {
    onUpdate: (incoming) => onUpdate(options, incoming),
    onCommerce: (event) => onCommerce(options, event),
    async onClick(event) {
      await options.saveClick(event);
      return 'ack';
    },
  };
}

const clickRetryMs = 300;

async function onUpdate(options: HandlersOptions, incoming: Incoming): Promise<Settlement> {
  const { sql, catalog, leads, carryOut, onQueued } = options;
  const { botId, workspaceId, updateId, telegramUserId, content } = incoming;
  const bot = catalog.get('bot', botId);
  if (bot === undefined || bot.workspaceId !== workspaceId) {
    return { deadLetter: `bot ${botId} is not in the catalog` };
  }
  const funnel = currentFunnel(options, bot.item.funnel);
  if (content.type === 'start' && funnel === undefined) {
    return {
      deadLetter: `bot ${botId} has funnel ${bot.item.funnel}, which is not in the catalog`,
    };
  }
  const click = await clickOf(options, incoming);
  if (click === 'not_yet') return { retryInMs: clickRetryMs };
  const messageId = `${botId}:${updateId}`;
  const effects = await withConflictRetry(() =>
    sql.begin(async (tx) => {
      if (!(await isFirstDelivery(tx, 'bot-funnel__updates', messageId))) return [];
      const loaded =
        content.type === 'contact'
          ? await leads.find(tx, { botId, telegramUserId })
          : await leads.open(tx, { workspaceId, botId, telegramUserId });
      if (!loaded) return [];
      const at = new Date().toISOString();
      const command = await commandOf(options, tx, { incoming, loaded, click, funnel, at });
      if (command === null) return [];
      const decision = decide(loaded.lead, command);
      return leads.save(tx, loaded, decision, { at, causationId: messageId });
    }),
  );
  onQueued();
  carryOut(effects, incoming);
  return 'ack';
}

/** The click that a START names: unknown, expired or another workspace's is an organic visit. */
async function clickOf(
  { findClick }: HandlersOptions,
  incoming: Incoming,
): Promise<Click | null | 'not_yet'> {
  const { content, workspaceId, receivedAt } = incoming;
  const token = content.type === 'start' ? trackingTokenIn(content.payload) : null;
  if (token === null) return null;
  const click = await findClick(token);
  if (click === undefined) {
    return Date.now() - Date.parse(receivedAt) < clickWaitMs ? 'not_yet' : null;
  }
  const { trackingToken, poolId } = click;
  return click.workspaceId === workspaceId ? { trackingToken, poolId } : null;
}

function currentFunnel({ catalog }: HandlersOptions, funnelId: string) {
  return catalog.get('funnel', funnelId);
}

interface Situation {
  readonly incoming: Incoming;
  readonly loaded: LoadedLead;
  readonly click: Click | null;
  readonly funnel: FunnelEntry | undefined;
  readonly at: string;
}

async function commandOf(
  { funnels }: HandlersOptions,
  tx: Transaction,
  situation: Situation,
): Promise<LeadCommand | null> {
  const { incoming, loaded, click, funnel, at } = situation;
  const { content, workspaceId, telegramUserId, languageCode, isPremium } = incoming;
  const { position } = loaded.lead;
  if (content.type === 'contact') return { type: 'NoteContact', at, isBlocked: content.isBlocked };
  if (content.type === 'press') {
    const press = parsePress(content.data);
    const key = press?.type === 'step_button' ? press.snapshotKey : null;
    const pressed = key === null ? null : await funnels.byKey(tx, workspaceId, key);
    return { type: 'PressButton', at, press, funnel: pressed, newCheckoutId: newId() };
  }
  if (content.type === 'text' && position !== null) {
    const { funnelId, funnelVersion: version } = position;
    const inside = await funnels.byVersion(tx, { workspaceId, funnelId, version });
    return { type: 'Write', at, funnel: inside };
  }
  // Whoever writes before his first START is started all the same.
  if (funnel === undefined) return null;
  return {
    type: 'Start',
    at,
    telegramUserId,
    externalId: sha256Hex(String(telegramUserId)),
    languageCode,
    isPremium,
    click,
    funnel: await funnels.keep(tx, funnel),
  };
}

async function onCommerce(options: HandlersOptions, event: CommerceEvent): Promise<Settlement> {
  const { sql, catalog, leads, onQueued } = options;
  const { botId, leadId, telegramUserId } = event.data;
  // An external runtime hears of its payments itself.
  if (catalog.get('bot', botId)?.item.runtime === 'external') return 'ack';
  if (leadId === null && telegramUserId === null) return 'ack';
  await withConflictRetry(() =>
    sql.begin(async (tx) => {
      if (!(await isFirstDelivery(tx, 'bot-funnel__commerce', event.id))) return;
      const key = leadId === null ? { botId, telegramUserId: telegramUserId ?? 0 } : { leadId };
      const loaded = await leads.find(tx, key);
      if (loaded?.row.workspaceId !== event.workspaceid) return;
      const at = new Date().toISOString();
      if (event.type !== 'DeliveryIssued') {
        await leads.rememberPayment(tx, loaded.row.leadId, event);
      }
      const decision = decide(loaded.lead, commandOfCommerce(options, event, at));
      await leads.save(tx, loaded, decision, { at, causationId: event.id });
    }),
  );
  onQueued();
  return 'ack';
}

function commandOfCommerce(
  { publicOrigin }: HandlersOptions,
  event: CommerceEvent,
  at: string,
): LeadCommand {
  if (event.type !== 'DeliveryIssued') {
    return { type: 'ObservePayment', at, fact: event };
  }
  const { paymentId, productName, hasPixel, deliveryToken, accessUrl } = event.data;
  const link = hasPixel ? `${publicOrigin}/delivery/${deliveryToken}` : accessUrl;
  return { type: 'Deliver', paymentId, productName, link };
}
