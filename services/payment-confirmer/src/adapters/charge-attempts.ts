/** Table `charge_attempts`: which accounts were asked for a payment's charge, and what they said. */
import type { Queryable } from '@rastro/runtime';

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
