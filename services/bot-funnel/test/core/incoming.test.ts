/** Goal: updates become what the funnel understands, and all else is let go. Method: examples. */
import t from 'tap';
import { encodePress, parsePress, type Press } from '../../src/core/funnel.ts';
import { readUpdate, trackingTokenIn } from '../../src/core/incoming.ts';

const where = { botId: 'bot-a', workspaceId: 'demo', receivedAt: '2026-11-20T12:00:00.000Z' };
const from = { id: 5, is_bot: false, language_code: 'x'.repeat(99), is_premium: true };
const chat = { id: 5, type: 'private' };
const read = (update: object) => readUpdate({ update_id: 1, ...update }, where);

await t.test('what a customer does', async (t) => {
  const said = (text: string) => read({ message: { chat, from, text } })?.content;
  t.strictSame(said('/start abc_-9'), { type: 'start', payload: 'abc_-9' });
  t.strictSame(said('/start@demo_a_bot'), { type: 'start', payload: null });
  t.strictSame(said('/start'), { type: 'start', payload: null });
  for (const text of ['/started', 'oi', `/start ${'a'.repeat(65)}`, '/start a b']) {
    t.strictSame(said(text), { type: 'text' }, text);
  }
  const query = { id: 'q', from, data: 's:1:0:0', message: { chat } };
  t.match(read({ callback_query: query }), { content: { type: 'press', data: 's:1:0:0' } });
  const member = (status: string) =>
    read({ my_chat_member: { chat, from, new_chat_member: { status } } })?.content;
  t.match(member('kicked'), { isBlocked: true });
  t.match(member('member'), { isBlocked: false });
  t.match(read({ message: { chat, from } }), { languageCode: 'x'.repeat(35), isPremium: true });
});

await t.test('what is not for the funnel', async (t) => {
  t.equal(read({ message: { chat: { id: -1, type: 'group' }, from, text: '/start' } }), null);
  t.equal(read({ message: { chat, from: { ...from, is_bot: true }, text: '/start' } }), null);
  t.equal(read({ message: { chat, text: '/start' } }), null);
  t.equal(read({ edited_message: {} }), null);
  t.equal(trackingTokenIn('A'.repeat(32)), null);
  t.equal(trackingTokenIn('a'.repeat(32)), 'a'.repeat(32));
});

await t.test('what buttons say fits into 64 bytes and is read back', async (t) => {
  const checkoutId = '019aa0f0-0000-7000-8000-000000000003';
  const presses: Press[] = [
    { type: 'step_button', snapshotKey: '123456789012345', step: 63, button: 15 },
    { type: 'buy_again', checkoutId },
    { type: 'already_paid', paymentId: checkoutId },
  ];
  for (const press of presses) {
    const data = encodePress(press);
    t.ok(Buffer.byteLength(data) <= 64);
    t.strictSame(parsePress(data), press);
  }
  for (const data of ['', 's:1:0', 's:x:0:0', 'paid:1', `again:${checkoutId}x`, '__proto__']) {
    t.equal(parsePress(data), null);
  }
});
