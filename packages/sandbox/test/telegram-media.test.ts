/**
 * Goal: messages with files and edits behave as Telegram's do, and the strict flood limit counts.
 * Method: grammY and plain HTTP against a real server; a customer played through the control routes.
 */
import { Api, InputFile } from 'grammy';
import t from 'tap';
import type { Message } from '../src/telegram/types.ts';
import { call, eventually, start } from './start.ts';

const png = (last: number): Buffer => {
  const bytes = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk' +
      '+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );
  bytes[bytes.length - 1] = last;
  return bytes;
};

async function startChat() {
  const sandbox = await start();
  const chat = `${sandbox.url}/control/telegram/chats/demo_a_bot/777`;
  await call(`${chat}/start`, {});
  const api = new Api('111:alpha', { apiRoot: `${sandbox.url}/telegram` });
  const last = async () => (await call<Message[]>(`${chat}/messages`)).body.at(-1);
  const refusal = (promise: Promise<unknown>) =>
    promise.then(() => 'accepted').catch((error: { description: string }) => error.description);
  return {
    sandbox,
    chat,
    api,
    last,
    refusal,
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

await t.test('a text is edited into a picture, and that into another one', async (t) => {
  await using world = await startChat();
  const { api, chat, last, refusal } = world;
  const keyboard = { inline_keyboard: [[{ text: 'b', callback_data: 'd' }]] };
  const sent = await api.sendMessage(777, 'wait', { reply_markup: keyboard });
  const edit = (picture: number, caption = '<b>PIX</b>', more = {}) =>
    api.editMessageMedia(
      777,
      sent.message_id,
      { type: 'photo', media: new InputFile(png(picture)), caption, parse_mode: 'HTML' },
      more,
    );
  await edit(1, '<b>PIX</b>', { reply_markup: keyboard });
  const first = await last();
  t.match(first, {
    message_id: sent.message_id,
    caption: 'PIX',
    caption_entities: [{ type: 'bold', offset: 0, length: 3 }],
    reply_markup: keyboard,
    edit_date: Number,
  });
  t.equal(first?.text, undefined, 'its words are gone');
  t.match(await refusal(edit(1, '<b>PIX</b>', { reply_markup: keyboard })), /is not modified/);
  await edit(2);
  const second = await last();
  t.not(second?.photo?.[0]?.file_id, first?.photo?.[0]?.file_id);
  t.equal(second?.reply_markup, undefined, 'an edit without a keyboard takes it away');
  t.equal((await call<Message[]>(`${chat}/messages`)).body.length, 2, 'in place');
  t.match(await refusal(api.editMessageText(777, sent.message_id, 'x')), /no text in the message/);
  t.match(await refusal(edit(3, '<p>')), /can't parse entities/);
  t.match(await refusal(edit(3, 'x'.repeat(1_025))), /caption is too long/);
  const bad = { type: 'photo', media: new InputFile(Buffer.from('no picture')) } as const;
  t.match(await refusal(api.editMessageMedia(777, sent.message_id, bad)), /IMAGE_PROCESS_FAILED/);
  await api.deleteMessage(777, sent.message_id);
  t.match(await refusal(edit(3)), /message to edit not found/);
});

await t.test('files by address are kept as they are named', async (t) => {
  await using world = await startChat();
  const { api, last, refusal } = world;
  const url = 'https://files.example.com/a%20b.bin';
  await api.sendVideo(777, url, { caption: 'v' });
  t.match(await last(), { video: { url }, caption: 'v' });
  await api.sendAnimation(777, url);
  t.match(await last(), { animation: { url } });
  await api.sendAudio(777, url);
  t.match(await last(), { audio: { url } });
  await api.sendVoice(777, url);
  t.match(await last(), { voice: { url } });
  await api.sendDocument(777, url);
  const { message_id: id } = (await last()) as Message;
  t.match(await last(), { document: { url } });
  await api.editMessageMedia(777, id, { type: 'video', media: url });
  t.match(await last(), { message_id: id, video: { url }, document: undefined });
  t.match(await refusal(api.sendVideo(777, 'file:///etc/passwd')), /wrong remote file identifier/);
  const { url: origin } = world.sandbox;
  const nothing = await call(`${origin}/telegram/bot111:alpha/sendVoice`, { chat_id: 777 });
  t.match(nothing.body, { description: /there is no voice in the request/ });
  const known = await api.sendPhoto(777, new InputFile(png(1)));
  await api.sendPhoto(777, `${origin}/telegram/file/${known.photo.at(-1)?.file_id}`);
  t.match(await last(), { photo: [{ width: 1 }] }, 'a picture of this machine is fetched');
});

await t.test('the flood limit is off, strict when set, and counts what broke it', async (t) => {
  await using world = await startChat();
  const { api, sandbox, chat, refusal } = world;
  const limits = `${sandbox.url}/control/telegram/limits`;
  await Promise.all(Array.from({ length: 40 }, (_, index) => api.sendMessage(777, `${index}`)));
  t.match((await call(limits)).body, { perChatPerSecond: null, violations: { chat: 0, bot: 0 } });
  t.equal((await call(limits, { perChatPerSecond: 'x' })).status, 400);
  for (const user of [1, 2, 3]) await call(`${chat.replace('777', String(user))}/start`, {});
  const breakThem = async () => {
    await call(limits, { perChatPerSecond: 1, perBotPerSecond: 3 });
    const startedMs = performance.now();
    const sent = await api.sendMessage(777, 'one');
    const edit = await refusal(api.editMessageText(777, sent.message_id, 'two'));
    const typing = await api.sendChatAction(777, 'typing');
    await refusal(api.sendMessage(1, 'x'));
    await refusal(api.sendMessage(2, 'x'));
    const another = await refusal(api.sendMessage(3, 'x'));
    return { edit, typing, another, tookMs: performance.now() - startedMs };
  };
  // They count within a second: who needed longer has broken none.
  const broken = await eventually(breakThem, ({ tookMs }) => tookMs < 1_000);
  t.match(broken.edit, /Too Many Requests: retry after 1/, 'an edit counts');
  t.equal(broken.typing, true, 'what shows nothing does not count');
  t.match(broken.another, /Too Many Requests/, 'the bot as a whole');
  t.match((await call(limits)).body, { violations: { chat: 1, bot: 1 } });
  await call(limits, {});
  t.match(await refusal(api.sendMessage(3, 'x')), 'accepted');
});
