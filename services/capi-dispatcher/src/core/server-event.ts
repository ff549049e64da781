/**
 * One event as the Conversions API takes it.
 * @see Meta, "Server event parameters" and "Custom data parameters"
 */
import { centsToDecimal } from '@rastro/events';
import type { Click, Journey } from './journey.ts';
import type { Order, Paid } from './order.ts';
import {
  pageViewUserData,
  purchaseUserData,
  type UserData,
  type UserDataTools,
} from './user-data.ts';

export interface ServerEvent {
  readonly event_name: 'PageView' | 'Purchase';
  /** Unix seconds. */
  readonly event_time: number;
  readonly event_id: string;
  readonly action_source: 'website';
  readonly event_source_url: string;
  readonly user_data: UserData;
  readonly custom_data?: PurchaseData;
  /** Empty: explicitly no limited data use, which is a matter of US states alone. */
  readonly data_processing_options: readonly string[];
}

interface PurchaseData {
  readonly currency: string;
  /** Decimal units, as Meta wants them. */
  readonly value: number;
  readonly content_ids: readonly string[];
  readonly content_name: string;
  readonly content_type: 'product';
  readonly contents: readonly {
    readonly id: string;
    readonly quantity: number;
    readonly item_price: number;
  }[];
  readonly order_id: string;
}

/** What the ledger stamped when it took the event up. */
export interface Stamp {
  readonly eventId: string;
  readonly eventTimeSeconds: number;
}

export function pageViewEvent(
  journey: Journey & { readonly click: Click },
  { eventId, eventTimeSeconds }: Stamp,
  tools: UserDataTools,
): ServerEvent {
  return {
    event_name: 'PageView',
    event_time: eventTimeSeconds,
    event_id: eventId,
    action_source: 'website',
    event_source_url: journey.click.landingUrl,
    user_data: pageViewUserData(journey, tools),
    data_processing_options: [],
  };
}

/** @param deliveryUrl the delivery page without its token. */
export function purchaseEvent(
  order: Order & { readonly paid: Paid },
  journey: Journey | null,
  { eventId, eventTimeSeconds, deliveryUrl }: Stamp & { readonly deliveryUrl: string },
  tools: UserDataTools,
): ServerEvent {
  const landingUrl = order.viewed ? undefined : journey?.click?.landingUrl;
  return {
    event_name: 'Purchase',
    event_time: eventTimeSeconds,
    event_id: eventId,
    action_source: 'website',
    event_source_url: landingUrl ?? deliveryUrl,
    user_data: purchaseUserData(order, journey, tools),
    custom_data: purchaseData(order.paymentId, order.paid),
    data_processing_options: [],
  };
}

function purchaseData(paymentId: string, paid: Paid): PurchaseData {
  const { productId, productName, amountCents, currency } = paid;
  const value = Number(centsToDecimal(amountCents));
  return {
    currency,
    value,
    content_ids: [productId],
    content_name: productName,
    content_type: 'product',
    contents: [{ id: productId, quantity: 1, item_price: value }],
    order_id: paymentId,
  };
}

/** Who sends, for Meta's own statistics: two letters at least, fewer than 23 characters. */
const partnerAgent = 'rastro';

/**
 * The request's JSON, made of the events' own texts so that a repeat is the same byte for byte.
 * @param testEventCode shows the events under "Test events"; Meta counts them all the same.
 */
export function requestBody(bodies: readonly string[], testEventCode: string | null): string {
  const rest = JSON.stringify({
    partner_agent: partnerAgent,
    ...(testEventCode === null ? {} : { test_event_code: testEventCode }),
  });
  return `{"data":[${bodies.join(',')}],${rest.slice(1)}`;
}
