/** Table `charges`: what was asked of a gateway for each checkout, and when to ask again. */
import type { Queryable, Transaction } from '@rastro/runtime';
import type { OpenedCharge, PaymentStatus } from '../core/gateway.ts';
import type { PaymentSubject } from '../core/payment.ts';

/** Its account is the one that made it; before that, the one that was to be asked first. */
export interface Charge extends PaymentSubject {
  readonly workspaceId: string;
  readonly expiresInSeconds: number;
  readonly createdAt: Date;
  readonly status: PaymentStatus;
  /** Null while the gateway has not made it, or did and we never heard. */
  readonly opened: OpenedFields | null;
  /** Number of the last question whose answer was believed. */
  readonly answeredCount: number;
  /** What a proven webhook says was paid, at gateways whose API tells no amount. */
  readonly toldCents: number | null;
  /** Questions that are still to be asked because a webhook spoke of news that was none yet. */
  readonly followUpsLeft: number;
}

export interface OpenedFields {
  readonly openedAt: Date;
  readonly gatewayChargeId: string;
  readonly pixCode: string;
  readonly expiresAt: Date;
  /** As the gateway told it when it made the charge; null: it did not. */
  readonly receiver: string | null;
  readonly isTestMode: boolean | null;
}

/** A question to the gateway; a later one has a higher number. */
export interface Question {
  readonly charge: OpenCharge;
  readonly number: number;
}

export type OpenCharge = Charge & { readonly opened: OpenedFields };

export type NewCharge = PaymentSubject & Pick<Charge, 'workspaceId' | 'expiresInSeconds'>;

type Row = Omit<Charge, 'opened'> & {
  readonly state: 'creating' | 'open';
  readonly askedCount: number;
} & { readonly [K in keyof OpenedFields]: OpenedFields[K] | null };

function chargeOf(row: Row): Charge {
  const { openedAt, gatewayChargeId, pixCode, expiresAt, receiver, isTestMode } = row;
  if (openedAt === null || gatewayChargeId === null || pixCode === null || expiresAt === null) {
    return { ...row, opened: null };
  }
  const opened = { openedAt, gatewayChargeId, pixCode, expiresAt, receiver, isTestMode };
  return { ...row, opened };
}

export function isOpen(charge: Charge): charge is OpenCharge {
  return charge.opened !== null;
}

/** The charge of a checkout: the given one, or the one that was there before. */
export async function reserveCharge(sql: Queryable, charge: NewCharge): Promise<Charge> {
  await sql`insert into charges ${sql(charge as never)} on conflict (checkout_id) do nothing`;
  const found = await findByCheckout(sql, charge.checkoutId);
  if (!found) throw new Error(`charge of checkout ${charge.checkoutId} vanished`);
  return found;
}

export async function findByCheckout(
  sql: Queryable,
  checkoutId: string,
): Promise<Charge | undefined> {
  const [row] = await sql<Row[]>`select * from charges where checkout_id = ${checkoutId}`;
  return row && chargeOf(row);
}

export async function findCharge(sql: Queryable, paymentId: string): Promise<Charge | undefined> {
  const [row] = await sql<Row[]>`select * from charges where payment_id = ${paymentId}`;
  return row && chargeOf(row);
}

/** For gateways that do not hand back our reference; also by a charge that nobody was shown. */
export async function findByGateway(
  sql: Queryable,
  { accountId, chargeId }: { accountId: string; chargeId: string },
): Promise<Charge | undefined> {
  const [row] = await sql<Row[]>`
    select * from charges where payment_id in (
      select payment_id from charges
      where account_id = ${accountId} and gateway_charge_id = ${chargeId}
      union select payment_id from charge_attempts
      where account_id = ${accountId} and gateway_charge_id = ${chargeId})
    limit 1`;
  return row && chargeOf(row);
}

/** Others who want to change this payment wait until the transaction ends. */
export async function lockCharge(tx: Transaction, paymentId: string): Promise<Charge> {
  const [row] = await tx<Row[]>`
    select * from charges where payment_id = ${paymentId} for update`;
  if (!row) throw new Error(`charge ${paymentId} vanished`);
  return chargeOf(row);
}

export async function markOpen(
  tx: Transaction,
  { paymentId, accountId }: { paymentId: string; accountId: string },
  {
    charge,
    openedAt,
    nextCheckAt,
  }: { charge: OpenedCharge; openedAt: Date; nextCheckAt: Date | null },
): Promise<OpenCharge> {
  const { chargeId: gatewayChargeId, pixCode, expiresAt, receiver, isTestMode } = charge;
  const opened = { openedAt, gatewayChargeId, pixCode, expiresAt, receiver, isTestMode };
  const changes = { state: 'open', accountId, ...opened, nextCheckAt };
  const [row] = await tx<Row[]>`
    update charges set ${tx(changes)} where payment_id = ${paymentId} returning *`;
  return openChargeOf(row);
}

export async function markAnswered(
  tx: Transaction,
  paymentId: string,
  {
    nextCheckAt,
    ...changes
  }: {
    answeredCount: number;
    status: PaymentStatus;
    followUpsLeft: number;
    nextCheckAt: Date | null;
  },
): Promise<void> {
  // Somebody may have wanted one more question while this one was being answered.
  await tx`
    update charges set ${tx(changes)}, next_check_at = case when wanted_at > asked_at
      then least(next_check_at, ${nextCheckAt}::timestamptz) else ${nextCheckAt}::timestamptz end
    where payment_id = ${paymentId}`;
}

/**
 * The money came for another charge of this payment: from now on that one is asked about. Answers
 * about the former one that are still under way count as overtaken.
 */
export async function markMoved(
  tx: Transaction,
  paymentId: string,
  changes: {
    accountId: string;
    gatewayChargeId: string;
    receiver: string | null;
    isTestMode: boolean | null;
    status: PaymentStatus;
  },
): Promise<void> {
  await tx`
    update charges set ${tx(changes)}, asked_count = asked_count + 1,
      answered_count = asked_count + 1, next_check_at = null, told_cents = null
    where payment_id = ${paymentId}`;
}

/**
 * Takes the right to ask the gateway about a charge, or null when it was asked less than
 * `minIntervalMs` ago. Counts for everybody's budget.
 */
export async function takeQuestion(
  sql: Queryable,
  paymentId: string,
  minIntervalMs: number,
): Promise<Question | null> {
  const [row] = await sql<Row[]>`
    update charges set asked_count = asked_count + 1, asked_at = now()
    where payment_id = ${paymentId} and state = 'open'
      and (asked_at is null or asked_at <= now() - ${minIntervalMs} * interval '1 millisecond')
    returning *`;
  return row ? questionOf(row) : null;
}

/** The amount in a proven webhook, where nobody else tells it. */
export async function saveToldCents(
  sql: Queryable,
  paymentId: string,
  toldCents: number,
): Promise<void> {
  await sql`update charges set told_cents = ${toldCents} where payment_id = ${paymentId}`;
}

/** Questions besides those that are planned: the first one then, and so many after it. */
export async function askAgain(
  sql: Queryable,
  paymentId: string,
  { inMs, followUpsLeft }: { inMs: number; followUpsLeft: number },
): Promise<void> {
  await sql`
    update charges set wanted_at = now(), follow_ups_left = ${followUpsLeft},
      next_check_at = least(next_check_at, now() + ${inMs} * interval '1 millisecond')
    where payment_id = ${paymentId}`;
}

/** One now, for whoever only has the gateway's id; false where no charge of the account has it. */
export async function askSoon(
  sql: Queryable,
  { accountId, chargeId }: { accountId: string; chargeId: string },
): Promise<boolean> {
  const rows = await sql`
    update charges set wanted_at = now(), next_check_at = least(next_check_at, now())
    where account_id = ${accountId} and gateway_charge_id = ${chargeId} returning 1`;
  return rows.length === 1;
}

/** Its gateway gave no answer: not before then, unless somebody wants it. */
export async function postponeQuestion(
  sql: Queryable,
  paymentId: string,
  inMs: number,
): Promise<void> {
  await sql`
    update charges set next_check_at = now() + ${inMs} * interval '1 millisecond'
    where payment_id = ${paymentId} and not coalesce(wanted_at > asked_at, false)`;
}

/**
 * Charges whose time to be asked about has come. Should the answer never be recorded, they come
 * again after `minIntervalMs`, here or in another process.
 */
export async function takeDueQuestions(
  sql: Queryable,
  options: { limit: number; busyAccounts: readonly string[]; minIntervalMs: number },
): Promise<Question[]> {
  const { limit, busyAccounts, minIntervalMs } = options;
  const rows = await sql<Row[]>`
    update charges set asked_count = asked_count + 1, asked_at = now(),
      next_check_at = now() + ${minIntervalMs} * interval '1 millisecond'
    where payment_id in (
      select payment_id from charges
      where next_check_at <= now() and state = 'open'
        and account_id <> all(${busyAccounts as string[]}::text[])
        and (asked_at is null or asked_at <= now() - ${minIntervalMs} * interval '1 millisecond')
      order by next_check_at limit ${limit} for update skip locked)
    returning *`;
  return rows.map(questionOf);
}

const questionOf = (row: Row): Question => ({
  charge: openChargeOf(row),
  number: row.askedCount,
});

function openChargeOf(row: Row | undefined): OpenCharge {
  const charge = row && chargeOf(row);
  if (!charge || !isOpen(charge)) throw new Error('an open charge is gone, or lacks its PIX code');
  return charge;
}
