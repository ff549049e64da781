/**
 * Goal: messages go out as fast as Telegram allows and never faster, in order in each chat, by
 * several processes at once.
 * Method: two senders on one real Postgres, the sandbox's Telegram with a strict flood limit and
 * with faults; rows are queued as the service queues them. Figures are printed.
 */
import assert from 'node:assert/strict';
import { eventStoreMigrations } from '@rastro/event-store';
import { connectPostgres, createMetrics, newId } from '@rastro/runtime';
import { startSandbox } from '@rastro/sandbox';
import { eventually, migratedDatabase, startTestServers, testLog } from '@rastro/testing';
import { Api } from 'grammy';
import { join } from 'node:path';
import t from 'tap';
import { startMessageSender } from '../../src/adapters/message-sender.ts';
import { queueMessages, releaseKeptMessages } from '../../src/adapters/message-table.ts';
import { createFunnelMetrics } from '../../src/adapters/metrics.ts';
import type { Message } from '../../src/core/message.ts';

const bots = Array.from({ length: 20 }, (_, index) => ({
  token: `${1000 + index}:secret`,
  username: `shop_${index}_bot`,
}));
type Bot = (typeof bots)[number];
const botAt = (index: number): Bot => bots[index] as Bot;

t.setTimeout(110_000);
const servers = await startTestServers({ postgres: true });
const folders = [
  eventStoreMigrations,
  { name: 'funnel', path: join(import.meta.dirname, '../../migrations') },
];
const database = await migratedDatabase(servers, { schema: 'funnel', folders });
const { sql } = database;
const sandbox = await startSandbox({
  port: 0,
  publicOrigin: 'https://go.example.com',
  world: { bots, pixels: [], pixAccounts: [] },
});
const apis = new Map(
  bots.map(({ username, token }) => [
    username,
    new Api(token, { apiRoot: `${sandbox.url}/telegram`, timeoutSeconds: 10 }),
  ]),
);
const unauthorized: string[] = [];

/** A sender as each process has it, with a pool of its own. */
function startSender(): AsyncDisposable {
  const own = connectPostgres({ url: database.url, schema: 'funnel', service: 'test' });
  const sender = startMessageSender({
    sql: own,
    log: testLog(),
    apiOf: (botId) => apis.get(botId),
    onUnauthorized: (botId) => unauthorized.push(botId),
    onOutcome: () => {},
    sends: createFunnelMetrics(createMetrics('bot-funnel')).sends,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await sender[Symbol.asyncDispose]();
      await own.end({ timeout: 5 });
    },
  };
}
const senders = [startSender(), startSender()];
t.teardown(async () => {
  await Promise.all(senders.map((sender) => sender[Symbol.asyncDispose]()));
  await sandbox[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});

async function control<T>(path: string, body?: object): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const response = await fetch(`${sandbox.url}/control/${path}`, init);
  assert.ok(response.ok, path);
  return (await response.json()) as T;
}

interface Told {
  readonly text?: string;
  readonly edit_date?: number;
  readonly from: { readonly is_bot: boolean };
}
const told = async (bot: Bot, userId: number): Promise<Told[]> => {
  const messages = await control<Told[]>(`telegram/chats/${bot.username}/${userId}/messages`);
  return messages.filter(({ from }) => from.is_bot);
};

/** A customer who has pressed START, and his lead. */
async function customer(bot: Bot, userId: number) {
  await control(`telegram/chats/${bot.username}/${userId}/start`, {});
  const lead = { leadId: newId(), workspaceId: 'demo', botId: bot.username };
  await sql`insert into leads (lead_id, workspace_id, bot_id, telegram_user_id)
    values (${lead.leadId}, 'demo', ${lead.botId}, ${userId})`;
  return { ...lead, telegramUserId: userId };
}
type Lead = Awaited<ReturnType<typeof customer>>;

const thanks = (productName: string): Message => ({ kind: 'paid', productName, text: null });
const delivery: Message = { kind: 'delivery', productName: 'E', link: 'https://x.example/d/1' };

/** All at once, so that one sender claims them together. */
const queue = (
  rows: readonly Lead[],
  message: Message,
  to: { readonly chatId?: number } = {},
): Promise<unknown> =>
  sql.begin((tx) => {
    const entry = { trackingToken: null, message, onceKey: null, ...to };
    return queueMessages(
      tx,
      rows.map((row) => ({ ...entry, row })),
    );
  });

const patience = { timeoutMs: 20_000 };

async function allSent(count: number, timeoutMs = 60_000): Promise<void> {
  await eventually(
    async () => {
      const [row] = await sql<{ sent: number; waiting: number }[]>`
        select count(*) filter (where status = 'sent') as sent,
          count(*) filter (where status = 'queued') as waiting from messages`;
      assert.deepEqual({ ...row }, { sent: count, waiting: 0 });
    },
    { timeoutMs, intervalMs: 50 },
  );
}

async function forget(): Promise<void> {
  await sql`delete from messages`;
  await sql`delete from leads`;
  await sql`delete from chat_lanes`;
  await sql`delete from bot_paces`;
}

type Limits = { readonly violations: { readonly chat: number; readonly bot: number } };

await t.test('as fast as Telegram allows, by two processes, and never refused', async (t) => {
  await control('telegram/limits', { perChatPerSecond: 1, perBotPerSecond: 30 });
  const chats = 75;
  const leads = await Promise.all(
    bots.flatMap((bot) => Array.from({ length: chats }, (_, index) => customer(bot, index + 1))),
  );
  const startedMs = performance.now();
  const batches = Array.from({ length: 100 }, (_, index) =>
    leads.filter((_lead, place) => place % 100 === index),
  );
  await Promise.all(batches.map((batch) => queue(batch, thanks('first'))));
  const queuedMs = performance.now();
  await allSent(leads.length);
  const seconds = (performance.now() - startedMs) / 1_000;
  const { violations } = await control<Limits>('telegram/limits');
  t.comment(
    `${leads.length} messages of ${bots.length} bots in ${seconds.toFixed(1)} s, ` +
      `${(leads.length / seconds).toFixed(0)} a second; queued in ${(queuedMs - startedMs).toFixed(0)} ms`,
  );
  t.equal(violations.chat, 0, 'we kept the pace before Telegram had to say so');
  // Calls are spaced when they are handed out: where the machine stands still, some bunch.
  t.ok(violations.bot <= leads.length / 20, `${violations.bot} too soon for their bot`);
  await forget();
});

await t.test('in order in each chat, what must not come twice as an edit', async (t) => {
  const lead = await customer(botAt(0), 501);
  for (const name of ['one', 'two']) await queue([lead], thanks(name));
  await queue([lead], delivery);
  await queue([lead], thanks('last'));
  await allSent(4);
  const texts = await told(botAt(0), 501);
  t.match(texts, [{ text: /one/ }, { text: /two/ }, { text: /x\.example/ }, { text: /last/ }]);
  t.ok(texts[2]?.edit_date, 'it was a placeholder first');
  const { violations } = await control<Limits>('telegram/limits');
  t.equal(violations.chat, 0);
  await control('telegram/limits', {});
  await forget();
});

await t.test(
  'answers that get lost repeat the placeholder or the edit, not the link',
  async (t) => {
    const lead = await customer(botAt(1), 502);
    const faults = [
      { match: { method: 'sendMessage' }, action: { acceptThenDrop: true } },
      { match: { method: 'editMessageText' }, action: { acceptThenDrop: true } },
      { match: { method: 'editMessageText' }, action: { status: 502 } },
    ];
    for (const fault of faults) await control('faults', { api: 'telegram', times: 1, ...fault });
    await queue([lead], delivery);
    await allSent(1);
    const texts = (await told(botAt(1), 502)).map(({ text }) => text ?? '');
    t.equal(texts.filter((text) => text.includes('x.example')).length, 1, 'one link');
    t.equal(texts.length, 2, 'and one placeholder whose id nobody knows');
    await forget();
  },
);

await t.test('a bot refused in three chats at once waits as a whole', async (t) => {
  const path = `/${botAt(2).username}/`;
  const action = { status: 429, retryAfterSeconds: 5 };
  await control('faults', { api: 'telegram', match: { path }, times: 3, action });
  const leads = await Promise.all([1, 2, 3, 4].map((n) => customer(botAt(2), 510 + n)));
  const [fourth] = leads.slice(3) as [Lead];
  const other = await customer(botAt(3), 515);
  const queuedMs = Date.now();
  await queue(leads.slice(0, 3), thanks('x'));
  const pausedUntil = await eventually(async () => {
    const [pace] = await sql<{ until: Date }[]>`
      select paused_until as until from bot_paces where paused_until > now() - interval '1 minute'`;
    assert.ok(pace);
    return pace.until;
  });
  t.ok(pausedUntil.getTime() - queuedMs >= 5_000);
  await queue([fourth, other], thanks('x'));
  await allSent(5);
  const sentAt = async ({ leadId }: Lead): Promise<Date> => {
    const [row] = await sql<{ at: Date }[]>`
      select (event -> 'data' ->> 'sentAt')::timestamptz as at from events
      where type = 'MessageSent' and event -> 'data' ->> 'leadId' = ${leadId}`;
    return row?.at ?? new Date(Number.NaN);
  };
  for (const lead of leads) {
    t.ok((await sentAt(lead)) >= pausedUntil, 'a chat that was not refused waits too');
  }
  t.ok((await sentAt(other)) < pausedUntil, 'another bot does not');
  const rows = await sql<{ attempts: number }[]>`select attempts from messages`;
  t.ok(
    rows.every(({ attempts }) => attempts === 0),
    'being told to wait is no failure',
  );
  await forget();
});

await t.test('a refused token is left alone until there is another one', async (t) => {
  const bot = botAt(4);
  const lead = await customer(bot, 520);
  const good = apis.get(bot.username) as Api;
  apis.set(bot.username, new Api('9:wrong', { apiRoot: `${sandbox.url}/telegram` }));
  await queue([lead], thanks('x'));
  await eventually(() => assert.ok(unauthorized.includes(bot.username)));
  const seen = unauthorized.length;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.equal(unauthorized.length, seen, 'it is not tried again');
  apis.set(bot.username, good);
  await allSent(1);
  await forget();
});

await t.test('a chat that is not the lead’s says nothing about the lead', async (t) => {
  const bot = botAt(5);
  const lead = await customer(bot, 530);
  const operator = await customer(bot, 531);
  await control(`telegram/chats/${bot.username}/531/block`, {});
  await queue([lead], thanks('note'), { chatId: operator.telegramUserId });
  await queue([lead], thanks('own'));
  await eventually(async () => {
    const rows = await sql<{ status: string }[]>`select status from messages order by position`;
    assert.deepEqual(
      rows.map(({ status }) => status),
      ['failed', 'sent'],
    );
  }, patience);
  const types = await sql<{ type: string }[]>`
    select type from events where event -> 'data' ->> 'leadId' = ${lead.leadId} order by type`;
  t.strictSame(
    types.map(({ type }) => type),
    ['MessageFailed', 'MessageSent'],
  );
  await forget();
});

await t.test('what a blocked customer missed comes in order when he is back', async (t) => {
  const bot = botAt(6);
  const lead = await customer(bot, 540);
  const action = { status: 403 };
  await control('faults', { api: 'telegram', match: { path: bot.username }, times: 1, action });
  await queue([lead], thanks('first'));
  await queue([lead], thanks('second'));
  const areFailed = async (): Promise<void> => {
    const failed = await sql`select 1 from messages where status = 'failed'`;
    assert.equal(failed.length, 2);
  };
  await eventually(areFailed, patience);
  t.same(await told(bot, 540), [], 'the second would have got through, and overtaken the first');
  await sql.begin((tx) => releaseKeptMessages(tx, lead.leadId, new Date().toISOString()));
  await allSent(2);
  t.match(await told(bot, 540), [{ text: /first/ }, { text: /second/ }]);
  await forget();
});
