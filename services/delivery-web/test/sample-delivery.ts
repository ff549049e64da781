/** A paid order of the sample catalog, as its page sees it. */
import type { Delivery } from '../src/core/page.ts';

export const sampleDelivery: Delivery = {
  deliveryId: '019aa0f0-0000-7000-8000-000000000004',
  paymentId: '019aa0f0-0000-7000-8000-000000000002',
  workspaceId: 'demo',
  botId: 'bot-a',
  poolId: 'promo',
  trackingToken: '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
  productId: 'ebook',
  productName: 'E-book',
  amountCents: 1990,
  currency: 'BRL',
  accessUrl: 'https://example.com/ebook',
  click: {
    poolId: 'promo',
    consent: 'not_required',
    externalIds: ['a'.repeat(64), 'b'.repeat(64)],
  },
  leadExternalId: 'c'.repeat(64),
  cookies: { fbp: 'fb.1.1763640000000.1', fbc: 'fb.1.1763640000000.AbC-_x' },
  firstReportMs: null,
  isPaid: true,
  isRefunded: false,
  isChargedBack: false,
  isDisputed: false,
};
