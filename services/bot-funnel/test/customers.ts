/** What customers and their banks do to a bot that is really there. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataOf } from '@rastro/events';
import { eventually, sampleEvent } from '@rastro/testing';
import { envelopeOf, shared } from './payments.ts';
import type { World } from './world.ts';

/** Presses the newest button of that name, once it is there. */
export function press(world: World, user: number, label: string): Promise<unknown> {
  return eventually(async () => {
    const shown = (await world.said(user)).findLast(({ reply_markup: markup }) =>
      markup?.inline_keyboard.flat().some(({ text }) => text === label),
    );
    if (shown === undefined) throw new Error(`${user} was not shown ${label}`);
    return world.press(user, shown, label);
  });
}

/** The charges of a customer, oldest first, as the service has heard of them. */
export async function chargesOf(world: World, user: number): Promise<DataOf<'PaymentCreated'>[]> {
  const rows = await world.sql<{ event: { data: DataOf<'PaymentCreated'> } }[]>`
    select event from observed_payments where event ->> 'type' = 'PaymentCreated'
      and (event -> 'data' ->> 'telegramUserId')::bigint = ${user} order by position`;
  return rows.map(({ event }) => event.data);
}

/** payment-confirmer tells of what has expired meanwhile. */
export async function waitAndExpire(world: World, user: number, ms: number): Promise<void> {
  await delay(ms);
  const now = new Date().toISOString();
  for (const charge of await chargesOf(world, user)) {
    if (charge.expiresAt > now) continue;
    const data = { ...shared(charge), expiredAt: now };
    await world.publish(sampleEvent('PaymentExpired', data, envelopeOf(charge)));
  }
}

export async function refund(world: World, user: number): Promise<void> {
  const charge = (await chargesOf(world, user)).at(-1);
  assert.ok(charge);
  const refundedAt = new Date().toISOString();
  const money = { totalRefundedCents: charge.amountCents, isPartial: false, refundedAt };
  const data = { ...shared(charge), ...money };
  await world.publish(sampleEvent('PaymentRefunded', data, envelopeOf(charge)));
}
