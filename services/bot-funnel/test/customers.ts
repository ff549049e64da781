/** What customers and their banks do to a bot that is really there. */
import assert from 'node:assert/strict';
import type { DataOf } from '@rastro/events';
import { eventually, sampleEvent } from '@rastro/testing';
import { envelopeOf, shared } from './payments.ts';
import type { SentMessage, World } from './world.ts';

const patienceMs = 20_000;

/** Presses the newest button of that name, once it is there. */
export async function press(world: World, user: number, label: string): Promise<unknown> {
  const check = async (): Promise<SentMessage> => {
    const shown = (await world.said(user)).findLast(({ reply_markup: markup }) =>
      markup?.inline_keyboard.flat().some(({ text }) => text === label),
    );
    if (shown === undefined) throw new Error(`${user} was not shown ${label}`);
    return shown;
  };
  return world.press(user, await eventually(check, { timeoutMs: patienceMs }), label);
}

/** The charges of a customer, oldest first, as the service has heard of them. */
export async function chargesOf(world: World, user: number): Promise<DataOf<'PaymentCreated'>[]> {
  const rows = await world.sql<{ event: { data: DataOf<'PaymentCreated'> } }[]>`
    select event from observed_payments where event ->> 'type' = 'PaymentCreated'
      and (event -> 'data' ->> 'telegramUserId')::bigint = ${user} order by position`;
  return rows.map(({ event }) => event.data);
}

/** A click that the service has heard of, so that a START need not wait for it. */
export async function click(world: World, trackingToken: string): Promise<void> {
  await world.publish(sampleEvent('ClickTracked', { trackingToken }));
  await eventually(async () => {
    const rows = await world.sql`select 1 from clicks where tracking_token = ${trackingToken}`;
    assert.equal(rows.length, 1);
  });
}

/**
 * Time passes for one customer: what is stored of him grows older, from one thing that comes due to
 * the next, and each has happened before the next one comes due. A clock of seconds would race
 * against the chat, which takes one message in each.
 */
export async function wait(world: World, user: number, ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0;) {
    const stepMs = Math.min(leftMs, await untilNextMs(world, user));
    await age(world, user, stepMs);
    await expire(world, user);
    await eventually(() => nothingIsDue(world, user), { timeoutMs: patienceMs });
    leftMs -= stepMs;
  }
}

/** Whole milliseconds, as the service keeps its times. */
async function untilNextMs({ sql }: World, user: number): Promise<number> {
  const [row] = await sql<{ ms: number | null }[]>`
    select (extract(epoch from min(at) - now()) * 1000)::float8 as ms from (
      select due_at as at from timers join leads using (lead_id) where telegram_user_id = ${user}
      union all
      select (event -> 'data' ->> 'expiresAt')::timestamptz from observed_payments as created
      where event ->> 'type' = 'PaymentCreated'
        and (event -> 'data' ->> 'telegramUserId')::bigint = ${user}
        and not exists (select 1 from observed_payments as expired
          where expired.event ->> 'type' = 'PaymentExpired'
            and expired.event -> 'data' -> 'paymentId' = created.event -> 'data' -> 'paymentId')
    ) as coming`;
  return Math.max(1, Math.ceil(row?.ms ?? Number.POSITIVE_INFINITY));
}

async function age({ sql }: World, user: number, ms: number): Promise<void> {
  await sql`
    update timers set due_at = due_at - ${ms} * interval '1 millisecond'
    from leads where leads.lead_id = timers.lead_id and telegram_user_id = ${user}`;
  await sql`
    update observed_payments set event = jsonb_set(event, '{data,expiresAt}', to_jsonb(to_char(
      ((event -> 'data' ->> 'expiresAt')::timestamptz - ${ms} * interval '1 millisecond')
        at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))
    where event ->> 'type' = 'PaymentCreated'
      and (event -> 'data' ->> 'telegramUserId')::bigint = ${user}`;
}

/** payment-confirmer tells of what has expired meanwhile. */
async function expire(world: World, user: number): Promise<void> {
  const now = new Date().toISOString();
  const told = await expiredOf(world);
  for (const charge of await chargesOf(world, user)) {
    if (charge.expiresAt > now || told.has(charge.paymentId)) continue;
    const data = { ...shared(charge), expiredAt: now };
    await world.publish(sampleEvent('PaymentExpired', data, envelopeOf(charge)));
    await eventually(async () => assert.ok((await expiredOf(world)).has(charge.paymentId)), {
      timeoutMs: patienceMs,
    });
  }
}

async function expiredOf({ sql }: World): Promise<Set<string>> {
  const rows = await sql<{ paymentId: string }[]>`
    select event -> 'data' ->> 'paymentId' as payment_id from observed_payments
    where event ->> 'type' = 'PaymentExpired'`;
  return new Set(rows.map(({ paymentId }) => paymentId));
}

async function nothingIsDue({ sql }: World, user: number): Promise<void> {
  const due = await sql`
    select 1 from timers join leads using (lead_id)
    where telegram_user_id = ${user} and due_at <= now()`;
  assert.equal(due.length, 0);
}

export async function refund(world: World, user: number): Promise<void> {
  const charge = (await chargesOf(world, user)).at(-1);
  assert.ok(charge);
  const refundedAt = new Date().toISOString();
  const money = { totalRefundedCents: charge.amountCents, isPartial: false, refundedAt };
  const data = { ...shared(charge), ...money };
  await world.publish(sampleEvent('PaymentRefunded', data, envelopeOf(charge)));
}
