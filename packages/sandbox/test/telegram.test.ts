/**
 * Goal: a bot cannot tell this Bot API from Telegram's: parsing, refusals, webhooks, polling.
 * Method: the pure HTML parser on cases and generated texts; grammY and plain HTTP against a real
 * server; a customer played through the control routes.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { Bot, GrammyError, InlineKeyboard, InputFile } from 'grammy';
import t from 'tap';
import { parseHtml } from '../src/telegram/html.ts';
import type { Message, Update } from '../src/telegram/types.ts';
import { call, eventually, start } from './start.ts';

await t.test('HTML: what Telegram takes, and how it words what it refuses', async (t) => {
  t.same(
    parseHtml('<b>Olá</b>, 1 &lt; 2 &amp; <a href="https://x.test/?a=1&amp;b=2">aqui</a> 👋'),
    {
      ok: true,
      text: 'Olá, 1 < 2 & aqui 👋',
      entities: [
        { type: 'bold', offset: 0, length: 3 },
        { type: 'text_link', offset: 13, length: 4, url: 'https://x.test/?a=1&b=2' },
      ],
    },
  );
  t.same(parseHtml('👋<code>x</code>'), {
    ok: true,
    text: '👋x',
    entities: [{ type: 'code', offset: 2, length: 1 }],
  });
  const refused: [string, RegExp][] = [
    ['a <kahn@inbox.ru> b', /Unsupported start tag "kahn@inbox\.ru" at byte offset 2/],
    ['é <x>', /at byte offset 3/],
    ['1 < 2', /Unclosed start tag at byte offset 2|Unsupported start tag "" at byte offset 2/],
    ['<b>x', /Can't find end tag corresponding to start tag "b"/],
    ['x</b>', /Unexpected end tag at byte offset 1/],
    ['<b><i>x</b></i>', /Unmatched end tag at byte offset 7, expected "<\/i>", found "<\/b>"/],
    ['<br>', /Unsupported start tag "br"/],
    ['<span>x</span>', /tg-spoiler/],
  ];
  for (const [html, problem] of refused) t.match(parseHtml(html), { ok: false, problem }, html);
});

await t.test('HTML: an escaped text always comes back as it was, without entities', async () => {
  const escape = (text: string) =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const parsed = parseHtml(escape(text));
      return parsed.ok && parsed.text === text && parsed.entities.length === 0;
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => 'ok' in parseHtml(`<b>${text}`)));
});

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk' +
    '+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

await t.test('grammY by getUpdates: a chat from START to an edited photo', async (t) => {
  await using sandbox = await start();
  const chat = `${sandbox.url}/control/telegram/chats/demo_a_bot/777`;
  const bot = new Bot('111:alpha', { client: { apiRoot: `${sandbox.url}/telegram` } });
  const seen: string[] = [];
  bot.command('start', async (context) => {
    seen.push(`start ${context.match} ${context.from?.language_code}`);
    const keyboard = new InlineKeyboard()
      .text('Comprar', 'buy:1')
      .url('Site', 'http://localhost:8080/x')
      .copyText('Copiar', '000201');
    await context.reply('<b>Oi</b> &lt;3', { parse_mode: 'HTML', reply_markup: keyboard });
  });
  bot.on('callback_query:data', async (context) => {
    seen.push(`press ${context.callbackQuery.data}`);
    await context.replyWithPhoto(new InputFile(png, 'qr.png'), { caption: 'QR' });
    await context.editMessageReplyMarkup();
    await context.answerCallbackQuery({ text: 'Pronto' });
  });
  bot.on('my_chat_member', (context) => {
    seen.push(context.myChatMember.new_chat_member.status);
  });
  const running = bot.start();
  await call(`${chat}/start`, { payload: 'abc_-1', user: { first_name: 'Ana' } });
  const read = async () => (await call<Message[]>(`${chat}/messages`)).body;
  const [hello, greeting] = await eventually(read, (list) => list.length === 2);
  t.match(hello, { text: '/start abc_-1', from: { first_name: 'Ana', is_bot: false } });
  t.match(greeting, {
    text: 'Oi <3',
    entities: [{ type: 'bold', offset: 0, length: 2 }],
    from: { is_bot: true, username: 'demo_a_bot', first_name: 'Loja A', id: 111 },
  });
  const press = { messageId: greeting?.message_id, callbackData: 'buy:1' };
  t.equal((await call(`${chat}/press`, { ...press, callbackData: 'buy:2' })).status, 400);
  await call(`${chat}/press`, press);
  const after = await eventually(
    async () => (await call<{ callbackAnswers: object[]; messages: Message[] }>(chat)).body,
    (state) => state.callbackAnswers.length === 1,
  );
  t.match(after.callbackAnswers, [{ text: 'Pronto' }]);
  t.equal(after.messages[1]?.reply_markup, undefined, 'the keyboard is gone');
  const photo = after.messages[2]?.photo?.[0];
  t.match(photo, { width: 1, height: 1 });
  const file = await fetch(`${sandbox.url}/telegram/file/${photo?.file_id}`);
  t.ok(Buffer.from(await file.arrayBuffer()).equals(png), 'the page can show the photo');

  await call(`${chat}/block`, {});
  const refused = await bot.api.sendMessage(777, 'x').catch((error: unknown) => error);
  t.match(refused, { error_code: 403, description: 'Forbidden: bot was blocked by the user' });
  t.ok(refused instanceof GrammyError);
  await call(`${chat}/start`, {});
  await eventually(
    () => seen.length,
    (count) => count === 5,
  );
  t.same(seen, ['start abc_-1 pt-br', 'press buy:1', 'kicked', 'member', 'start  pt-br']);
  await bot.stop();
  await running;
});

await t.test('refusals are worded as Telegram words them', async (t) => {
  await using sandbox = await start();
  const api = `${sandbox.url}/telegram/bot111:alpha`;
  await call(`${sandbox.url}/control/telegram/chats/demo_a_bot/5/start`, {});
  const say = (body: object) => call(`${api}/sendMessage`, { chat_id: 5, ...body });
  const keyboard = (button: object) => ({
    text: 'x',
    reply_markup: { inline_keyboard: [[{ text: 'b', ...button }]] },
  });
  const cases: [string, Promise<{ status: number; body: object }>, number, RegExp][] = [
    ['unknown token', call(`${sandbox.url}/telegram/bot9:x/getMe`), 401, /^Unauthorized$/],
    ['no token', call(`${sandbox.url}/telegram/botx/getMe`), 404, /^Not Found$/],
    ['unknown method', call(`${api}/fly`), 404, /^Not Found$/],
    ['no chat', call(`${api}/sendMessage`, { text: 'x' }), 400, /chat_id is empty/],
    ['another chat', say({ chat_id: 6, text: 'x' }), 400, /^Bad Request: chat not found$/],
    ['no text', say({}), 400, /message text is empty/],
    ['blank text', say({ text: ' \n' }), 400, /message text is empty/],
    ['long text', say({ text: 'x'.repeat(4097) }), 400, /message is too long/],
    [
      'bad HTML',
      say({ text: '<p>', parse_mode: 'HTML' }),
      400,
      /can't parse entities: Unsupported/,
    ],
    ['bad mode', say({ text: 'x', parse_mode: 'RTF' }), 400, /unsupported parse_mode/],
    ['65 bytes', say(keyboard({ callback_data: 'é'.repeat(33) })), 400, /BUTTON_DATA_INVALID/],
    ['long copy', say(keyboard({ copy_text: { text: 'x'.repeat(257) } })), 400, /COPY_TEXT/],
    ['script link', say(keyboard({ url: 'javascript:alert(1)' })), 400, /Wrong HTTP URL/],
    ['no action', say(keyboard({})), 400, /Text buttons are unallowed/],
    [
      'nothing to edit',
      call(`${api}/editMessageText`, { chat_id: 5, message_id: 99, text: 'x' }),
      400,
      /message to edit not found/,
    ],
    [
      'nothing to delete',
      call(`${api}/deleteMessage`, { chat_id: 5, message_id: 99 }),
      400,
      /message to delete not found/,
    ],
    ['old query', call(`${api}/answerCallbackQuery`, { callback_query_id: '1' }), 400, /too old/],
    ['no photo', call(`${api}/sendPhoto`, { chat_id: 5 }), 400, /there is no photo/],
    [
      'bad secret',
      call(`${api}/setWebhook`, { url: 'http://x', secret_token: 'é' }),
      400,
      /secret/,
    ],
    ['bad URL', call(`${api}/setWebhook`, { url: 'nope' }), 400, /invalid URL/],
  ];
  for (const [name, answer, status, description] of cases) {
    const { status: got, body } = await answer;
    t.equal(got, status, name);
    t.match(body, { ok: false, error_code: status, description }, name);
  }
  t.match((await say({ text: 'x'.repeat(4096) })).body, { ok: true });
  const data = (await say(keyboard({ callback_data: 'é'.repeat(32) }))).body;
  t.match(data, { ok: true, result: { message_id: Number } });
  const rule = { api: 'telegram', match: { method: 'sendMessage' }, times: 1 };
  await call(`${sandbox.url}/control/faults`, {
    ...rule,
    action: { status: 429, retryAfterSeconds: 7 },
  });
  t.match(await say({ text: 'x' }), {
    status: 429,
    body: { description: 'Too Many Requests: retry after 7', parameters: { retry_after: 7 } },
  });
});

/** A bot's endpoint that fails `failures` times, then answers 200. */
async function startBotServer(failures: number) {
  const received: { update: Update; secret: unknown }[] = [];
  let left = failures;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const isBad = left > 0;
      left -= 1;
      if (!isBad) {
        const update = JSON.parse(Buffer.concat(chunks).toString()) as Update;
        received.push({ update, secret: request.headers['x-telegram-bot-api-secret-token'] });
      }
      response.writeHead(isBad ? 500 : 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/telegram/a`,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

await t.test('webhooks: the secret, order within a chat, retries until 2xx', async (t) => {
  await using sandbox = await start();
  await using receiver = await startBotServer(2);
  const api = `${sandbox.url}/telegram/bot111:alpha`;
  const chats = `${sandbox.url}/control/telegram/chats/demo_a_bot`;
  await call(`${chats}/1/start`, { payload: 'before' });
  const set = await call(`${api}/setWebhook`, {
    url: receiver.url,
    secret_token: 's3cret',
    allowed_updates: ['message'],
    max_connections: 10,
  });
  t.match(set.body, { ok: true, result: true, description: 'Webhook was set' });
  for (let n = 1; n <= 5; n += 1) {
    for (const user of [1, 2, 3]) await call(`${chats}/${user}/send`, { text: `${user}:${n}` });
  }
  await call(`${chats}/2/block`, {});
  const infoUrl = `${api}/getWebhookInfo`;
  const info = await eventually(
    async () => (await call<{ result: object }>(infoUrl)).body.result,
    (result) => 'last_error_message' in result,
  );
  t.match(info, { last_error_message: /500/, url: receiver.url, max_connections: 10 });
  t.match((await call(`${api}/getUpdates`)).body, { error_code: 409 });
  await eventually(
    () => receiver.received.length,
    (count) => count === 16,
  );
  t.ok(receiver.received.every((one) => one.secret === 's3cret'));
  const texts = receiver.received.map((one) => (one.update['message'] as Message).text);
  for (const user of [1, 2, 3]) {
    const own = texts.filter((text) => text?.startsWith(`${user}:`));
    t.same(
      own,
      [1, 2, 3, 4, 5].map((n) => `${user}:${n}`),
      `chat ${user} is in order`,
    );
  }
  t.ok(texts.includes('/start before'), 'what waited before setWebhook arrives too');
  // The last one is no longer pending once its answer has come back.
  const after = await eventually(
    async () => (await call<{ result: { pending_update_count: number } }>(infoUrl)).body.result,
    (result) => result.pending_update_count === 0,
  );
  t.equal(after.pending_update_count, 0);
});

await t.test(
  'getUpdates: offsets confirm, a long poll wakes, a second poll ends the first',
  async (t) => {
    await using sandbox = await start();
    const api = `${sandbox.url}/telegram/bot222:beta`;
    const chat = `${sandbox.url}/control/telegram/chats/demo_b_bot/1`;
    const poll = (query: string) => call<{ result: Update[] }>(`${api}/getUpdates?${query}`);
    const waiting = poll('timeout=10');
    await call(`${chat}/start`, {});
    const first = (await waiting).body.result;
    t.equal(first.length, 1);
    await call(`${chat}/send`, { text: 'two' });
    t.equal((await poll('')).body.result.length, 2, 'unconfirmed ones come again');
    const next = (first[0]?.update_id ?? 0) + 1;
    t.match((await poll(`offset=${next}`)).body.result, [{ message: { text: 'two' } }]);
    await poll(`offset=${next + 1}`);
    const polls = [poll('timeout=10'), poll('timeout=10')];
    // Whichever came first.
    const ended = await Promise.race(polls);
    t.match(ended, { status: 409, body: { description: /terminated by other getUpdates/ } });
    await call(`${chat}/send`, { text: 'three' });
    const others = (await Promise.all(polls)).filter((answer) => answer !== ended);
    t.match(others, [{ body: { result: [{ message: { text: 'three' } }] } }]);
  },
);
