/**
 * Goal: one checkout is one charge, at the catalog's price, whatever crashes in between.
 * Method: concurrent and repeated requests, bad gateways, and a process that is killed just after
 * the gateway has answered and before it can commit.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { newId } from '@rastro/runtime';
import { eventually, putCatalog, sampleCatalog } from '@rastro/testing';
import t from 'tap';
import { readConfig } from '../src/config.ts';
import { patient } from './arrivals.ts';
import { startProcess, startProxy } from './stand-ins.ts';
import {
  atBank,
  bought,
  buy,
  chargeOf,
  chargesOf,
  sees,
  setFaults,
  start,
  startWorld,
} from './world.ts';

const world = await startWorld();
t.teardown(() => world[Symbol.asyncDispose]());

await t.test('every wrong variable is named at once', async (t) => {
  const message = /PORT[^]*NATS_URL[^]*POSTGRES_URL[^]*RASTRO_MASTER_KEY[^]*PIX_EXPIRY_MINUTES/;
  t.throws(() => readConfig({ PIX_EXPIRY_MINUTES: '0', PORT: 'x' }), { message });
});

await t.test('a charge of the catalog, once', async (t) => {
  await using _service = await start(world);
  await using _second = await start(world, { port: 0 });
  await setFaults(world, [{ api: 'pix', action: { delayMs: 200 } }]);
  const checkoutId = newId();
  const replies = await Promise.all(Array.from({ length: 8 }, () => buy(world, { checkoutId })));
  await setFaults(world, []);
  const values = replies.map((reply) => (reply.ok ? reply.value : reply.error.message));
  const [first] = values;
  for (const value of values) t.same(value, first);
  if (typeof first !== 'object') throw new Error(first);
  const { paymentId } = first;
  t.match(paymentId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/, 'a UUIDv7');
  t.match(first, { checkoutId, status: 'pending', amountCents: 1990, currency: 'BRL' });
  const charges = await chargesOf(world, paymentId);
  t.equal(charges.length, 1);
  t.match(charges[0], { amount_cents: 1990, currency: 'BRL', description: 'E-book' });
  await sees(world, paymentId, 'PaymentCreated');
  const created = world.seen.find((event) => event.type === 'PaymentCreated');
  t.match(created, {
    subject: '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
    causationid: checkoutId,
    data: { gateway: 'standard-webhooks', pixCode: first.pixCode, telegramUserId: 700_100_200 },
  });
  // A new price is for new checkouts.
  const changed = sampleCatalog().map((entry) =>
    entry.kind === 'product'
      ? { ...entry, version: 2, data: { ...entry.data, priceCents: 2990 } as never }
      : { ...entry, kind: 'bot' as const, id: 'bot-none', data: null },
  );
  await putCatalog(
    world.nats,
    'demo',
    changed.filter(({ kind }) => kind === 'product'),
  );
  await eventually(async () => {
    if ((await bought(world)).amountCents !== 2990) throw new Error('the old price');
  }, patient);
  t.equal((await bought(world, { checkoutId })).amountCents, 1990);
});

await t.test('what is refused, and why', async (t) => {
  await using _service = await start(world);
  const code = async (changes: Parameters<typeof buy>[1]) => {
    const reply = await buy(world, changes);
    return reply.ok ? 'ok' : `${reply.error.code}: ${reply.error.message}`;
  };
  t.match(await code({ botId: 'nobody' }), /^not_found: .*bot nobody/);
  t.match(await code({ productId: 'nothing' }), /^not_found: .*product nothing/);
  t.match(await code({ botId: 'bot-other' }), /^not_found: .*bot-other in demo/);
  t.match(await code({ productId: 'course' }), /^not_found: .*course in demo/);
  const other = { workspaceId: 'other', productId: 'course', poolId: null };
  t.match(await code({ ...other, botId: 'bot-thief' }), /^not_found: .*pix-sandbox in other/);
  t.match(await code({ ...other, botId: 'bot-other', poolId: 'promo' }), /^not_found: .*promo/);
  t.match(await code({ ...other, botId: 'bot-woovi' }), /^refused: .*woovi/);
  t.match(await code({ workspaceId: 'NO' }), /^invalid_request/);
  t.match(await code({ checkoutId: 'x' }), /^invalid_request/);
  t.match(await code({ leadId: 'x' }), /^invalid_request/);
  t.match(await code({ telegramUserId: -1 }), /^invalid_request/);
  t.match(await code({ trackingToken: "' or 1=1" }), /^invalid_request/);
  const mine = await bought(world);
  t.match(
    await code({ ...other, botId: 'bot-other', checkoutId: mine.checkoutId }),
    /^not_found/,
    'a checkout of somebody else',
  );
});

await t.test('gateways that fail, refuse or hand out a wrong code', async (t) => {
  await using _service = await start(world);
  const with_ = async (action: object, checkoutId = newId()) => {
    await setFaults(world, [{ api: 'pix', match: { method: 'POST' }, action }]);
    const reply = await buy(world, { checkoutId });
    await setFaults(world, []);
    return reply.ok ? 'ok' : reply.error.code;
  };
  const checkoutId = newId();
  t.equal(await with_({ status: 503 }, checkoutId), 'unavailable');
  t.equal(await with_({ html: true, status: 200 }, checkoutId), 'unavailable');
  t.equal(await with_({ acceptThenDrop: true }, checkoutId), 'unavailable');
  t.equal(await with_({ status: 422 }, checkoutId), 'refused');
  const { paymentId, pixCode } = await bought(world, { checkoutId });
  t.equal((await chargesOf(world, paymentId)).length, 1, 'the dropped one was found again');
  const charge = await chargeOf(world, paymentId);
  // Each answers for a payment of its own, so only the reference is known beforehand.
  const wrong = async (changes: object) => {
    const id = newId();
    await with_({ status: 503 }, id);
    const [row] = await world.sql<{ paymentId: string; amountCents: number }[]>`
      select payment_id, amount_cents from charges where checkout_id = ${id}`;
    const body = {
      ...charge,
      charge_id: `chg_${id}`,
      external_reference: row?.paymentId,
      amount_cents: row?.amountCents,
      ...changes,
    };
    return with_({ status: 201, body }, id);
  };
  t.equal(await wrong({}), 'ok');
  t.equal(await wrong({ pix_code: `${pixCode.slice(0, -1)}x` }), 'refused');
  t.equal(await wrong({ pix_code: 'https://example.com/pay' }), 'refused');
  t.equal(await wrong({ amount_cents: 1 }), 'refused');
  t.equal(await wrong({ currency: 'USD' }), 'refused');
  t.equal(await wrong({ external_reference: paymentId }), 'refused');
  t.equal(await wrong({ pix_code: undefined }), 'unavailable');
});

await t.test('SIGKILL between the answer of the gateway and the commit', async (t) => {
  let strike: 'POST' | 'GET' | null = null;
  let child: ChildProcess;
  const kill = async () => {
    strike = null;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  /** Also after the caller's time, on a busy machine; the process that follows needs its port. */
  const killed = () =>
    eventually(() => {
      if (strike !== null || child.signalCode === null) throw new Error('not killed yet');
    }, patient);
  const proxy = await startProxy(world, async ({ method }) => {
    if (method === strike) await kill();
  });
  t.teardown(() => proxy[Symbol.asyncDispose]());
  const { url } = proxy;
  const account = sampleCatalog({ apiUrl: url }).filter(({ kind }) => kind === 'account');
  await putCatalog(
    world.nats,
    'demo',
    account.map((entry) => ({ ...entry, version: 2 })),
  );
  child = await startProcess(world);
  t.teardown(() => child.kill('SIGKILL'));

  await t.test('of a creation: the next try finds the same charge', async (t) => {
    const checkoutId = newId();
    strike = 'POST';
    t.match(await buy(world, { checkoutId }, 3_000), { ok: false });
    await killed();
    child = await startProcess(world);
    const { paymentId } = await bought(world, { checkoutId });
    t.equal((await chargesOf(world, paymentId)).length, 1);
    await sees(world, paymentId, 'PaymentCreated');
  });

  await t.test('of a creation that is then paid: the webhook completes it', async () => {
    const checkoutId = newId();
    strike = 'POST';
    await buy(world, { checkoutId }, 3_000);
    await killed();
    const [row] = await world.sql<{ paymentId: string }[]>`
      select payment_id from charges where checkout_id = ${checkoutId}`;
    const paymentId = row?.paymentId ?? '';
    await atBank(world, paymentId, 'pay');
    child = await startProcess(world);
    await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  });

  await t.test('of a payment: it is found again once the lease is over', async (t) => {
    const { paymentId } = await bought(world);
    strike = 'GET';
    await atBank(world, paymentId, 'pay');
    await killed();
    child = await startProcess(world);
    await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
    const events = await world.sql`
      select 1 from events where stream_id = ${`payment-${paymentId}`}`;
    t.equal(events.length, 2);
  });
});
