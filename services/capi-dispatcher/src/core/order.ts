/** What is known about one payment, whichever of its events came first. */
import type { DataOf } from '@rastro/events';
import { type Signals, signalsOf } from './journey.ts';

export interface Paid {
  readonly paidAtMs: number;
  /** When we learned of it. */
  readonly seenAtMs: number;
  readonly botId: string;
  readonly poolId: string | null;
  readonly productId: string;
  readonly productName: string;
  readonly amountCents: number;
  readonly currency: string;
  /** SHA-256 of the payer's Telegram user id. */
  readonly telegramExternalId: string | null;
}

/** The first opening of the delivery page, with what the browser said about itself. */
export interface View extends Signals {
  readonly viewedAtMs: number;
}

export interface Order {
  readonly paymentId: string;
  readonly trackingToken: string | null;
  readonly paid: Paid | null;
  readonly viewed: View | null;
}

export function paidOf(
  data: DataOf<'PaymentPaid'>,
  known: Pick<Paid, 'paidAtMs' | 'seenAtMs' | 'telegramExternalId'>,
): Paid {
  const { botId, poolId, productId, productName, amountCents, currency } = data;
  return { botId, poolId, productId, productName, amountCents, currency, ...known };
}

/** A second view changes nothing unless it happened earlier. */
export function evolveViewed(
  viewed: View | null,
  data: DataOf<'DeliveryViewed'>,
  viewedAtMs: number,
): View {
  if (viewed && viewed.viewedAtMs <= viewedAtMs) return viewed;
  return { viewedAtMs, ...signalsOf(data, viewedAtMs) };
}
