/** Event edge: customers' updates and what other services say, each in one transaction. */
import type { Settlement } from '@rastro/messaging';
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
import type { Incoming } from './core/incoming.ts';
import type {
  LiveEffect,
  LoadedLead,
  LeadRow,
  SavingCircumstances,
} from './adapters/lead-store.ts';
import { type CommandOptions, commandOf, insideFunnel, namedClick } from './update-command.ts';

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
    circumstances: SavingCircumstances,
  ): Promise<LiveEffect[]>;
  rememberPayment(tx: Transaction, leadId: string, event: RastroEvent): Promise<void>;
}

export interface HandlersOptions extends CommandOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly leads: Leads;
  readonly saveClick: (event: RastroEvent<'ClickTracked'>) => Promise<void>;
  /** What is to do right after the commit; must not throw and is not waited for. */
  readonly carryOut: (effects: readonly LiveEffect[], incoming: Incoming) => void;
  /** Something may have been queued for Telegram or payment-confirmer, or for later. */
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
  const funnel = catalog.get('funnel', bot.item.funnel);
  if (content.type === 'start' && funnel === undefined) {
    return {
      deadLetter: `bot ${botId} has funnel ${bot.item.funnel}, which is not in the catalog`,
    };
  }
  const click = await namedClick(options, incoming);
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
      const { operatorChatId } = bot.item;
      return leads.save(tx, loaded, decision, { at, causationId: messageId, operatorChatId });
    }),
  );
  onQueued();
  carryOut(effects, incoming);
  return 'ack';
}

async function onCommerce(options: HandlersOptions, event: CommerceEvent): Promise<Settlement> {
  const { sql, catalog, leads, log, onQueued } = options;
  const { botId, leadId, telegramUserId } = event.data;
  const bot = catalog.get('bot', botId)?.item;
  // An external runtime hears of its payments itself.
  if (bot?.runtime === 'external') return 'ack';
  if (leadId === null && telegramUserId === null) return 'ack';
  await withConflictRetry(() =>
    sql.begin(async (tx) => {
      if (!(await isFirstDelivery(tx, 'bot-funnel__commerce', event.id))) return;
      const key = leadId === null ? { botId, telegramUserId: telegramUserId ?? 0 } : { leadId };
      const loaded = await leads.find(tx, key);
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
    const { paymentId } = event.data;
    log.warn({ botId, paymentId, type: event.type }, 'money went back or is in dispute');
  }
  onQueued();
  return 'ack';
}

const isReversal = ({ type }: CommerceEvent): boolean =>
  type === 'PaymentRefunded' || type === 'PaymentDisputed' || type === 'PaymentChargedBack';

async function commandOfCommerce(
  { publicOrigin, funnels }: HandlersOptions,
  tx: Transaction,
  { event, loaded, at }: { event: CommerceEvent; loaded: LoadedLead; at: string },
): Promise<LeadCommand> {
  if (event.type !== 'DeliveryIssued') {
    const funnel = await insideFunnel(funnels, tx, event.workspaceid, loaded.lead);
    return { type: 'ObservePayment', at, fact: event, funnel };
  }
  const { paymentId, productName, hasPixel, deliveryToken, accessUrl } = event.data;
  const link = hasPixel ? `${publicOrigin}/delivery/${deliveryToken}` : accessUrl;
  return { type: 'Deliver', paymentId, productName, link };
}
