/**
 * Goal: each event goes to Meta when the rules say so, once, with all that is known by then.
 * Method: real NATS and Postgres, a dispatcher in this process, the sandbox's strict Graph as Meta;
 * every case has a pool and a pixel of its own, so what the Graph's log says is about that case.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RastroEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { eventually, sampleEvent } from '@rastro/testing';
import t from 'tap';
import { journeyOf, startWorld } from './world.ts';

await using world = await startWorld();
const { graph, pools, publish, sql, untilState } = world;
await using dispatcher = await world.start();

await t.test('a PageView goes once the browser has spoken, with what it said', async (t) => {
  const pool = await pools.add({ pageViewHoldMs: 30_000 });
  const { click, signals, pageViewId } = journeyOf(pool);
  await publish(click);
  await untilState(pageViewId, 'waiting');
  t.strictSame(await graph.requests(pool.pixelId), []);
  await publish(signals);
  await untilState(pageViewId, 'accepted');
  const group = await graph.group(pageViewId);
  t.equal(group?.server.length, 1);
  t.equal(group?.server[0]?.userData['fbp'], 'fb.1.1763640000999.555');
  t.strictSame(group?.warnings, [], 'nothing that Meta would complain about');
});

await t.test('a silent browser is waited for no longer than the hold', async (t) => {
  const pool = await pools.add({ pageViewHoldMs: 700 });
  const { click, pageViewId } = journeyOf(pool);
  await publish(click);
  await untilState(pageViewId, 'accepted');
  const [request] = await graph.requests(pool.pixelId);
  const heldMs = (request?.atMs ?? 0) - Date.parse(click.data.clickedAt);
  t.ok(heldMs >= 700 && heldMs < 10_000, `held for ${heldMs} ms`);
  t.equal(request?.events[0]?.eventTime, Math.floor(Date.parse(click.data.clickedAt) / 1_000));
});

await t.test('a Purchase goes at the view, at the end of the grace, or at once', async (t) => {
  const atView = await pools.add();
  const atGrace = await pools.add({ purchaseGraceMinutes: 1.2 / 60 });
  const atOnce = await pools.add({ purchaseTrigger: 'paid' });
  const [view, grace, once] = [journeyOf(atView), journeyOf(atGrace), journeyOf(atOnce)];
  for (const { click, signals, started, paid } of [view, grace, once]) {
    await publish(click, signals, started, paid);
  }
  await untilState(once.purchaseId, 'accepted');
  await untilState(view.purchaseId, 'waiting');
  await untilState(grace.purchaseId, 'accepted');
  const graceRequest = (await graph.requests(atGrace.pixelId)).find(({ events }) =>
    events.some(({ eventId }) => eventId === grace.purchaseId),
  );
  const heldMs = (graceRequest?.atMs ?? 0) - Date.parse(grace.paid.data.paidAt);
  t.ok(heldMs >= 1_200 && heldMs < 10_000, `sent ${heldMs} ms after payment`);

  await publish(view.viewed);
  await untilState(view.purchaseId, 'accepted');
  const viewed = (await graph.group(view.purchaseId))?.server[0];
  t.equal(viewed?.eventSourceUrl, 'https://go.example.com/delivery/');
  t.match(viewed, { value: 19.9, currency: 'BRL', actionSource: 'website' });
  t.same(viewed?.customData['order_id'], view.paid.data.paymentId);
  const unviewed = (await graph.group(once.purchaseId))?.server[0];
  t.equal(unviewed?.eventSourceUrl, once.click.data.landingUrl);
  const externalIds = unviewed?.userData['external_id'] as string[];
  t.ok(externalIds.includes(once.started.data.externalId), 'the Telegram id is among the ids');
});

await t.test('any order and any repetition make one PageView and one Purchase', async (t) => {
  const pool = await pools.add();
  const journeys = Array.from({ length: 12 }, () => journeyOf(pool));
  for (const [index, journey] of journeys.entries()) {
    const { click, signals, started, paid, viewed } = journey;
    const events: RastroEvent[] = [viewed, paid, started, signals, click];
    const turned = [...events.slice(index % 5), ...events.slice(0, index % 5)];
    // The same events again, and the same facts said anew under other ids.
    const repeated = turned.map((event) => sampleEvent(event.type, event.data as never));
    await publish(...(index % 2 ? turned : turned.toReversed()), ...repeated);
  }
  for (const { pageViewId, purchaseId } of journeys) {
    await untilState(pageViewId, 'accepted');
    await untilState(purchaseId, 'accepted');
  }
  await delay(500);
  for (const { pageViewId, purchaseId, click } of journeys) {
    for (const eventId of [pageViewId, purchaseId]) {
      const group = await graph.group(eventId);
      t.equal(group?.server.length, 1, `${eventId} was sent once`);
    }
    const purchase = (await graph.group(purchaseId))?.server[0];
    t.equal(purchase?.eventSourceUrl, 'https://go.example.com/delivery/', 'the view is known');
    t.equal(purchase?.userData['fbc'], click.data.fbc, 'the click is known');
  }
  const said = await sql`
    select stream_id, array_agg(type order by version) as types from events
    where type like 'Conversion%' and event->'data'->>'pixelId' = ${pool.pixelId}
    group by stream_id`;
  t.equal(said.length, 24);
  for (const { types } of said) t.same(types, ['ConversionScheduled', 'ConversionAccepted']);
});

await t.test('what is not sent is recorded with its reason', async (t) => {
  const plain = await pools.add();
  const noToken = await pools.add({ accessToken: null });
  const off = await pools.add({
    events: { pageView: false, purchase: true },
    purchaseTrigger: 'off',
  });
  const strict = await pools.add({}, { consent: 'required' });
  const click = (pool: typeof plain, data = {}) => {
    const journey = journeyOf(pool);
    return { ...journey, click: sampleEvent('ClickTracked', { ...journey.click.data, ...data }) };
  };
  const cases = [
    { ...click(plain, { trafficClass: 'bot' }), reason: 'not_human' },
    { ...click(plain, { consent: 'denied' }), reason: 'no_consent' },
    { ...click(strict, { consent: 'unknown' }), reason: 'no_consent' },
    { ...click(plain, { pixelId: null }), reason: 'no_pixel' },
    { ...click(plain, { poolId: 'gone' }), reason: 'unknown_pool' },
    { ...click(noToken), reason: 'no_access_token' },
    { ...click(off), reason: 'event_off' },
  ];
  for (const { click: event, pageViewId, reason } of cases) {
    await publish(event);
    t.equal((await untilState(pageViewId, 'skipped')).reason, reason);
  }
  const switchedOff = journeyOf(off);
  await publish(switchedOff.click, switchedOff.paid);
  t.equal((await untilState(switchedOff.purchaseId, 'skipped')).reason, 'trigger_off');

  const organic = sampleEvent('PaymentPaid', {
    ...journeyOf(plain).paid.data,
    trackingToken: null,
    poolId: null,
  });
  await publish(organic);
  await untilState(`purchase_${organic.data.paymentId}`, 'waiting');
  t.pass('an organic order takes the first pool that has the bot');

  const late = journeyOf(strict);
  await publish(late.paid);
  t.equal((await untilState(late.purchaseId, 'skipped')).reason, 'no_consent');
  await publish(
    sampleEvent('ClickTracked', { ...late.click.data, consent: 'granted' }),
    late.viewed,
  );
  await untilState(late.purchaseId, 'accepted');
  t.pass('a consent that becomes known later is believed');
});

await t.test('click, signals and payment of somebody new, all in the same moment', async (t) => {
  const pool = await pools.add({ purchaseTrigger: 'paid', pageViewHoldMs: 30_000 });
  const crowd = Array.from({ length: 60 }, () => journeyOf(pool));
  // Two consumers take them in side by side: whoever comes second has to see what the first saw.
  await Promise.all(
    crowd.flatMap(({ click, signals, started, paid }) =>
      [click, signals, started, paid].map((event) => publish(event)),
    ),
  );
  for (const { click, pageViewId, purchaseId } of crowd) {
    await untilState(pageViewId, 'accepted');
    await untilState(purchaseId, 'accepted');
    const [pageView, ...again] = (await graph.group(pageViewId))?.server ?? [];
    const [purchase, ...more] = (await graph.group(purchaseId))?.server ?? [];
    t.same([again, more], [[], []], 'once');
    t.equal(pageView?.userData['fbp'], 'fb.1.1763640000999.555', "with the browser's own word");
    t.ok(purchase);
    // Also what nothing waits for before it is sent.
    await eventually(async () => {
      const [known] = await sql<{ journey: Record<string, unknown> }[]>`
        select journey from journeys where tracking_token = ${click.data.trackingToken}`;
      const { bridge, telegramExternalId, click: seen } = known?.journey ?? {};
      if (!(bridge && telegramExternalId && seen))
        throw new Error('something that was said is lost');
    });
  }
});

await t.test('a token that another workspace names brings it nothing', async (t) => {
  const { click, signals, paid, pageViewId } = journeyOf(await pools.add());
  await publish(click, signals);
  await untilState(pageViewId, 'accepted');
  const paymentId = newId();
  const stranger = { ...paid.data, paymentId, poolId: null };
  await publish(sampleEvent('PaymentPaid', stranger, { workspaceid: 'other' }));
  await eventually(async () => {
    const [order] = await sql`
      select workspace_id, tracking_token from orders where payment_id = ${paymentId}`;
    if (order === undefined) throw new Error('the order is not known yet');
    t.match(order, { workspaceId: 'other', trackingToken: null });
  });
  t.same(await graph.group(`purchase_${paymentId}`), undefined, 'nobody was told');
});

await t.test('the health page and the metrics answer', async (t) => {
  const ready = await fetch(`${dispatcher.url}/readyz`);
  t.equal(ready.status, 200, await ready.text());
  const metrics = await (await fetch(`${dispatcher.url}/metrics`)).text();
  t.match(metrics, /rastro_conversions_sent_total\{[^}]*event="Purchase",outcome="accepted"/);
  t.match(metrics, /rastro_conversions_oldest_unsent_seconds/);
});
