/** What the browser's Pixel says of a purchase: the same values as the server's copy. */
import { centsToDecimal } from '@rastro/events';
import { type Pool, purchasePixelId } from './pool.ts';

/** What the page hands to its script. */
export interface PurchasePixel {
  readonly pixelId: string;
  /** Meta's `external_id` list, hashed. */
  readonly externalIds: readonly string[];
  readonly eventId: string;
  readonly customData: {
    /** Decimal, e.g. 19.9 for 1990 cents: Meta's unit. */
    readonly value: number;
    readonly currency: string;
    readonly content_type: 'product';
    readonly content_name: string;
    readonly content_ids: readonly string[];
    readonly contents: readonly { id: string; quantity: number; item_price: number }[];
    readonly order_id: string;
  };
  readonly trackingToken: string | null;
  /** The pool's: tells the beacon's receiver whose visitor this is. */
  readonly slug: string;
  /** How long from now Meta still discards the browser's copy of it. */
  readonly fireWithinMs: number;
}

export interface PurchaseFacts {
  readonly paymentId: string;
  readonly productId: string;
  readonly productName: string;
  readonly amountCents: number;
  readonly currency: string;
  readonly trackingToken: string | null;
  readonly pool: Pool | null;
  readonly click: { readonly consent: string; readonly externalIds: readonly string[] } | null;
  /** SHA-256 of the Telegram user id, known from `/start` on. */
  readonly leadExternalId: string | null;
  /** When Meta may have heard of this purchase first, by server or by Pixel; null when never. */
  readonly firstReportMs: number | null;
  readonly nowMs: number;
}

/**
 * Meta discards a copy only within 48 h of the first one it received; an hour is left for clocks
 * and slow networks.
 * @see https://developers.facebook.com/docs/marketing-api/conversions-api/deduplicate-pixel-and-server-events
 */
export const pixelWindowMs = 47 * 3_600_000;

/** Null when the Pixel must stay silent: switched off, no consent, or too late to be deduplicated. */
export function purchasePixel(facts: PurchaseFacts): PurchasePixel | null {
  const { paymentId, productId, currency, pool, click, leadExternalId } = facts;
  const pixelId = purchasePixelId(pool);
  if (pixelId === null || pool === null) return null;
  if (!hasConsent(click?.consent, pool)) return null;
  const { firstReportMs, nowMs } = facts;
  // A purchase that Meta has not heard of may be told by the server from now on.
  const fireWithinMs = (firstReportMs ?? nowMs) + pixelWindowMs - nowMs;
  if (fireWithinMs <= 0) return null;
  const value = Number(centsToDecimal(facts.amountCents));
  const ids = [...(click?.externalIds ?? []), ...(leadExternalId === null ? [] : [leadExternalId])];
  return {
    pixelId,
    externalIds: [...new Set(ids)],
    eventId: `purchase_${paymentId}`,
    customData: {
      value,
      currency,
      content_type: 'product',
      content_name: facts.productName,
      content_ids: [productId],
      contents: [{ id: productId, quantity: 1, item_price: value }],
      order_id: paymentId,
    },
    trackingToken: facts.trackingToken,
    slug: pool.slug,
    fireWithinMs,
  };
}

/** Without a click nobody was asked, which is enough only where nobody has to be. */
function hasConsent(consent: string | undefined, pool: Pool): boolean {
  if (consent === undefined) return pool.consent === 'not_required';
  return consent === 'granted' || consent === 'not_required';
}
