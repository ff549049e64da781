/** Charges to ask payment-confirmer for, kept until it has answered. */
import type { paymentsCreate, RequestOf } from '@rastro/events';
import type { Queryable, Transaction } from '@rastro/event-store';
import type { Effect } from '../core/decision.ts';
import { leaseSeconds } from './work-loop.ts';

export interface PaymentRequest {
  readonly checkoutId: string;
  readonly leadId: string;
  readonly request: RequestOf<typeof paymentsCreate>;
  readonly round: number;
  /** Including the one that has just been claimed. */
  readonly attempts: number;
  readonly isCustomerTold: boolean;
  readonly requestedAt: Date;
}

/** A press for a request that had failed starts its next round, with the same checkout. */
export async function requestPayment(
  tx: Transaction,
  lead: { leadId: string; workspaceId: string; botId: string; telegramUserId: number },
  effect: Effect & { type: 'createPayment' },
): Promise<void> {
  const { checkoutId, productId, poolId, trackingToken } = effect;
  const { leadId, workspaceId, botId, telegramUserId } = lead;
  const request: PaymentRequest['request'] = {
    workspaceId,
    checkoutId,
    botId,
    productId,
    poolId,
    leadId,
    telegramUserId,
    trackingToken,
  };
  await tx`
    insert into payment_requests (checkout_id, lead_id, request)
    values (${checkoutId}, ${leadId}, ${tx.json(request as never)})
    on conflict (checkout_id) do update set status = 'pending',
      round = payment_requests.round + 1, attempts = 0, is_customer_told = false,
      requested_at = now(), next_attempt_at = now()
    where payment_requests.status = 'failed'`;
}

export async function claimPaymentRequests(
  sql: Queryable,
  limit: number,
): Promise<PaymentRequest[]> {
  return sql<PaymentRequest[]>`
    update payment_requests set attempts = attempts + 1,
      leased_until = now() + ${leaseSeconds} * interval '1 second'
    where checkout_id in (
      select checkout_id from payment_requests
      where status = 'pending' and next_attempt_at <= now() and leased_until < now()
      order by next_attempt_at limit ${limit} for update skip locked)
    returning checkout_id, lead_id, request, round, attempts, is_customer_told, requested_at`;
}

export async function renewPaymentRequests(
  sql: Queryable,
  requests: readonly PaymentRequest[],
): Promise<void> {
  const ids = requests.map(({ checkoutId }) => checkoutId);
  await sql`
    update payment_requests set leased_until = now() + ${leaseSeconds} * interval '1 second'
    where checkout_id = any(${ids}) and status = 'pending'`;
}

export async function finishPaymentRequest(sql: Queryable, checkoutId: string): Promise<void> {
  await sql`
    update payment_requests set status = 'done', last_error = null, leased_until = '-infinity'
    where checkout_id = ${checkoutId}`;
}

export async function failPaymentRequest(
  sql: Queryable,
  checkoutId: string,
  error: string,
): Promise<void> {
  await sql`
    update payment_requests set status = 'failed', last_error = ${error}, leased_until = '-infinity'
    where checkout_id = ${checkoutId} and status = 'pending'`;
}

export async function postponePaymentRequest(
  sql: Queryable,
  checkoutId: string,
  postponement: { afterMs: number; error: string; isCustomerTold: boolean },
): Promise<void> {
  const { afterMs, error, isCustomerTold } = postponement;
  await sql`
    update payment_requests set last_error = ${error}, is_customer_told = ${isCustomerTold},
      next_attempt_at = now() + ${afterMs} * interval '1 millisecond', leased_until = '-infinity'
    where checkout_id = ${checkoutId} and status = 'pending'`;
}
