/**
 * Goal: the clicks of each pool and bot are exact, whatever is said twice, late, out of order or
 * by several processes at once, and a rebuild from the log counts the same.
 * Method: two of the service on one NATS and one Postgres, which is killed meanwhile; each event
 * published three times under new message ids, shuffled. Then the update from the first schema.
 */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { eventSubject, type RastroEvent } from '@rastro/events';
import { connectNats, ensureStreams } from '@rastro/messaging';
import {
  eventually,
  migratedDatabase,
  sampleEvent,
  startTestServers,
  testLog,
} from '@rastro/testing';
import t from 'tap';
import { readConfig } from '../src/config.ts';
import { type ClickCount, clickCountsOf } from '../src/core/click-counts.ts';
import { startService } from '../src/service.ts';

const migrations = join(import.meta.dirname, '../migrations');
const folders = [{ name: 'tracking_store', path: migrations }];

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true, postgres: true, redis: true }));
const database = stack.use(await migratedDatabase(servers, { schema: 'tracking', folders }));
const { sql } = database;
const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log: testLog() }));
await ensureStreams(nats);

const config = readConfig({
  PORT: '0',
  NATS_URL: servers.nats.url,
  POSTGRES_URL: database.url,
  REDIS_URL: servers.redis.url,
  RASTRO_API_KEY: 'a-test-key-of-the-rest-api',
});

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => [Math.random(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);
}

const traits = {
  method: 'GET',
  purpose: null,
  accept: 'text/html',
  hasLanguage: true,
  fetchSite: null,
  fetchMode: null,
  fetchDest: null,
  hasClientHints: false,
  requestedWith: null,
  recentFromAddress: 1,
};

/** Of two pools, two bots, two days and all classes; some say what their class was drawn from. */
function someClick(at: number): RastroEvent<'ClickTracked'> {
  const own = crypto.randomUUID().replaceAll('-', '');
  const classes = ['human', 'bot', 'preview', 'prefetch', 'unknown'] as const;
  const said = { trafficClass: classes[at % 5] ?? 'human', classReasons: [] };
  const clickedAt = `2026-11-2${at % 2}T12:00:00.000Z`;
  return sampleEvent('ClickTracked', {
    ...said,
    trackingToken: own,
    rootEventId: `evt_${own}`,
    poolId: at % 3 === 0 ? 'promo' : 'promo-2',
    botId: at % 7 === 0 ? 'bot-a' : 'bot-b',
    clickedAt,
    ...(at % 4 === 0 ? { traits } : {}),
  });
}

async function storedCounts(): Promise<ClickCount[]> {
  const rows = await sql<{ row: ClickCount }[]>`
    select to_json(click_counts) as row from click_counts
    order by workspace_id collate "C", day, pool_id collate "C", bot_id collate "C",
      traffic_class collate "C"`;
  return rows.map(({ row }) => row);
}

await t.test('said three times, in any order, to two processes: counted once', async (t) => {
  await using _first = await startService(config, testLog());
  await using _second = await startService(config, testLog());
  const clicks = Array.from({ length: 600 }, (_, at) => someClick(at));
  const others = Array.from({ length: 50 }, () => sampleEvent('ClickRefused'));
  const said = shuffled([...clicks, ...clicks, ...clicks, ...others]);
  const publish = (event: RastroEvent) =>
    nats.js.publish(eventSubject(event), JSON.stringify(event), {
      msgID: crypto.randomUUID(),
      timeout: 30_000,
    });
  const middle = said.length >> 1;
  await Promise.all(said.slice(0, middle).map(publish));
  await servers.postgres.kill();
  await Promise.all(said.slice(middle).map(publish));
  await servers.postgres.start();
  await eventually(
    async () => {
      const info = await nats.jsm.consumers.info('TRAFFIC', 'tracking-store__log-traffic');
      const waiting = info.num_pending + info.num_ack_pending;
      if (waiting > 0) throw new Error(`${waiting} events wait`);
    },
    { timeoutMs: 60_000 },
  );
  const expected = clickCountsOf(clicks);
  t.ok(expected.length > 20, `${expected.length} rows`);
  t.same(await storedCounts(), expected);
  const counted = expected.reduce((sum, count) => sum + count.clicks, 0);
  t.equal(counted, clicks.length);

  const log = await sql<{ event: RastroEvent }[]>`select event from event_log`;
  t.same(clickCountsOf(shuffled(log.map(({ event }) => event))), expected, 'from the log alone');
  const drifted = await sql`
    select 1 from click_counts full join (
      select workspace_id, (clicked_at at time zone 'UTC')::date as day, pool_id, bot_id,
        traffic_class, count(*) as sessions
      from sessions where clicked_at is not null group by 1, 2, 3, 4, 5
    ) as by_session using (workspace_id, day, pool_id, bot_id, traffic_class)
    where clicks is distinct from sessions`;
  t.same(drifted, [], 'and what the sessions say');
});

await t.test('clicks of before the table are counted when it is made', async (t) => {
  const path = join(servers.folder, 'first');
  await mkdir(path);
  const [first, second] = ['001.do.tracking-store.sql', '002.do.ads-and-counts.sql'];
  const at = { schema: 'older', folders: [{ name: 'tracking_store', path }] };
  await copyFile(join(migrations, first), join(path, first));
  {
    await using older = await migratedDatabase(servers, at);
    await older.sql`
      insert into sessions (tracking_token, workspace_id, version, first_event_at, last_event_at,
        clicked_at, pool_id, bot_id, traffic_class, state)
      select 'token-' || n, 'demo', 1, now(), now(),
        case when n < 4 then timestamptz '2026-11-20 23:59:59Z' end, 'promo', 'bot-a', 'human', '{}'
      from generate_series(1, 5) as n`;
  }
  await copyFile(join(migrations, second), join(path, second));
  await using newer = await migratedDatabase(servers, at);
  const rows = await newer.sql`select *, day::text from click_counts`;
  const place = { workspaceId: 'demo', day: '2026-11-20', poolId: 'promo', botId: 'bot-a' };
  t.match(rows, [{ ...place, trafficClass: 'human', clicks: 3 }]);
});
