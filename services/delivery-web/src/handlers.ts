/** Event edge: from what the others say to own tables, and from a paid order to its delivery. */
import {
  isFirstDelivery,
  type Sql,
  type Transaction,
  withConflictRetry,
} from '@rastro/event-store';
import { eventFilter, type RastroEvent } from '@rastro/events';
import type { Catalog, Settlement } from '@rastro/messaging';
import { newId, newToken } from '@rastro/runtime';
import { findClickPool, issueDelivery } from './adapters/deliveries.ts';
import {
  saveBrowserCookies,
  saveClicks,
  saveLead,
  saveOrder,
  savePurchaseSend,
} from './adapters/projection.ts';
import { productOffer } from './adapters/shop.ts';
import type { PaymentEvent } from './core/order.ts';
import { choosePool, purchasePixelId } from './core/pool.ts';

export const commerceTypes = [
  'PaymentCreated',
  'PaymentPaid',
  'PaymentRefunded',
  'PaymentDisputed',
  'PaymentChargedBack',
  'FunnelStarted',
  'ConversionAccepted',
  'ConversionUnconfirmed',
] as const;

export const trafficFilters = [eventFilter('ClickTracked'), eventFilter('BrowserSignalsCaptured')];

export type CommerceEvent =
  | PaymentEvent
  | RastroEvent<'FunnelStarted' | 'ConversionAccepted' | 'ConversionUnconfirmed'>;

export interface HandlerParts {
  readonly sql: Sql;
  readonly catalog: Catalog;
  readonly onIssued: () => void;
}

export async function handleCommerce(
  parts: HandlerParts,
  event: CommerceEvent,
): Promise<Settlement> {
  const isIssued = await withConflictRetry(() =>
    parts.sql.begin(async (tx) => {
      if (!(await isFirstDelivery(tx, 'delivery-web__commerce', event.id))) return false;
      await project(tx, event);
      return event.type === 'PaymentPaid' && issueFor(tx, parts.catalog, event);
    }),
  );
  if (isIssued) parts.onIssued();
  return 'ack';
}

async function project(tx: Transaction, event: CommerceEvent): Promise<void> {
  switch (event.type) {
    case 'FunnelStarted':
      return saveLead(tx, event);
    case 'ConversionAccepted':
    case 'ConversionUnconfirmed':
      return savePurchaseSend(tx, event);
    case 'PaymentCreated':
    case 'PaymentPaid':
    case 'PaymentRefunded':
    case 'PaymentDisputed':
    case 'PaymentChargedBack':
      return saveOrder(tx, event);
  }
}

async function issueFor(
  tx: Transaction,
  catalog: Catalog,
  { id, workspaceid: workspaceId, data }: RastroEvent<'PaymentPaid'>,
): Promise<boolean> {
  const { paymentId, botId, trackingToken, leadId, telegramUserId, productId, productName } = data;
  const clickPoolId = await findClickPool(tx, workspaceId, trackingToken);
  const pool = choosePool(data, clickPoolId, catalog.itemsOf('pool', workspaceId));
  const issuedAt = new Date().toISOString();
  const delivery = {
    deliveryId: newId(),
    paymentId,
    botId,
    poolId: pool?.id ?? null,
    trackingToken,
    leadId,
    telegramUserId,
    deliveryToken: newToken(24),
    productId,
    productName,
    accessUrl: productOffer(catalog, { workspaceId, productId }).accessUrl ?? null,
    hasPixel: purchasePixelId(pool) !== null,
    issuedAt,
  };
  return issueDelivery(tx, delivery, { workspaceId, time: issuedAt, causationId: id });
}

/** All or nothing, in one transaction; every write is a merge, so a repeated batch is harmless. */
export async function handleTraffic(sql: Sql, events: readonly RastroEvent[]): Promise<void> {
  // Two processes that merge the same journeys take their rows in the same order: no deadlock.
  const inOrder = events.toSorted(byJourney);
  await sql.begin(async (tx) => {
    await saveClicks(
      tx,
      inOrder.filter((event) => event.type === 'ClickTracked'),
    );
    for (const event of inOrder) {
      if (event.type === 'BrowserSignalsCaptured') await saveBrowserCookies(tx, event);
    }
  });
}

/** Those of one journey are equal, so that they keep the order of the stream. */
export function byJourney(
  { correlationid: a }: Pick<RastroEvent, 'correlationid'>,
  { correlationid: b }: Pick<RastroEvent, 'correlationid'>,
): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
