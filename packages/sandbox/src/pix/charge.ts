/** One PIX charge and what may happen to it. Pure: time and ids arrive as arguments. */
import type { GatewayKind } from '../world.ts';

export type ChargeStatus =
  | 'pending'
  | 'paid'
  | 'expired'
  | 'cancelled'
  | 'refunded'
  | 'partially_refunded'
  | 'disputed'
  | 'charged_back';

export interface Refund {
  id: string;
  cents: number;
  atMs: number;
}

export interface Charge {
  id: string;
  kind: GatewayKind;
  accountId: string;
  externalReference: string;
  amountCents: number;
  currency: 'BRL';
  description: string;
  callbackUrl: string;
  status: ChargeStatus;
  pixCode: string;
  location: string;
  createdAtMs: number;
  expiresAtMs: number;
  paidAtMs: number | null;
  endToEndId: string | null;
  refundedCents: number;
  refunds: readonly Refund[];
  /** How the last dispute stands, for the seller; none where nobody disputed it. */
  dispute?: 'open' | 'won' | 'lost';
  /** Handed back as it came, where a gateway does so. */
  metadata?: Readonly<Record<string, unknown>>;
}

export interface ChargeOrder {
  externalReference: string;
  amountCents: number;
  description: string;
  expiresInSeconds: number;
  /** Empty where nobody wants to hear. */
  callbackUrl: string;
  metadata?: Readonly<Record<string, unknown>>;
}

/** `key_reused`: with another order; the charge is that of the first one. */
export type Creation = { kind: 'created' | 'repeated' | 'key_reused'; charge: Charge };

/** What a gateway may have to tell about a charge; each puts it in its own words. */
export type News =
  | 'charge.created'
  | 'charge.paid'
  | 'charge.expired'
  | 'charge.refunded'
  | 'charge.disputed'
  | 'charge.dispute_won'
  | 'charge.dispute_lost';

export type Change = { ok: true; charge: Charge; news: News } | { ok: false; problem: string };

export interface Payment {
  nowMs: number;
  endToEndId: string;
  /** Banks may settle after the gateway's own expiry; this plays such a bank. */
  evenIfExpired: boolean;
}

export function payCharge(charge: Charge, payment: Payment): Change {
  const isPayable =
    charge.status === 'pending' || (charge.status === 'expired' && payment.evenIfExpired);
  if (!isPayable) return refuse(charge, 'paid');
  const { nowMs, endToEndId } = payment;
  const paid: Charge = { ...charge, status: 'paid', paidAtMs: nowMs, endToEndId };
  return { ok: true, charge: paid, news: 'charge.paid' };
}

export function expireCharge(charge: Charge): Change {
  if (charge.status !== 'pending') return refuse(charge, 'expired');
  return { ok: true, charge: { ...charge, status: 'expired' }, news: 'charge.expired' };
}

/** @param amountCents what to give back; null for all that is left */
export function refundCharge(
  charge: Charge,
  { amountCents, id, nowMs }: { amountCents: number | null; id: string; nowMs: number },
): Change {
  if (charge.paidAtMs === null || charge.status === 'charged_back') {
    return refuse(charge, 'refunded');
  }
  const leftCents = charge.amountCents - charge.refundedCents;
  const cents = amountCents ?? leftCents;
  if (cents < 1 || cents > leftCents) {
    const problem = `${cents} cents cannot be refunded: ${leftCents} cents are left.`;
    return { ok: false, problem };
  }
  const refundedCents = charge.refundedCents + cents;
  const status = refundedCents === charge.amountCents ? 'refunded' : 'partially_refunded';
  const refunds = [...charge.refunds, { id, cents, atMs: nowMs }];
  const refunded: Charge = { ...charge, refundedCents, refunds, status };
  return { ok: true, charge: refunded, news: 'charge.refunded' };
}

/** A fraud claim (MED): legal while the money has not gone back. */
export function disputeCharge(charge: Charge): Change {
  if (charge.status !== 'paid' && charge.status !== 'partially_refunded') {
    return refuse(charge, 'disputed');
  }
  const disputed: Charge = { ...charge, status: 'disputed', dispute: 'open' };
  return { ok: true, charge: disputed, news: 'charge.disputed' };
}

/** @param isWon for the seller */
export function settleDispute(charge: Charge, isWon: boolean): Change {
  if (charge.status !== 'disputed') return refuse(charge, 'settled');
  if (!isWon) {
    const lost: Charge = { ...charge, status: 'charged_back', dispute: 'lost' };
    return { ok: true, charge: lost, news: 'charge.dispute_lost' };
  }
  const status = charge.refundedCents > 0 ? 'partially_refunded' : 'paid';
  return { ok: true, charge: { ...charge, status, dispute: 'won' }, news: 'charge.dispute_won' };
}

function refuse(charge: Charge, wanted: string): Change {
  return { ok: false, problem: `A charge that is ${charge.status} cannot be ${wanted}.` };
}

/** `E` + the bank's 8-digit ISPB + UTC minute + 11 letters or digits: 32 in all. */
export function formatEndToEndId(nowMs: number, random: string): string {
  const minute = new Date(nowMs).toISOString().replaceAll(/[-T:]/g, '').slice(0, 12);
  return `E18236120${minute}${random}`.slice(0, 32).padEnd(32, '0');
}

/** The gateway's answer about a charge. */
export function describeCharge(charge: Charge): Record<string, unknown> {
  const isoOrNull = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    charge_id: charge.id,
    external_reference: charge.externalReference,
    amount_cents: charge.amountCents,
    currency: charge.currency,
    description: charge.description,
    status: charge.status,
    pix_code: charge.pixCode,
    created_at: isoOrNull(charge.createdAtMs),
    expires_at: isoOrNull(charge.expiresAtMs),
    paid_at: isoOrNull(charge.paidAtMs),
    end_to_end_id: charge.endToEndId,
    refunded_cents: charge.refundedCents,
  };
}
