/**
 * Goal: a customer keeps what is his: the click over several bots, the version of the funnel that he
 * entered, his say over his data; and the operator hears of money that goes back. Method: the real
 * service between real NATS, Postgres and the sandbox's Telegram with two bots of one pool.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { newId } from '@rastro/runtime';
import { eventually, putCatalog, sampleEvent, testLog } from '@rastro/testing';
import t from 'tap';
import { startService } from '../src/service.ts';
import { click, press, refund, wait } from './customers.ts';
import { funnel, pixExpiryMs, products } from './everything-funnel.ts';
import { envelopeOf, paid, shared } from './payments.ts';
import { chargeOf, startWorld } from './world.ts';

const operatorChatId = 900;

t.setTimeout(110_000);
const moreBots = ['demo_b_bot'];
const world = await startWorld({ funnel, products, pixExpiryMs, operatorChatId, moreBots });
const service = await startService(world.config(), testLog());
t.teardown(async () => {
  await service[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

const startsOf = async (user: number) =>
  (await world.recorded('FunnelStarted'))
    .map(({ data }) => data)
    .filter(({ telegramUserId }) => telegramUserId === user);

const updatesUnderWay = () => world.nats.jsm.consumers.info('UPDATES', 'bot-funnel__updates');

const patience = { timeoutMs: 20_000 };

const textsOf = async (user: number): Promise<string[]> =>
  (await world.said(user)).map(({ text, caption }) => text ?? caption ?? '');

await t.test('a click survives a change of bot within the pool', async (t) => {
  const token = '1'.repeat(32);
  await click(world, token);
  await world.start(6010, token);
  await eventually(async () => assert.equal((await startsOf(6010)).length, 1));
  await world.start(6010, '', 'demo_b_bot');
  await eventually(async () => assert.equal((await startsOf(6010)).length, 2));
  const [, second] = await startsOf(6010);
  t.match(second, { botId: 'bot-1', trackingToken: token, poolId: 'promo', origin: 'click' });
  const newer = '2'.repeat(32);
  await click(world, newer);
  await world.start(6010, newer, 'demo_b_bot');
  await eventually(async () => assert.equal((await startsOf(6010)).length, 3));
  await world.start(6010);
  await eventually(async () => assert.equal((await startsOf(6010)).length, 4));
  t.match((await startsOf(6010))[3], { botId: 'bot-a', trackingToken: newer }, 'the last touch');
  await world.start(6011, '', 'demo_b_bot');
  await eventually(async () => assert.equal((await startsOf(6011)).length, 1));
  t.match((await startsOf(6011))[0], { trackingToken: null, origin: 'organic' });
});

await t.test('who writes while his click is still on its way is answered in order', async (t) => {
  const user = 6015;
  const token = '4'.repeat(32);
  await world.start(user, token);
  for (const text of ['oi', '/privacidade']) await world.write(user, text);
  await eventually(async () => {
    const { num_ack_pending: waiting, num_redelivered: putOff } = await updatesUnderWay();
    assert.ok(waiting >= 3 && putOff > 0, 'all of it waits, and was looked at before');
  });
  await world.publish(sampleEvent('ClickTracked', { trackingToken: token }));
  await eventually(async () => {
    const texts = await textsOf(user);
    assert.equal(texts.length, 3);
    assert.match(texts.at(-1) ?? '', /Responsável: Loja/);
  }, patience);
  const starts = await startsOf(user);
  t.equal(starts.length, 1, 'he came once');
  t.match(starts[0], { trackingToken: token, origin: 'click' });
});

await t.test('privacy: asked, shown, erased, and a stranger afterwards', async (t) => {
  const user = 6020;
  const token = '3'.repeat(32);
  await click(world, token);
  await world.start(user, token);
  await world.start(operatorChatId);
  for (const command of ['/privacidade', '/meusdados', '/apagar']) await world.write(user, command);
  await press(world, user, '🗑 Sim, apagar');
  await eventually(async () => {
    const texts = (await textsOf(user)).join('\n');
    assert.match(texts, /Responsável: Loja. Contato: privacidade@example.com/);
    assert.match(texts, new RegExp(`Identificador do Telegram: ${user}[\\s\\S]*${token}`));
    assert.match(texts, /Apagamos o que este bot sabia de você/);
    assert.match((await textsOf(operatorChatId)).join('\n'), /pediu a exclusão dos seus dados/);
  }, patience);
  const [erased] = await world.recorded('ErasureRequested');
  t.match(erased?.data, { botId: 'bot-a', trackingTokens: [token] });
  const leadId = erased?.data.leadId ?? '';
  const rows = await world.sql`
    select 1 from events where event -> 'data' ->> 'telegramUserId' = ${String(user)}
    union all select 1 from leads where telegram_user_id = ${user}
    union all select 1 from timers where lead_id = ${leadId}`;
  t.equal(rows.length, 0, 'nothing of him is left');
  await world.start(user);
  await eventually(async () => assert.equal((await startsOf(user)).length, 1));
  t.match((await startsOf(user))[0], { trackingToken: null, origin: 'organic' });
});

await t.test('who comes back in the moment of his erasure is a stranger too', async (t) => {
  const user = 6025;
  await world.start(user);
  await world.write(user, '/apagar');
  const question = await eventually(async () => {
    const asked = (await world.said(user)).find(({ text }) => text?.startsWith('Apagar'));
    if (asked === undefined) throw new Error('not asked yet');
    return asked;
  }, patience);
  // One right after the other, so that both are in one batch.
  await world.press(user, question, '🗑 Sim, apagar');
  await world.start(user);
  await eventually(async () => {
    const erased = await world.recorded('ErasureRequested');
    assert.equal(new Set(erased.map(({ data }) => data.leadId)).size, 2);
    const rows = await world.sql<{ leadId: string }[]>`
      select lead_id from leads where telegram_user_id = ${user}`;
    assert.equal(rows.length, 1);
    const [start, ...others] = await startsOf(user);
    assert.equal(start?.leadId, rows[0]?.leadId, 'his START is the new lead’s');
    assert.equal(others.length, 0, 'and the old one’s is gone');
  }, patience);
  t.pass('two leads, one of them erased');
});

await t.test('who is in version 1 finishes version 1', async (t) => {
  const user = 6030;
  await world.start(user);
  await press(world, user, 'Mais');
  await eventually(
    async () => assert.ok((await textsOf(user)).includes('Um e-book <b>')),
    patience,
  );
  const changed = {
    ...funnel,
    steps: funnel.steps.map((step) => ({ ...step, text: `Novo: ${step.text}` })),
  };
  await putCatalog(world.nats, 'demo', [
    { kind: 'funnel', id: 'default', data: changed, version: 2 },
  ]);
  // He is shown each of them, one a second: what was recorded tells sooner when it is there.
  await eventually(
    async () => {
      await world.start(6031);
      assert.equal((await startsOf(6031)).at(-1)?.funnelVersion, 2);
    },
    { ...patience, intervalMs: 250 },
  );
  await world.write(user, 'oi');
  await press(world, user, 'Comprar');
  await press(world, user, 'Não');
  await chargeOf(world, user);
  await wait(world, user, pixExpiryMs);
  await eventually(async () => {
    const texts = await textsOf(user);
    for (const text of ['O seu PIX espera', 'Por R$ 9,90?']) assert.ok(texts.includes(text), text);
  }, patience);
  const texts = await textsOf(user);
  t.notOk(
    texts.some((text) => text.startsWith('Novo:')),
    'also what comes by itself',
  );
  await world.start(user);
  await eventually(async () => assert.ok((await textsOf(user)).includes('Novo: Olá')), patience);
});

await t.test('refunds and disputes reach the operator, each once', async (t) => {
  const user = 6040;
  await world.start(user);
  for (const label of ['Mais', 'Comprar', 'Não']) await press(world, user, label);
  const charge = await chargeOf(world, user);
  await world.publish(paid(charge));
  const disputedAt = new Date().toISOString();
  const dispute = sampleEvent(
    'PaymentDisputed',
    { ...shared(charge), isOpen: true, disputedAt },
    envelopeOf(charge),
  );
  await world.publish(dispute);
  await world.publish({ ...dispute, id: newId() });
  await refund(world, user);
  await eventually(async () => {
    const notes = (await textsOf(operatorChatId)).filter((text) => text.includes(charge.paymentId));
    assert.equal(notes.length, 2, notes.join('\n'));
    assert.match(
      notes.join('\n'),
      /Contestação[\s\S]*Suspenda o acesso[\s\S]*Reembolso[\s\S]*O acesso continua/,
    );
    assert.match((await textsOf(user)).join('\n'), /Devolvemos o pagamento de E-book: R\$ 19,90/);
  }, patience);
  t.notMatch((await textsOf(user)).join('\n'), 'Contestação', 'the seller has no words for it');
});

await t.test('a chat keeps its order while Postgres is away', async (t) => {
  await world.postgres.kill();
  const users = [6050, 6051, 6052, 6053, 6054];
  for (const user of users) await world.start(user);
  const areUnderWay = async (count: number): Promise<void> =>
    assert.ok((await updatesUnderWay()).num_ack_pending >= count);
  await eventually(() => areUnderWay(users.length));
  for (const user of users) await world.write(user, '/meusdados');
  await eventually(() => areUnderWay(2 * users.length));
  // Long enough for another try in vain.
  await delay(1_000);
  await world.postgres.start();
  for (const user of users) {
    await eventually(async () => assert.equal((await textsOf(user)).length, 2), {
      timeoutMs: 30_000,
    });
    const [welcome, data] = await textsOf(user);
    t.match(welcome, /Olá$/);
    t.match(data, /O que este bot sabe de você/, 'nobody was asked about before he was there');
  }
});
