/**
 * Goal: the same events, in any order and any of them twice, end in the same rows, and in one
 * delivery a payment also where two processes hear of it at once. Method: fast-check shuffles one journey with all its turns; the real handlers write it to a real Postgres,
 * and the rows are compared with those of the natural order.
 */
import { join } from 'node:path';
import { eventStoreMigrations } from '@rastro/event-store';
import type { RastroEvent } from '@rastro/events';
import { Catalog } from '@rastro/messaging';
import { connectPostgres, newId } from '@rastro/runtime';
import { migratedDatabase, sampleEvent, startTestServers } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import { byJourney, type CommerceEvent, handleCommerce, handleTraffic } from '../src/handlers.ts';

const migrations = { name: 'delivery', path: join(import.meta.dirname, '../migrations') };

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ postgres: true }));
const folders = [eventStoreMigrations, migrations];
const { sql, url } = stack.use(await migratedDatabase(servers, { schema: 'delivery', folders }));

const minute = (count: number) => `2026-11-21T10:${String(count).padStart(2, '0')}:00.000Z`;

/** One journey with ids of its own, in its natural order. */
function journey() {
  const paymentId = newId();
  const trackingToken = newId().replaceAll('-', '');
  const payment = { paymentId, trackingToken, leadId: newId() };
  const disputed = (at: number, isOpen: boolean) =>
    sampleEvent('PaymentDisputed', { ...payment, isOpen, disputedAt: minute(at) });
  const told = (at: number, fbp: string | null, fbc: string | null) =>
    sampleEvent('BrowserSignalsCaptured', { trackingToken, capturedAt: minute(at), fbp, fbc });
  const sent = { eventName: 'Purchase', paymentId, eventId: `purchase_${paymentId}` } as const;
  const events: RastroEvent[] = [
    sampleEvent('ClickTracked', { trackingToken }),
    told(1, 'fb.1.1763640000001.1', 'fb.1.1763640000001.a'),
    told(2, 'fb.1.1763640000002.2', null),
    told(3, null, 'fb.1.1763640000003.c'),
    told(3, null, 'fb.1.1763640000003.d'),
    sampleEvent('FunnelStarted', { leadId: payment.leadId, trackingToken }),
    sampleEvent('PaymentCreated', payment),
    sampleEvent('PaymentPaid', { ...payment, paidAt: minute(4) }),
    disputed(5, true),
    disputed(6, false),
    disputed(7, true),
    sampleEvent('PaymentRefunded', { ...payment, isPartial: false, refundedAt: minute(8) }),
    sampleEvent('PaymentChargedBack', { ...payment, chargedBackAt: minute(9) }),
    sampleEvent('ConversionUnconfirmed', { ...sent, attemptedAt: minute(5) }),
    sampleEvent('ConversionAccepted', { ...sent, acceptedAt: minute(6) }),
  ];
  return { paymentId, trackingToken, events };
}

async function tell(event: RastroEvent): Promise<void> {
  if (event.type === 'ClickTracked' || event.type === 'BrowserSignalsCaptured') {
    await handleTraffic(sql, [event]);
  } else {
    const parts = { sql, catalog: new Catalog(), onIssued: () => {} };
    await handleCommerce(parts, event as CommerceEvent);
  }
}

/** What own tables hold of a journey, without the ids that are its own. */
async function rowsOf({ paymentId, trackingToken }: ReturnType<typeof journey>) {
  const rows = {
    orders: await sql`
      select pool_id, product_name, amount_cents, paid_at, refunded_at, charged_back_at,
        disputed_at, is_dispute_open
      from orders where payment_id = ${paymentId}`,
    clicks: await sql`
      select pool_id, external_ids, fbp, fbc, consent, clicked_at
      from clicks where tracking_token = ${trackingToken}`,
    cookies: await sql`
      select fbp, fbp_at, fbc, fbc_at
      from browser_cookies where tracking_token = ${trackingToken}`,
    leads: await sql`
      select l.external_id from leads l join orders o using (lead_id)
      where o.payment_id = ${paymentId}`,
    sends: await sql`select first_sent_at from purchase_sends where payment_id = ${paymentId}`,
    issued: await sql`
      select type from events where stream_id = ${`delivery-${paymentId}`}`,
  };
  return JSON.parse(JSON.stringify(rows)) as Record<keyof typeof rows, unknown[]>;
}

await t.test('events of one journey are equal in the order of rows', async (t) => {
  const journeys = ['a', 'b'].map((correlationid) => ({ correlationid }));
  const signs = journeys.map((one) => journeys.map((other) => byJourney(one, other)));
  t.same(signs, [
    [0, -1],
    [1, 0],
  ]);
});

await t.test(
  'one payment told of by two processes at once, again and again: one delivery',
  async (t) => {
    const other = connectPostgres({ url, schema: 'delivery', service: 'other', maxConnections: 8 });
    t.teardown(() => other.end());
    const issued = [0, 0];
    const processes = [sql, other].map((connection, index) => ({
      sql: connection,
      catalog: new Catalog(),
      onIssued: () => void (issued[index] = (issued[index] ?? 0) + 1),
    }));
    const paymentIds = Array.from({ length: 20 }, newId);
    await Promise.all(
      paymentIds.flatMap((paymentId) => {
        // Redelivered under the same id, and recorded again under another.
        const paid = sampleEvent('PaymentPaid', { paymentId });
        const again = sampleEvent('PaymentPaid', { paymentId });
        return [paid, again, paid, again].flatMap((event) =>
          processes.map((parts) => handleCommerce(parts, event)),
        );
      }),
    );
    for (const paymentId of paymentIds) {
      const streamId = `delivery-${paymentId}`;
      const rows = await sql`
      select type from events where stream_id = ${streamId}
      union all select 'row' from deliveries where payment_id = ${paymentId}`;
      t.same(new Set(rows.map(({ type }) => type)), new Set(['DeliveryIssued', 'row']));
      t.equal(rows.length, 2);
    }
    t.equal((issued[0] ?? 0) + (issued[1] ?? 0), 20, `${issued.join(' and ')}`);
  },
);

await t.test('shuffled and repeated', async (t) => {
  const natural = journey();
  for (const event of natural.events) await tell(event);
  const wanted = await rowsOf(natural);
  t.match(wanted, {
    orders: [{ isDisputeOpen: true, paidAt: minute(4), disputedAt: minute(7) }],
    clicks: [{ poolId: 'promo' }],
    cookies: [{ fbp: 'fb.1.1763640000002.2', fbc: 'fb.1.1763640000003.d' }],
    leads: [{ externalId: 'c'.repeat(64) }],
    sends: [{ firstSentAt: minute(5) }],
    issued: [{ type: 'DeliveryIssued' }],
  });
  const indexes = natural.events.map((_, index) => index);
  const order = fc.tuple(
    fc.shuffledSubarray(indexes, { minLength: indexes.length }),
    fc.array(fc.constantFrom(...indexes), { maxLength: 5 }),
  );
  await fc.assert(
    fc.asyncProperty(order, async ([first, again]) => {
      const shuffled = journey();
      for (const index of [...first, ...again]) {
        const event = shuffled.events[index];
        if (event) await tell(event);
      }
      const rows = await rowsOf(shuffled);
      if (JSON.stringify(rows) !== JSON.stringify(wanted)) {
        throw new Error(`ended in ${JSON.stringify(rows)}`);
      }
    }),
    { numRuns: 100, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: true },
  );
  t.pass('100 orders');
});
