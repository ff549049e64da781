/** Table `charge_attempts`: which accounts were asked for a payment's charge, and what they said. */
import type { Queryable, Transaction } from '@rastro/runtime';

export interface AttemptKey {
  readonly paymentId: string;
  readonly accountId: string;
}

export interface Attempt extends AttemptKey {
  readonly callbackUrl: string;
  /** Null where the gateway made none, or did and we never heard. */
  readonly gatewayChargeId: string | null;
}

/** To be committed before the gateway is asked; a repetition keeps the address of the first. */
export async function startAttempt(
  sql: Queryable,
  { paymentId, accountId }: AttemptKey,
  callbackUrl: string,
): Promise<Attempt> {
  const [row] = await sql<Attempt[]>`
    insert into charge_attempts as attempt (payment_id, account_id, callback_url)
    values (${paymentId}, ${accountId}, ${callbackUrl})
    on conflict (payment_id, account_id) do update
      set asked_count = attempt.asked_count + 1, asked_at = now()
    returning payment_id, account_id, callback_url, gateway_charge_id`;
  if (!row) throw new Error(`an attempt for ${paymentId} vanished`);
  return row;
}

/** What it came to: a charge, or why there is none. */
export async function settleAttempt(
  sql: Queryable,
  { paymentId, accountId }: AttemptKey,
  result: { readonly gatewayChargeId: string } | { readonly problem: string },
): Promise<void> {
  const changes =
    'problem' in result ? { problem: result.problem.slice(0, 1024) } : { ...result, problem: null };
  await sql`
    update charge_attempts set ${sql(changes as never)}
    where payment_id = ${paymentId} and account_id = ${accountId}`;
}

export async function findAttempt(
  sql: Queryable,
  { paymentId, accountId }: AttemptKey,
): Promise<Attempt | undefined> {
  const [row] = await sql<Attempt[]>`
    select payment_id, account_id, callback_url, gateway_charge_id from charge_attempts
    where payment_id = ${paymentId} and account_id = ${accountId}`;
  return row;
}

/** Charges that were made for a payment besides its own, as far as we ever heard of them. */
export async function findStrayAttempts(
  sql: Queryable,
  paymentId: string,
): Promise<{ readonly accountId: string; readonly chargeId: string }[]> {
  return sql<{ accountId: string; chargeId: string }[]>`
    select a.account_id, a.gateway_charge_id as charge_id
    from charge_attempts a join charges c using (payment_id)
    where a.payment_id = ${paymentId} and a.gateway_charge_id is not null
      and (a.account_id, a.gateway_charge_id) <> (c.account_id, c.gateway_charge_id)
    order by a.account_id`;
}

/**
 * Takes the right to ask the gateway about a charge that nobody was shown; false when one of the
 * same account and payment was asked about less than `minIntervalMs` ago.
 */
export async function takeStrayQuestion(
  sql: Queryable,
  { paymentId, accountId }: AttemptKey,
  minIntervalMs: number,
): Promise<boolean> {
  const rows = await sql`
    update charge_attempts set questioned_at = now()
    where payment_id = ${paymentId} and account_id = ${accountId}
      and (${minIntervalMs} = 0 or questioned_at is null
        or questioned_at <= now() - ${minIntervalMs} * interval '1 millisecond')
    returning 1`;
  return rows.length === 1;
}

/**
 * To be called before a stray charge becomes the payment's own: each is asked about no sooner than
 * it would have been, on whichever clock it is from now on.
 */
export async function exchangeClocks(
  tx: Transaction,
  { paymentId, accountId }: AttemptKey,
): Promise<void> {
  // Both parts see the rows as they were before.
  await tx`
    with former as (
      update charge_attempts a set questioned_at = c.asked_at from charges c
      where c.payment_id = ${paymentId}
        and (a.payment_id, a.account_id) = (c.payment_id, c.account_id))
    update charges set asked_at = a.questioned_at from charge_attempts a
    where charges.payment_id = ${paymentId}
      and a.payment_id = ${paymentId} and a.account_id = ${accountId}`;
}

/** False where this one is known already. */
export async function markSurplus(
  sql: Queryable,
  { paymentId, accountId, chargeId }: AttemptKey & { readonly chargeId: string },
): Promise<boolean> {
  const rows = await sql`
    update charge_attempts set surplus_charge_ids = array_append(surplus_charge_ids, ${chargeId})
    where payment_id = ${paymentId} and account_id = ${accountId}
      and not ${chargeId} = any(surplus_charge_ids)
    returning 1`;
  return rows.length === 1;
}
