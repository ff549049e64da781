/**
 * Goal: the whole trail works in one process and as seven, and everything that was started is gone
 * afterwards. Method: walks without a browser; every trace of each is counted.
 */
import assert from 'node:assert/strict';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { type Journey, walk } from '../support/journey.ts';
import { startTestHouse, type TestHouse } from '../support/test-house.ts';

/** Each journey left one click, one payment, one delivery, and one of each event at Meta. */
async function checkTraces({ sandbox, sql }: TestHouse, journey: Journey): Promise<void> {
  const { trackingToken, paymentId } = journey;
  await eventually(
    async () => {
      for (const eventId of [`evt_${trackingToken}`, `purchase_${paymentId}`]) {
        const [group] = await sandbox.events(eventId);
        assert.equal(group?.server.length, 1, `${eventId} at Meta`);
      }
      const log = await sql<{ type: string; times: number }[]>`
      select type, count(*) as times from tracking.event_log
      where tracking_token = ${trackingToken} group by type`;
      const times = Object.fromEntries(log.map((row) => [row.type, row.times]));
      for (const type of [
        'ClickTracked',
        'FunnelStarted',
        'PaymentCreated',
        'PaymentPaid',
        'DeliveryIssued',
        'DeliveryViewed',
      ]) {
        assert.equal(times[type], 1, `${type} in event_log`);
      }
      assert.equal(times['ConversionAccepted'], 2);
      const [session] = await sql`
      select * from tracking.meta_tracking_sessions where tracking_token = ${trackingToken}`;
      assert.equal(session?.['pageviewSent'], true);
    },
    { timeoutMs: 30_000, intervalMs: 200 },
  );
}

for (const mode of ['one-process', 'processes'] as const) {
  await t.test(`twenty customers at once, ${mode}`, async (t) => {
    await using world = await startTestHouse({ mode });
    const walking = Array.from({ length: 20 }, () => walk({ ...world, timeoutMs: 60_000 }));
    const journeys = await Promise.all(walking);
    for (const journey of journeys) await checkTraces(world, journey);
    t.equal(new Set(journeys.map(({ paymentId }) => paymentId)).size, 20);
    const purchases = await world.sandbox.events();
    t.equal(purchases.filter(({ eventName }) => eventName === 'Purchase').length, 20);
  });
}

await t.test(
  'unknown, expired and malformed start tokens: an organic customer who can buy',
  async (t) => {
    await using world = await startTestHouse({ mode: 'one-process' });
    const { sandbox, sql } = world;
    for (const [index, payload] of ['f'.repeat(32), 'not-a-token', ''].entries()) {
      const userId = 5_000 + index;
      await sandbox.start('receitas_a_bot', userId, payload);
      await eventually(
        async () => {
          const messages = await sandbox.messages('receitas_a_bot', userId);
          assert.ok(
            messages.some(({ reply_markup }) => reply_markup),
            'the offer came',
          );
        },
        { timeoutMs: 30_000 },
      );
    }
    const origins = await eventually(async () => {
      const rows = await sql<{ origin: string }[]>`
      select event->'data'->>'origin' as origin from funnel.events where type = 'FunnelStarted'`;
      assert.equal(rows.length, 3);
      return rows.map(({ origin }) => origin);
    });
    t.same(origins, ['organic', 'organic', 'organic']);
  },
);
