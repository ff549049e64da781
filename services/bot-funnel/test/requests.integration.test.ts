/**
 * Goal: a program that runs a bot of its own has its customers recorded as ours are, and nothing is
 * ever sent for it. Method: the real service with real NATS and Postgres; requests as they arrive
 * from a workspace's account; what was recorded, queued and said.
 */
import { randomUUID } from 'node:crypto';
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { funnelStart, funnelStep, type RequestOf } from '@rastro/events';
import { ask, workspaceDurable } from '@rastro/messaging';
import { newId, sha256Hex } from '@rastro/runtime';
import { eventually, putCatalog, sampleCatalog, sampleEvent, testLog } from '@rastro/testing';
import t from 'tap';
import { startService } from '../src/service.ts';
import { startWorld } from './world.ts';

const world = await startWorld();
t.teardown(() => world[Symbol.asyncDispose]());
const { nats, sql } = world;

const [external] = sampleCatalog().flatMap((entry) =>
  entry.kind === 'bot'
    ? [{ ...entry, id: 'bot-x', data: { ...entry.data, id: 'bot-x', runtime: 'external' } }]
    : [],
);
await putCatalog(nats, 'demo', [external as never]);
const service = await startService(world.config(), testLog());
t.teardown(() => service[Symbol.asyncDispose]());

const newTrackingToken = (): string => randomUUID().replaceAll('-', '');
const who = { workspaceId: 'demo', botId: 'bot-x' };
const start = (request: Partial<RequestOf<typeof funnelStart>> & { telegramUserId: number }) =>
  ask(nats.connection, funnelStart, { ...who, ...request });
const step = (request: { telegramUserId: number; stepId: string }) =>
  ask(nats.connection, funnelStep, { ...who, ...request });
const started = async (telegramUserId: number) =>
  (await world.recorded('FunnelStarted')).filter(
    ({ data }) => data.telegramUserId === telegramUserId,
  );

/** A click that has happened; the service hears of it like of any other. */
const clicked = async (workspaceid = 'demo'): Promise<string> => {
  const trackingToken = newTrackingToken();
  await world.publish(sampleEvent('ClickTracked', { trackingToken }, { workspaceid }));
  return trackingToken;
};

await t.test('START is bound to the click, also to one that is still on its way', async (t) => {
  const trackingToken = await clicked();
  const request = { telegramUserId: 501, trackingToken, languageCode: 'pt-br', isPremium: true };
  const reply = await start(request);
  t.match(reply, {
    ok: true,
    value: { origin: 'click', trackingToken, poolId: 'promo', funnelId: 'default' },
  });
  const [event] = await started(501);
  t.match(event, {
    workspaceid: 'demo',
    correlationid: trackingToken,
    data: {
      ...who,
      workspaceId: undefined,
      trackingToken,
      externalId: sha256Hex('501'),
      languageCode: 'pt-br',
      isPremium: true,
    },
  });

  const late = newTrackingToken();
  const waiting = start({ telegramUserId: 502, trackingToken: late });
  // Longer than it looks again, and far from the end of its patience.
  await delay(400);
  await world.publish(sampleEvent('ClickTracked', { trackingToken: late }));
  t.match(await waiting, { ok: true, value: { origin: 'click', trackingToken: late } });
});

await t.test(
  'the last click wins, a START without one keeps it, and each is a START',
  async (t) => {
    const [first, second] = [await clicked(), await clicked()];
    const telegramUserId = 503;
    await start({ telegramUserId, trackingToken: first });
    const bound = await start({ telegramUserId, trackingToken: second });
    const kept = await start({ telegramUserId });
    t.match(bound, { value: { origin: 'click', trackingToken: second } });
    t.match(kept, { value: { origin: 'organic', trackingToken: second } });
    const tokens = (await started(telegramUserId)).map(({ data }) => data.trackingToken);
    t.same(tokens, [first, second, null], 'the earlier ones are kept');
  },
);

await t.test('the click of another bot of the pool survives', async (t) => {
  const bots = ['bot-x', 'bot-y'].map((bot) => ({ bot, weight: 1, priority: 0 }));
  const pools = sampleCatalog().flatMap((entry) =>
    entry.kind === 'pool' ? [{ ...entry, version: 2, data: { ...entry.data, bots } }] : [],
  );
  const second = { ...external, id: 'bot-y', data: { ...external?.data, id: 'bot-y' } };
  await putCatalog(nats, 'demo', [second, ...pools] as never);
  const trackingToken = await clicked();
  await start({ telegramUserId: 509, trackingToken });
  const reply = await eventually(async () => {
    const answer = await start({ telegramUserId: 509, botId: 'bot-y' });
    assert.ok(answer.ok && answer.value.trackingToken !== null);
    return answer;
  });
  t.match(reply, { value: { origin: 'click', trackingToken, poolId: 'promo' } });
});

await t.test('an unknown, malformed or foreign token is an organic visit', async (t) => {
  const foreign = await clicked('somebody-else');
  for (const trackingToken of [newTrackingToken(), "x'; drop table leads --", foreign, null]) {
    const reply = await start({ telegramUserId: 504, trackingToken });
    t.match(reply, { ok: true, value: { origin: 'organic', trackingToken: null, poolId: null } });
  }
});

await t.test('steps are those of the version that the customer is inside of', async (t) => {
  const telegramUserId = 505;
  t.match(await step({ telegramUserId, stepId: 'more' }), { error: { code: 'not_found' } });
  await start({ telegramUserId });
  const funnel = { id: 'default', steps: [{ id: 'only-new', text: 'x', buttons: [] }] };
  await putCatalog(nats, 'demo', [{ kind: 'funnel', id: 'default', data: funnel, version: 2 }]);
  await eventually(async () => {
    const reply = await start({ telegramUserId: 506 });
    assert.equal(reply.ok && reply.value.funnelVersion, 2);
  });
  t.match(await step({ telegramUserId, stepId: 'more' }), { ok: true, value: { stepId: 'more' } });
  t.match(await step({ telegramUserId, stepId: 'only-new' }), {
    error: { code: 'invalid_request', message: /welcome, more/ },
  });
  t.match(await step({ telegramUserId: 506, stepId: 'only-new' }), { ok: true });
  const reached = (await world.recorded('FunnelStepReached')).map(({ data }) => data.stepId);
  t.same(reached, ['more', 'only-new'], 'what was said, and not what we would have shown');
});

await t.test('only bots that are run elsewhere, and only by their own workspace', async (t) => {
  const request = { ...who, telegramUserId: 507 };
  const asked = (change: object) => ask(nats.connection, funnelStart, { ...request, ...change });
  t.match(await asked({ botId: 'bot-a' }), { error: { code: 'refused', message: /external/ } });
  t.match(await asked({ botId: 'bot-0' }), { error: { code: 'not_found' } });
  t.match(await asked({ workspaceId: 'other' }), { error: { code: 'not_found' } });
  t.match(await asked({ telegramUserId: 'me' }), { error: { code: 'invalid_request' } });
  const body = JSON.stringify(request);
  const reply = await nats.connection.request('workspace.other.funnel.start', body, {
    timeout: 10_000,
  });
  t.match(reply.json(), { error: { code: 'refused' } });
  t.same(await started(507), []);
});

await t.test(
  'a payment that the program asked for is a checkout of the journey, once',
  async (t) => {
    const reply = await start({ telegramUserId: 508, trackingToken: await clicked() });
    if (!reply.ok) throw new Error(reply.error.message);
    const { leadId, trackingToken, poolId } = reply.value;
    const payment = { ...who, leadId, trackingToken, poolId, telegramUserId: 508 };
    const { workspaceId: _envelope, ...data } = { ...payment, checkoutId: newId() };
    const events = [
      sampleEvent('PaymentCreated', data),
      sampleEvent('PaymentPaid', data),
      sampleEvent('PaymentCreated', data, { workspaceid: 'other' }),
    ];
    for (const event of events) await world.publish(event);
    await eventually(async () => {
      const ids = events.map(({ id }) => id);
      const handled = await sql`select 1 from inbox where message_id = any(${ids})`;
      assert.equal(handled.length, events.length);
    });
    const observed = await sql`select 1 from observed_payments where lead_id = ${leadId}`;
    t.equal(observed.length, 2, 'another workspace says nothing about it');
    const checkouts = (await world.recorded('CheckoutStarted')).map((event) => event.data);
    t.match(checkouts, [{ leadId, trackingToken, checkoutId: data.checkoutId }]);
    t.equal(checkouts.length, 1);
  },
);

await t.test('it is given a durable of its workspace, and nothing was said for it', async (t) => {
  // It is made while the service is at work already.
  const info = await eventually(() =>
    nats.jsm.consumers.info('COMMERCE', workspaceDurable('demo')),
  );
  t.same(info.config.filter_subjects, [
    'events.demo.lead.>',
    'events.demo.payment.>',
    'events.demo.delivery.>',
  ]);
  t.same(await sql`select * from messages where bot_id = 'bot-x'`, []);
  t.same(await sql`select * from payment_requests`, []);
  t.same(await world.recorded('MessageSent'), []);
});
