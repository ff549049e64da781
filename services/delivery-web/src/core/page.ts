/** What the delivery page shows and does, from everything known of the order at this moment. */
import { formatMoney } from '@rastro/events';
import type { AccessAfterRefund, OrderMoney } from './access.ts';
import { missingCookies, type MetaCookies } from './meta-cookies.ts';
import { choosePool, type Pool, purchasePixelId } from './pool.ts';
import { type PurchasePixel, purchasePixel } from './purchase-pixel.ts';
import type { Visitor } from './visitor.ts';

/** One delivery with all that its page depends on. */
export interface Delivery extends OrderMoney {
  readonly deliveryId: string;
  readonly paymentId: string;
  readonly workspaceId: string;
  readonly botId: string;
  readonly poolId: string | null;
  readonly trackingToken: string | null;
  readonly productId: string;
  readonly productName: string;
  readonly amountCents: number;
  readonly currency: string;
  /** As it was when the delivery was issued. */
  readonly accessUrl: string | null;
  /** Null for an organic customer and until the click's event has arrived. */
  readonly click: {
    readonly poolId: string;
    readonly consent: string;
    readonly externalIds: readonly string[];
  } | null;
  readonly leadExternalId: string | null;
  /** The person's `_fbp` and `_fbc` as last told by the browser, else as of the click. */
  readonly cookies: MetaCookies;
  /** When Meta may have heard of the purchase first, by server or by Pixel; null when never. */
  readonly firstReportMs: number | null;
}

/** The catalog's part, now. */
export interface Offer {
  /** Of the order's workspace. */
  readonly pools: readonly Pool[];
  /** The product's; undefined when it was removed. */
  readonly accessUrl: string | null | undefined;
  readonly accessAfterRefund: AccessAfterRefund;
}

export interface Opening {
  readonly visitor: Visitor;
  /** As sent by the browser. */
  readonly cookies: MetaCookies;
  readonly nowMs: number;
}

export interface Page {
  readonly productName: string;
  readonly price: string;
  readonly orderNumber: string;
  readonly accessUrl: string | null;
  readonly poolId: string | null;
  /** The pool's, whether or not this page fires it. */
  readonly pixelId: string | null;
  readonly pixel: PurchasePixel | null;
  /** Asked for ahead of its user, whose opening is another request. */
  readonly isAhead: boolean;
  /** Cookies that this browser gets, so that its Pixel says what the server says. */
  readonly newCookies: MetaCookies;
}

export function pageOf(delivery: Delivery, offer: Offer, opening: Opening): Page {
  const { click, productName, paymentId } = delivery;
  const pool = choosePool(delivery, click?.poolId ?? null, offer.pools);
  const { visitor, nowMs } = opening;
  const pixel = visitor === 'person' ? purchasePixel({ ...delivery, pool, nowMs }) : null;
  return {
    productName,
    price: formatMoney(delivery.amountCents, delivery.currency),
    orderNumber: paymentId.slice(-12).toUpperCase(),
    accessUrl: offer.accessUrl === undefined ? delivery.accessUrl : offer.accessUrl,
    poolId: pool?.id ?? null,
    pixelId: purchasePixelId(pool),
    pixel,
    isAhead: visitor === 'prefetch',
    newCookies: pixel
      ? missingCookies(opening.cookies, delivery.cookies)
      : { fbp: null, fbc: null },
  };
}
