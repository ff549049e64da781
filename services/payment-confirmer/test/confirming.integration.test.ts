/**
 * Goal: exactly what the gateway itself calls paid is paid, once, whatever webhooks say or do not.
 * Method: real NATS and Postgres and the sandbox's gateway; webhooks three times, forged, stale,
 * reordered, lost and lying; a gateway that tells another amount, currency or reference; outages.
 */
import { paymentsRevalidate } from '@rastro/events';
import { ask } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import { eventually, testLog } from '@rastro/testing';
import t from 'tap';
import { type Question, takeQuestion } from '../src/adapters/charges.ts';
import { createPaymentMetrics } from '../src/adapters/metrics.ts';
import { createObserve } from '../src/observing.ts';
import { counted, finalTypesOf, heeded, patient } from './arrivals.ts';
import {
  atBank,
  bought,
  chargeOf,
  deliver,
  otherSecrets,
  paidBody,
  processed,
  sees,
  setFaults,
  start,
  startWorld,
  typesOf,
} from './world.ts';

const world = await startWorld();
t.teardown(() => world[Symbol.asyncDispose]());
const revalidate = (paymentId: string, workspaceId = 'demo') =>
  ask(world.nats.connection, paymentsRevalidate, { workspaceId, paymentId });
const metrics = async (url: string) => (await fetch(`${url}/metrics`)).text();

const service = await start(world);

await t.test('paid, refunded in part and disputed at the bank', async (t) => {
  const { paymentId } = await bought(world);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await atBank(world, paymentId, 'refund', { amount_cents: 500 });
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid', 'PaymentRefunded');
  await atBank(world, paymentId, 'dispute');
  const whole = ['PaymentCreated', 'PaymentPaid', 'PaymentRefunded', 'PaymentDisputed'];
  await sees(world, paymentId, ...whole);
  const paid = world.seen.find(
    ({ type, data }) => type === 'PaymentPaid' && data.paymentId === paymentId,
  );
  const data = { amountCents: 1990, currency: 'BRL', isLate: false, proof: 'requery' };
  t.match(paid, { workspaceid: 'demo', source: 'payment-confirmer', data });
  t.match(paid?.causationid, /^webhook-\d+$/);
});

await t.test('the same three times, reordered, and of a kind nobody knows', async (t) => {
  const { paymentId } = await bought(world);
  const charge = await chargeOf(world, paymentId);
  await setFaults(world, [{ api: 'pixWebhooks', action: { duplicate: 2 } }]);
  // The word of the expiry overtakes nothing: it comes before the payment that it denies.
  const expired = paidBody(charge).replace('charge.paid', 'charge.expired');
  t.equal(await deliver(world, expired), 200);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const id = newId();
  const again = await Promise.all([1, 2, 3].map(() => deliver(world, paidBody(charge), { id })));
  t.same(again, [200, 200, 200]);
  t.equal(await deliver(world, expired), 200);
  t.equal(await deliver(world, '{"type":"payout.sent"}'), 200);
  t.equal(await deliver(world, paidBody(charge), { contentType: 'text/weird' }), 200);
  const outcomes = await processed(world);
  t.ok(outcomes.includes('ignored'));
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated', 'PaymentPaid']);
  const rows = await world.sql`select 1 from webhooks where webhook_id = ${id}`;
  t.equal(rows.length, 1);
  await setFaults(world, []);
});

await t.test('forged, stale, malformed, too large and for nobody: nothing is stored', async (t) => {
  const { paymentId } = await bought(world);
  const charge = await chargeOf(world, paymentId);
  const count = async () => (await world.sql`select 1 from webhooks`).length;
  const before = await count();
  const body = paidBody(charge);
  t.equal(await deliver(world, body, { secret: otherSecrets.webhookSecret }), 401);
  t.equal(await deliver(world, body, { at: new Date(Date.now() - 301_000) }), 401);
  t.equal(await deliver(world, `${body}x`), 400);
  t.equal(await deliver(world, '{"type":"charge.paid","data":{}}'), 400);
  t.equal(await deliver(world, `"${'x'.repeat(66_000)}"`), 413);
  t.equal(await deliver(world, body, { accountId: 'nobody' }), 404);
  t.equal(await deliver(world, body, { accountId: 'No%2Fbody' }), 404);
  t.equal(await deliver(world, body, { accountId: 'pix-woovi' }), 503);
  await atBank(world, paymentId, 'forge');
  const url = `${service.url}/webhooks/pix-sandbox`;
  const bare = await fetch(url, { method: 'POST', body });
  t.equal(bare.status, 401);
  t.match(bare.headers.get('content-type'), /problem\+json/);
  t.notMatch(await bare.text(), /at .*\.ts/);
  t.equal((await fetch(url)).status, 404);
  await counted(service.url, /outcome="forged",[^\n]* ([3-9]|\d\d)/);
  t.equal(await count(), before);
  await sees(world, paymentId, 'PaymentCreated');
});

await t.test('lies that are well signed change nothing and raise an alarm', async (t) => {
  const { paymentId } = await bought(world);
  const charge = await chargeOf(world, paymentId);
  const other = await bought(world, {
    workspaceId: 'other',
    botId: 'bot-other',
    productId: 'course',
    poolId: null,
  });
  // Truly paid, but told by a seller who has no business to know.
  await setFaults(world, [{ api: 'pixWebhooks', action: { lose: true } }]);
  await atBank(world, other.paymentId, 'pay');
  await setFaults(world, []);
  const told = (changes: object) => heeded(world, paidBody(charge, changes));
  t.equal(await heeded(world, paidBody(await chargeOf(world, other.paymentId))), 'mismatch');
  t.equal(await told({}), 'observed');
  t.equal(await told({ amount_cents: 1 }), 'mismatch');
  t.equal(await told({ currency: 'ARS' }), 'mismatch');
  t.equal(await told({ charge_id: 'chg_x' }), 'mismatch');
  t.equal(await told({ external_reference: other.paymentId }), 'mismatch');
  t.equal(await told({ external_reference: newId() }), 'unknown_charge');
  t.equal(await told({ external_reference: "'; drop table charges" }), 'unknown_charge');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  t.same(await finalTypesOf(world, other.paymentId), ['PaymentCreated']);
  const alarm = /rastro_payment_mismatches_total\{[^}]*source="webhook"[^}]*\} 5/;
  t.match(await metrics(service.url), alarm);
});

await t.test('a gateway that tells something else than was asked for', async (t) => {
  const { paymentId } = await bought(world);
  const charge = await chargeOf(world, paymentId);
  const path = `/charges/${charge.charge_id}`;
  const told = async (changes: object) => {
    const body = { ...charge, status: 'paid', ...changes };
    const match = { method: 'GET', path };
    await setFaults(world, [{ api: 'pix', match, action: { status: 200, body } }]);
    return heeded(world, paidBody(charge));
  };
  t.equal(await told({ amount_cents: 1989 }), 'mismatch');
  t.equal(await told({ currency: 'ARS' }), 'mismatch');
  t.equal(await told({ external_reference: newId() }), 'mismatch');
  t.equal(await told({ charge_id: 'chg_other' }), 'mismatch');
  t.equal(await told({ status: 'on_hold' }), 'observed');
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated']);
  const text = await metrics(service.url);
  t.match(text, /rastro_payment_mismatches_total\{[^}]*source="gateway"[^}]*\} 4/);
  t.match(text, /rastro_payment_contradictions_total\{[^}]*\} 1/);
  t.equal(await told({}), 'observed');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
});

await t.test('the budget of one question a minute', async (t) => {
  const { paymentId } = await bought(world);
  t.match(await revalidate(paymentId), { ok: true, value: { status: 'pending' } });
  await setFaults(world, [{ api: 'pixWebhooks', action: { lose: true } }]);
  await atBank(world, paymentId, 'pay');
  // The minute is not over, so the gateway is not asked.
  t.match(await revalidate(paymentId), { ok: true, value: { status: 'pending' } });
  await world.sql`
    update charges set asked_at = now() - interval '61 s' where payment_id = ${paymentId}`;
  const both = await Promise.all([revalidate(paymentId), revalidate(paymentId)]);
  t.ok(both.some((reply) => reply.ok && reply.value.status === 'paid'));
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  t.match(await revalidate(paymentId), { ok: true, value: { status: 'paid' } });
  t.match(await revalidate(paymentId, 'other'), { ok: false, error: { code: 'not_found' } });
  t.match(await revalidate(newId()), { ok: false, error: { code: 'not_found' } });
  await setFaults(world, []);
});

await t.test('an answer that was overtaken by a later one is not believed', async (t) => {
  const { paymentId } = await bought(world);
  await atBank(world, paymentId, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  const { charge_id: chargeId } = await chargeOf(world, paymentId);
  const observed = async (question: Question | null, status: 'paid' | 'disputed') => {
    if (!question) throw new Error('there was no question');
    const told = { reference: paymentId, amountCents: 1990, currency: 'BRL', paidAt: null };
    const rest = { statusAtGateway: status, endToEndId: null, refundedCents: null };
    const gateway = {
      kind: 'test',
      silentOn: {},
      getCharge: async () => ({ chargeId, status, ...told, ...rest }),
    };
    const observe = createObserve({
      sql: world.sql,
      chooseGateway: () => ({ ok: true, gateway, workspaceId: 'demo' }) as never,
      schedule: world.config.schedule,
      metrics: createPaymentMetrics('test'),
      log: testLog(),
    });
    return observe(question);
  };
  const early = await takeQuestion(world.sql, paymentId, 0);
  const later = await takeQuestion(world.sql, paymentId, 0);
  t.match(await observed(later, 'disputed'), { kind: 'recorded', isNews: true });
  t.same(await observed(early, 'paid'), { kind: 'overtaken' });
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid', 'PaymentDisputed');
});

await t.test('outages: JetStream, Postgres, the gateway', async (t) => {
  const [one, two, three] = await Promise.all([bought(world), bought(world), bought(world)]);
  await sees(world, one.paymentId, 'PaymentCreated');
  await world.servers.nats.kill();
  await atBank(world, one.paymentId, 'pay');
  await eventually(async () => {
    const [row] = await world.sql<{ status: string }[]>`
      select status from charges where payment_id = ${one.paymentId}`;
    if (row?.status !== 'paid') throw new Error('the money is not safe');
  });
  t.same(typesOf(world, one.paymentId), ['PaymentCreated']);
  await world.servers.nats.start();
  await sees(world, one.paymentId, 'PaymentCreated', 'PaymentPaid');

  await world.servers.postgres.kill();
  t.ok((await deliver(world, paidBody(await chargeOf(world, two.paymentId)))) >= 500);
  await atBank(world, two.paymentId, 'pay');
  await world.servers.postgres.start();
  await sees(world, two.paymentId, 'PaymentCreated', 'PaymentPaid');

  await setFaults(world, [{ api: 'pix', times: 2, action: { reset: true } }]);
  await atBank(world, three.paymentId, 'pay');
  await sees(world, three.paymentId, 'PaymentCreated', 'PaymentPaid');
  await setFaults(world, []);
});

await t.test('without webhooks: found by asking, expired, and paid late', async (t) => {
  await service[Symbol.asyncDispose]();
  await setFaults(world, [{ api: 'pixWebhooks', action: { lose: true } }]);
  const schedule = {
    afterCreationMs: [1_500],
    // The last one after the late payment, which first waits to see the expiry.
    afterExpiryMs: [0, 2_500, 5_000],
    followUpMs: [1_000],
    minIntervalMs: 500,
  };
  await using eager = await start(world, { schedule, pixExpirySeconds: 5 });
  const [prompt, late, never] = await Promise.all([bought(world), bought(world), bought(world)]);
  await atBank(world, prompt.paymentId, 'pay');
  await sees(world, prompt.paymentId, 'PaymentCreated', 'PaymentPaid');
  await counted(eager.url, /rastro_payments_total\{status="paid"[^\n]* 1\n/);
  await sees(world, late.paymentId, 'PaymentCreated', 'PaymentExpired');
  await atBank(world, late.paymentId, 'pay', { force: true });
  await sees(world, late.paymentId, 'PaymentCreated', 'PaymentExpired', 'PaymentPaid');
  const paid = world.seen.findLast((event) => event.type === 'PaymentPaid');
  t.match(paid, { data: { paymentId: late.paymentId, isLate: true } });
  await eventually(async () => {
    const [row] = await world.sql<{ nextCheckAt: Date | null }[]>`
      select next_check_at from charges where payment_id = ${never.paymentId}`;
    if (row?.nextCheckAt !== null) throw new Error('still asked about');
  }, patient);
  t.same(await finalTypesOf(world, never.paymentId), ['PaymentCreated', 'PaymentExpired']);

  // Its API tells of a refund later than its webhook does.
  const charge = await chargeOf(world, prompt.paymentId);
  await atBank(world, prompt.paymentId, 'refund');
  const match = { method: 'GET', path: `/charges/${charge.charge_id}` };
  const before = { status: 200, body: { ...charge, status: 'paid' } };
  await setFaults(world, [{ api: 'pix', match, times: 1, action: before }]);
  await deliver(world, paidBody(charge).replace('charge.paid', 'charge.refunded'));
  await sees(world, prompt.paymentId, 'PaymentCreated', 'PaymentPaid', 'PaymentRefunded');

  // It forgot the charge: one day nobody waits for it any more.
  const { paymentId } = await bought(world);
  await setFaults(world, [{ api: 'pix', match: { method: 'GET' }, action: { status: 404 } }]);
  await sees(world, paymentId, 'PaymentCreated', 'PaymentExpired');
  await setFaults(world, []);
});
