/**
 * Goal: a customer is walked from START to the delivery link, each thing said once and unharmed by
 * hostile input. Method: the real service between real NATS, Postgres and the sandbox's Telegram,
 * by webhook; the test plays the customer and payment-confirmer.
 */
import assert from 'node:assert/strict';
import { deriveSecret, newId, sha256Hex } from '@rastro/runtime';
import { eventually, sampleEvent, testLog, testMasterKey } from '@rastro/testing';
import { freePort } from '@rastro/servers';
import t from 'tap';
import { startService } from '../src/service.ts';
import { delivered, envelopeOf, paid, shared } from './payments.ts';
import { chargeOf, hears, type SentMessage, startWorld, walkToPix } from './world.ts';
import { hostileText } from './world-catalog.ts';

const secret = deriveSecret(testMasterKey, 'telegram-webhook/bot-a');

const patience = { timeoutMs: 20_000 };

const at = <T>(list: readonly T[], index: number): T => list.at(index) as T;

t.setTimeout(110_000);
const world = await startWorld();
const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const service = await startService(
  world.config({ port, publicOrigin: origin, telegramUpdates: 'webhook' }),
  testLog(),
);
t.teardown(async () => {
  await service[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});
await eventually(async () => {
  const [bot] = (await world.control('telegram/bots')) as { webhookUrl: string | null }[];
  if (bot?.webhookUrl === null) throw new Error('no webhook yet');
});

/** The short texts over a chat, each of which answers a press. */
async function answersOf(user: number): Promise<string[]> {
  const chat = await world.control(`telegram/chats/demo_a_bot/${user}`);
  const { callbackAnswers } = chat as { callbackAnswers: { text: string }[] };
  return callbackAnswers.map(({ text }) => text);
}

await t.test('the whole walk, with the click arriving after START', async (t) => {
  const user = 5001;
  const token = 'a'.repeat(32);
  await world.start(user, token);
  await world.publish(sampleEvent('ClickTracked', { trackingToken: token }));
  const welcome = at(await hears(world, user, 1), 0);
  t.equal(welcome.text, hostileText, 'hostile text is shown as it is');
  const [started] = await world.recorded('FunnelStarted');
  t.match(started?.data, {
    telegramUserId: user,
    externalId: sha256Hex(String(user)),
    trackingToken: token,
    poolId: 'promo',
    origin: 'click',
    funnelVersion: 1,
    languageCode: 'pt-br',
  });
  t.equal(started?.correlationid, token);

  await world.press(user, welcome, 'Saber mais');
  const more = at(await hears(world, user, 2), 1);
  await Promise.all([world.press(user, more, 'Comprar'), world.press(user, more, 'Comprar')]);
  // The second press shows the same code again, unless the first one's was still on its way.
  const pix = at(await hears(world, user, 3), 2);
  const charge = await chargeOf(world, user);
  t.equal(new Set(world.asked.map(({ checkoutId }) => checkoutId)).size, 1, 'one checkout');
  t.match(world.asked[0], { trackingToken: token, poolId: 'promo', workspaceId: 'demo' });
  t.ok(pix.photo, 'with a QR picture');
  t.match(pix.caption, 'E-book <i>&');
  t.match(pix.caption, 'R$ 19,90');
  t.match(pix.caption, charge.pixCode);
  t.match(pix.reply_markup?.inline_keyboard.flat(), [
    { copy_text: { text: charge.pixCode } },
    { text: '✅ Já paguei' },
  ]);
  // What the second press leads to may still be on its way, behind the first one's.
  await eventually(async () => {
    assert.equal((await answersOf(user)).length, 3);
    const left = await world.sql`
      select 1 from messages where chat_id = ${user} and status = 'queued'`;
    assert.equal(left.length, 0);
  }, patience);
});

await t.test('the PIX is asked about, paid and delivered, each thing said once', async (t) => {
  const user = 5001;
  const pix = at(await world.said(user), 2);
  const charge = await chargeOf(world, user);
  await world.press(user, pix, '✅ Já paguei');
  await eventually(async () => {
    const answers = await answersOf(user);
    assert.ok(answers.some((text) => /ainda não apareceu/.test(text)));
  }, patience);

  const before = (await world.said(user)).length;
  const [thanks, link] = [paid(charge), delivered(charge, 'q0Fz8sQ1mXbH2yT7cVn4LkPw9RdEuGiA')];
  await world.publish(thanks);
  await world.publish(link);
  const twice = await hears(world, user, before + 2);
  const url = `${origin}/delivery/${link.data.deliveryToken}`;
  t.match(at(twice, before).text, 'Pagamento confirmado');
  t.match(at(twice, before + 1).text, url);
  t.equal(at(twice, before + 1).reply_markup?.inline_keyboard[0]?.[0]?.url, url);
  // Told again under other ids: what was said is not said again.
  await world.publish({ ...thanks, id: newId() });
  await world.publish({ ...link, id: newId() });
  await walkToPix(world, 5002);
  t.equal((await world.said(user)).length, before + 2);
  await eventually(async () => {
    const kinds = (await world.recorded('MessageSent')).map(({ data }) => data.kind);
    for (const kind of ['step', 'pix', 'paid', 'delivery']) {
      if (!kinds.includes(kind as never)) throw new Error(`no ${kind} was recorded`);
    }
    const [left] = await world.sql<{ count: number }[]>`select count(*) from outbox`;
    if (left?.count !== 0) throw new Error('the outbox is not empty');
  }, patience);
  const stored = await world.nats.jsm.streams.getMessage('COMMERCE', {
    last_by_subj: 'events.demo.lead.CheckoutStarted',
  });
  t.ok(stored, 'what was recorded was published');
});

await t.test('a START with a stranger’s token, or none, is organic', async (t) => {
  const token = 'b'.repeat(32);
  const strange = { workspaceid: 'other' };
  await world.publish(sampleEvent('ClickTracked', { trackingToken: token }, strange));
  await world.start(5003, token);
  await world.start(5004, 'promo-instagram');
  await world.start(5005, 'c'.repeat(32));
  await Promise.all([5003, 5004, 5005].map((user) => hears(world, user, 1)));
  const started = await world.recorded('FunnelStarted');
  for (const user of [5003, 5004, 5005]) {
    const found = started.find(({ data }) => data.telegramUserId === user);
    t.match(found?.data, { origin: 'organic', trackingToken: null, poolId: null });
  }
});

await t.test('an expired PIX is offered again, as a new checkout', async (t) => {
  await walkToPix(world, 5006);
  const charge = await chargeOf(world, 5006);
  const expiredAt = new Date().toISOString();
  const data = { ...shared(charge), expiredAt };
  await world.publish(sampleEvent('PaymentExpired', data, envelopeOf(charge)));
  const offer = at(await hears(world, 5006, 4), 3);
  t.match(offer.text, 'expirou');
  await world.press(5006, offer, 'Gerar novo PIX');
  t.ok(at(await hears(world, 5006, 5), 4).photo);
  const checkouts = await world.recorded('CheckoutStarted');
  const { leadId } = charge;
  const own = checkouts.filter((event) => event.data.leadId === leadId);
  t.equal(new Set(own.map((event) => event.data.checkoutId)).size, 2);
});

await t.test('a silent gateway is asked until it answers, with one checkout', async () => {
  world.gatewayIsDown = true;
  const asked = () => world.asked.filter(({ telegramUserId }) => telegramUserId === 5007);
  await world.start(5007);
  const [welcome] = await hears(world, 5007, 1);
  await world.press(5007, welcome as SentMessage, 'Saber mais');
  const more = at(await hears(world, 5007, 2), 1);
  await world.press(5007, more, 'Comprar');
  await eventually(() => assert.ok(asked().length >= 2), patience);
  world.gatewayIsDown = false;
  assert.ok(at(await hears(world, 5007, 3), 2).photo);
  const ids = asked().map(({ checkoutId }) => checkoutId);
  assert.equal(new Set(ids).size, 1);
});

await t.test('a blocked customer gets his delivery when he comes back', async (t) => {
  await walkToPix(world, 5008);
  const charge = await chargeOf(world, 5008);
  await world.control('telegram/chats/demo_a_bot/5008/block', {});
  await world.publish(paid(charge));
  await world.publish(delivered(charge, 'B'.repeat(32)));
  await eventually(async () => {
    const failed = await world.recorded('MessageFailed');
    const own = failed.filter(({ data }) => data.leadId === charge.leadId);
    assert.deepEqual(new Set(own.map(({ data }) => data.kind)), new Set(['paid', 'delivery']));
  }, patience);
  t.equal((await world.said(5008)).length, 3);
  await world.control('telegram/chats/demo_a_bot/5008/unblock', {});
  const after = await hears(world, 5008, 5);
  t.match(at(after, 4).text, 'B'.repeat(32));
  const changes = await world.recorded('ContactBlocked');
  const own = changes.filter(({ data }) => data.leadId === charge.leadId);
  t.strictSame(
    own.map(({ data }) => data.isBlocked),
    [true, false],
  );
});

await t.test('429, 5xx and resets delay messages and change nothing else', async (t) => {
  const wait = { status: 429, retryAfterSeconds: 1 };
  const rules = [wait, { status: 500 }, { reset: true }, { status: 400 }].map((action) => ({
    api: 'telegram',
    match: { method: 'sendMessage' },
    times: 1,
    action,
  }));
  for (const rule of rules) await world.control('faults', rule);
  await walkToPix(world, 5009);
  const texts = (await world.said(5009)).map(({ text, caption }) => text ?? caption);
  t.match(texts, [hostileText, 'Um e-book.', /R\$ 19,90/]);
  const [welcome] = await world.said(5009);
  const labels = welcome?.reply_markup?.inline_keyboard.flat().map(({ text }) => text);
  t.strictSame(labels, ['Saber mais'], 'refused with a link button, it is sent without');
  t.equal(texts.length, 3);
});

await t.test('only Telegram, with proper updates, gets in', async (t) => {
  const post = (path: string, body: string, token = secret): Promise<Response> =>
    fetch(`${service.url}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-telegram-bot-api-secret-token': token,
      },
      body,
      signal: AbortSignal.timeout(5_000),
    });
  const user = { id: 5010, is_bot: false, first_name: '<b>', language_code: 'en' };
  const message = { message_id: 1, date: 1, chat: { id: 5010, type: 'private' }, from: user };
  const update = JSON.stringify({ update_id: 900, message: { ...message, text: '/start' } });
  const before = await world.nats.jsm.streams.info('UPDATES');
  t.equal((await post('/telegram/bot-a', update, 'forged')).status, 401);
  t.equal((await post('/telegram/bot-x', update)).status, 404);
  t.equal((await post('/telegram/bot-a', '{"update_id":')).status, 400);
  t.equal((await post('/telegram/bot-a', '[]')).status, 400);
  t.equal((await post('/telegram/bot-a', '{"message":{}}')).status, 400);
  const refusal = await post('/telegram/bot-a', '{"update_id":"1"}');
  t.match(refusal.headers.get('content-type'), 'application/problem+json');
  const huge = JSON.stringify({ update_id: 901, pad: 'x'.repeat(300_000) });
  t.equal((await post('/telegram/bot-a', huge)).status, 413);
  const group = { ...message, chat: { id: -5, type: 'group' }, text: '/start' };
  const ignored = JSON.stringify({ update_id: 902, message: group });
  t.equal((await post('/telegram/bot-a', ignored)).status, 200);
  const nothing = await world.nats.jsm.streams.info('UPDATES');
  t.equal(nothing.state.messages, before.state.messages, 'nothing of it was stored');

  for (let times = 0; times < 3; times += 1) {
    t.equal((await post('/telegram/bot-a', update)).status, 200);
  }
  await eventually(async () => {
    const started = await world.recorded('FunnelStarted');
    assert.equal(started.filter(({ data }) => data.telegramUserId === 5010).length, 1);
  });
  const after = await world.nats.jsm.streams.info('UPDATES');
  t.equal(after.state.messages, before.state.messages + 1, 'a repeated update is stored once');
});

await t.test('a revoked token makes the bot unhealthy at the next message', async () => {
  world.sandbox.setWorld({ bots: [], pixels: [], pixAccounts: [] });
  const charge = await chargeOf(world, 5007);
  await world.publish(paid(charge));
  await eventually(async () => {
    const changes = (await world.recorded('BotHealthChanged')).map(({ data }) => data.health);
    assert.deepEqual(changes, ['healthy', 'unhealthy']);
  }, patience);
});
