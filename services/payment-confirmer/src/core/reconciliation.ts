/** Where the gateway and we say different things of one payment's money. */
import { type ChargeReport, isPaidStatus } from './gateway.ts';
import type { OpenPayment } from './payment.ts';

/** What is compared of either side. */
export interface Balance {
  readonly status: ChargeReport['status'];
  /** What stays with the seller: all of it, less what went back; disputed money still counts. */
  readonly keptCents: number;
}

export const balanceHere = (payment: OpenPayment): Balance =>
  balance(payment.status, payment.subject.amountCents, payment.refundedCents);

/** Null when its status is not understood: then nobody knows. */
export function balanceAtGateway(report: ChargeReport, here: OpenPayment): Balance | null {
  const { status, refundedCents } = report;
  if (status === 'unknown') return null;
  // Not every API says how much of it went back.
  return balance(status, here.subject.amountCents, refundedCents ?? here.refundedCents);
}

/** The same for a charge that nobody was shown, of whose refunds we keep no account. */
export function balanceOfStray(report: ChargeReport, amountCents: number): Balance | null {
  const { status, refundedCents } = report;
  return status === 'unknown' ? null : balance(status, amountCents, refundedCents ?? 0);
}

function balance(status: Balance['status'], amountCents: number, refundedCents: number): Balance {
  const isGone = !isPaidStatus(status) || status === 'refunded' || status === 'charged_back';
  // A gateway may count a refund in a dispute, or one that it only planned: never less than nothing.
  return { status, keptCents: isGone ? 0 : Math.max(0, amountCents - refundedCents) };
}

/**
 * An ended payment differs only in its money: that we called a charge expired by our own clock, and
 * the gateway calls it pending or cancelled, is nothing that anybody has to look at.
 */
export function isDifferent(here: Balance, there: Balance): boolean {
  if (here.keptCents !== there.keptCents) return true;
  if (isPaidStatus(here.status) !== isPaidStatus(there.status)) return true;
  const isEnded = !['pending', 'paid', 'partially_refunded', 'disputed'].includes(here.status);
  return !isEnded && here.status !== there.status;
}
