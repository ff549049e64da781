/**
 * Goal: no second has more than 30 calls of one bot, wherever it begins and however many processes
 * claim; and claiming does not get slower with what is waiting. Method: two claimers race for 200
 * waiting chats of one bot in a real Postgres; each claim is a call that may be made, and the
 * server's own clock says when it was. Then a hundred thousand messages wait. Figures are printed.
 */
import { eventStoreMigrations } from '@rastro/event-store';
import { migratedDatabase, startTestServers } from '@rastro/testing';
import { join } from 'node:path';
import t from 'tap';
import { claimLanes } from '../../src/adapters/lane-table.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ postgres: true }));
const folders = [
  eventStoreMigrations,
  { name: 'funnel', path: join(import.meta.dirname, '../../migrations') },
];
const { sql } = stack.use(await migratedDatabase(servers, { schema: 'funnel', folders }));

const chats = 200;
const withinMs = 20_000;
/** Five calls can be saved up, at 25 a second: whoever looks this often loses none. */
const savedUpMs = 200;

await t.test('30 a second, over all claimers', async (t) => {
  await sql`insert into bot_paces (bot_id) values ('bot-a')`;
  await sql`
    insert into chat_lanes (bot_id, chat_id, is_waiting)
    select 'bot-a', n, true from generate_series(1, ${chats}) n`;
  const claimedMs: number[] = [];
  const lookedMs: number[] = [];
  const startedMs = performance.now();
  async function claim(): Promise<void> {
    while (claimedMs.length < 100 && performance.now() - startedMs < withinMs) {
      const at = await sql.begin(async (tx) => {
        const lanes = await claimLanes(tx, 64);
        const [clock] = await tx<{ ms: number }[]>`select extract(epoch from now()) * 1000 as ms`;
        lookedMs.push(Number(clock?.ms));
        return lanes.map(() => Number(clock?.ms));
      });
      claimedMs.push(...at);
    }
  }
  await Promise.all([claim(), claim()]);
  t.ok(claimedMs.length >= 100, `${claimedMs.length} calls`);
  const sorted = claimedMs.toSorted((a, b) => a - b);
  const most = sorted.map((from) => sorted.filter((ms) => ms >= from && ms < from + 1_000).length);
  t.ok(Math.max(...most) <= 30, `${Math.max(...most)} in one second`);
  // A machine that stands still spends no calls, and says nothing about their pace.
  const looks = lookedMs.toSorted((a, b) => a - b);
  const gaps = looks.slice(1).map((ms, index) => Math.min(ms - (looks[index] ?? ms), savedUpMs));
  const seconds = gaps.reduce((sum, ms) => sum + ms, 0) / 1_000;
  t.ok(claimedMs.length / seconds > 20, `${(claimedMs.length / seconds).toFixed(1)} a second`);
});

await t.test('claiming costs the same with 100,000 messages waiting', async (t) => {
  await sql`delete from chat_lanes`;
  await sql`delete from bot_paces`;
  await sql`
    insert into leads (lead_id, workspace_id, bot_id, telegram_user_id)
    select gen_random_uuid(), 'demo', 'shop_' || n % 20 || '_bot', n
    from generate_series(1, 20000) n`;
  await sql`
    insert into messages (message_id, lead_id, workspace_id, bot_id, chat_id, kind, content)
    select gen_random_uuid(), lead_id, workspace_id, bot_id, telegram_user_id, 'paid', '{}'
    from leads, generate_series(1, 5)`;
  await sql`
    insert into chat_lanes (bot_id, chat_id, is_waiting)
    select bot_id, telegram_user_id, true from leads`;
  await sql`insert into bot_paces (bot_id) select distinct bot_id from leads`;
  const tookMs: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    await sql`update bot_paces set paced_until = now()`;
    const startedMs = performance.now();
    const lanes = await claimLanes(sql, 64);
    tookMs.push(performance.now() - startedMs);
    t.equal(lanes.length, 64);
  }
  const sorted = tookMs.toSorted((a, b) => a - b);
  const [quick, median, worst] = [15, 30, 59].map((place) => sorted[place] ?? Number.NaN);
  t.comment(`claimed in ${median?.toFixed(1)} ms, at worst ${worst?.toFixed(0)} ms`);
  // What the slower ones waited for was the machine.
  t.ok(Number(quick) < 40, `a quarter took less than ${quick} ms`);
});
