/** What a payment gateway is to us, in words that are the same for all of them. */
import type { paymentsCreate, ReplyOf } from '@rastro/events';

export type PaymentStatus = ReplyOf<typeof paymentsCreate>['status'];

/** Times are ISO 8601 UTC with ms; null where the gateway does not say. */
export interface ChargeReport {
  readonly chargeId: string;
  /** Our `payment.id`, as we gave it when the charge was made. */
  readonly reference: string | null;
  readonly amountCents: number | null;
  readonly currency: string | null;
  /** `unknown`: a status that this version does not know; it changes nothing. */
  readonly status: PaymentStatus | 'unknown';
  /** In the gateway's own word, for the log. */
  readonly statusAtGateway: string;
  readonly paidAt: string | null;
  readonly endToEndId: string | null;
  /** All that went back so far. */
  readonly refundedCents: number | null;
  /** Who gets the money, in the gateway's own id. */
  readonly receiver: string | null;
  /** No real money: never to be mixed up with it. */
  readonly isTestMode: boolean | null;
}

/**
 * The answer to the making of a charge. Some gateways' test accounts hand out codes that no bank
 * can read; in test mode they are not checked.
 */
export interface OpenedCharge extends ChargeReport {
  readonly pixCode: string;
  readonly expiresAt: string;
}

export interface ChargeOrder {
  /** Also the idempotency key: the same id, the same charge. */
  readonly paymentId: string;
  readonly amountCents: number;
  readonly currency: string;
  readonly description: string;
  readonly expiresInSeconds: number;
  readonly callbackUrl: string;
}

export type Opening =
  | { readonly ok: true; readonly charge: OpenedCharge }
  /** The gateway will not make this charge however often it is asked. */
  | { readonly ok: false; readonly reason: string };

/** A webhook as it came in. */
export interface WebhookDelivery {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}

/** The dispute was lost. */
export type Claim = 'charged_back';

/** Says which charge to ask about; what it claims about that charge is only ever compared. */
export interface WebhookHint {
  /** The same for each delivery of one message. */
  readonly webhookId: string;
  /** In the gateway's own word, e.g. `charge.paid`. */
  readonly type: string;
  /** False for pings and types that are of no interest here: accepted, and nothing else. */
  readonly isAboutCharge: boolean;
  readonly chargeId: string | null;
  readonly reference: string | null;
  readonly amountCents: number | null;
  readonly currency: string | null;
  /** What only webhooks tell at this gateway (see {@link Silence}); else null. */
  readonly claim: Claim | null;
  /** The body without the payer (`core/redaction.ts`). */
  readonly record: unknown;
}

export type WebhookVerdict =
  | {
      readonly outcome: 'verified';
      readonly hint: WebhookHint;
      /** What is odd about it: heeded all the same, and somebody should look. */
      readonly remark?: string;
    }
  /**
   * Its signature does not fit, at a gateway that is known to sign wrongly: nothing of it is
   * believed, but the charge is asked about within the budget.
   */
  | { readonly outcome: 'unproven'; readonly problem: string; readonly chargeId: string }
  | { readonly outcome: 'forged' | 'stale' | 'malformed'; readonly problem: string };

/** What a gateway's API leaves out when it is asked; there a proven webhook's word counts. */
export interface Silence {
  /**
   * The amount, or how much was paid of what was asked for: the one of the proven webhook has to
   * fit as well, and where none came, the one that was confirmed when the charge was made counts.
   */
  readonly amount?: true;
  /** Lost disputes: a charge whose money was taken back is told as paid, or still in dispute. */
  readonly lostDisputes?: true;
}

/** One account at one gateway. Methods reject with `GatewayError` when no answer can be had. */
export interface Gateway {
  readonly kind: string;
  readonly silentOn: Silence;
  /** The shortest time between two questions about a charge, as its terms have it; else 0. */
  readonly requeryIntervalMs: number;
  /** What its terms make a seller show before payment, unless the account has its own words. */
  readonly checkoutNotice: string | null;
  /** It never sends again what was refused once, so that each refusal has to be an alarm. */
  readonly isRefusalFinal?: true;
  /** @param timeoutMs after which the outcome counts as unknown. */
  createCharge(order: ChargeOrder, timeoutMs: number): Promise<Opening>;
  /** Null when the gateway knows no such charge. */
  getCharge(chargeId: string): Promise<ChargeReport | null>;
  /**
   * The charge that was paid by a payment, where some webhooks name it only by the bank's id of the
   * payment (as `chargeId`, without a reference). Null when the account has no such payment.
   */
  chargeIdOf?(endToEndId: string): Promise<string | null>;
  /** @param amountCents at most what is left of the charge. */
  refund(chargeId: string, amountCents: number): Promise<ChargeReport>;
  /** Rejects where nobody can tell right now whether it is proven: it has to come again. */
  verifyWebhook(delivery: WebhookDelivery): Promise<WebhookVerdict>;
}

/** What is compared before any word about a charge counts; null: not told, or not known. */
export interface ChargeIdentity {
  readonly chargeId: string | null;
  readonly reference: string | null;
  readonly amountCents: number | null;
  readonly currency: string | null;
  readonly receiver: string | null;
  readonly isTestMode: boolean | null;
}

const compared = [
  'chargeId',
  'reference',
  'amountCents',
  'currency',
  'receiver',
  'isTestMode',
] as const;

/** Says what differs, or null. What is not told cannot differ. */
export function mismatchOf(
  expected: ChargeIdentity,
  told: Pick<ChargeIdentity, 'chargeId' | 'reference' | 'amountCents' | 'currency'> &
    Partial<ChargeIdentity>,
): string | null {
  const wrong = compared
    .filter((name) => expected[name] !== null && (told[name] ?? null) !== null)
    .filter((name) => told[name] !== expected[name])
    .map((name) => `${name} is ${String(told[name])}, expected ${String(expected[name])}`);
  return wrong.length === 0 ? null : wrong.join('; ');
}

/** Statuses that only a charge has whose money came, wherever it went afterwards. */
export const isPaidStatus = (status: ChargeReport['status']): boolean =>
  ['paid', 'partially_refunded', 'refunded', 'disputed', 'charged_back'].includes(status);

/** Statuses of a charge whose money is with the seller, even if not all of it or not undisputed. */
export const hasMoney = (status: ChargeReport['status']): boolean =>
  ['paid', 'partially_refunded', 'disputed'].includes(status);

/** The same for a word that money depends on: an amount that nobody vouches for proves nothing. */
export function disproofOf(expected: ChargeIdentity, told: ChargeIdentity): string | null {
  return told.amountCents === null ? 'the amount is not told' : mismatchOf(expected, told);
}

/** What else is known when a gateway has answered. */
export interface Circumstances {
  readonly silentOn: Silence;
  /** Of the proven webhook that made us ask. */
  readonly claim: Claim | null;
  readonly statusHere: PaymentStatus | 'none';
}

/** The answer, completed where this gateway's API is silent. */
export function completeStatus(
  report: ChargeReport,
  { silentOn, claim, statusHere }: Circumstances,
): ChargeReport {
  const isLost = silentOn.lostDisputes === true && (claim ?? statusHere) === 'charged_back';
  return isLost && hasMoney(report.status) ? { ...report, status: 'charged_back' } : report;
}
