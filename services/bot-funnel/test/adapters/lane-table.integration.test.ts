/**
 * Goal: no second has more than 30 calls of one bot, wherever it begins and however many processes
 * claim. Method: two claimers race for 200 waiting chats of one bot in a real Postgres; each claim
 * is a call that may be made, and the server's own clock says when it was.
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
const withinMs = 6_000;

await t.test('30 a second, over all claimers', async (t) => {
  await sql`insert into bot_paces (bot_id) values ('bot-a')`;
  await sql`
    insert into chat_lanes (bot_id, chat_id, is_waiting)
    select 'bot-a', n, true from generate_series(1, ${chats}) n`;
  const claimedMs: number[] = [];
  const startedMs = performance.now();
  async function claim(): Promise<void> {
    while (claimedMs.length < 100 && performance.now() - startedMs < withinMs) {
      const at = await sql.begin(async (tx) => {
        const lanes = await claimLanes(tx, 64);
        const [clock] = await tx<{ ms: number }[]>`select extract(epoch from now()) * 1000 as ms`;
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
  const seconds = ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)) / 1_000;
  t.ok(claimedMs.length / seconds > 20, `${(claimedMs.length / seconds).toFixed(1)} a second`);
});
