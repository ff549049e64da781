/**
 * Goal: a projection is built again from the log while events go on being stored, and comes out the
 * same to the byte, or tells what is different; whatever dies in between, the old one stays in use.
 * Method: a real Postgres, writers that never pause, the command killed with SIGKILL, rows altered
 * behind the store's back.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RastroEvent } from '@rastro/events';
import { connectPostgres, type Sql } from '@rastro/runtime';
import { eventually, migratedDatabase, startTestServers } from '@rastro/testing';
import t from 'tap';
import { createPartitions } from '../src/adapters/partitions.ts';
import { readSessions } from '../src/adapters/session-store.ts';
import { createStoreBatch } from '../src/adapters/tracking-store.ts';
import { projections } from '../src/rebuild/projections.ts';
import { rebuild, type RebuildReport } from '../src/rebuild/rebuild.ts';
import { journey, newToken, tokenOf } from './journeys.ts';

const schema = 'tracking';
const folders = [{ name: 'service', path: join(import.meta.dirname, '../migrations') }];
const commandLine = join(import.meta.dirname, '../../../infra/cli/main.ts');

const servers = await startTestServers({ postgres: true });
t.teardown(() => servers[Symbol.asyncDispose]());
const database = await migratedDatabase(servers, { schema, folders });
t.teardown(() => database[Symbol.asyncDispose]());
const { sql } = database;
const adminUrl = servers.postgres.url;
const admin = connectPostgres({ url: adminUrl, schema, service: 'test' });
t.teardown(() => admin.end({ timeout: 1 }));
const store = createStoreBatch(sql, createPartitions(sql));

const [sessions] = projections;
if (!sessions) throw new Error('no projection');
const rebuildSessions = (onStep?: (step: string) => void): Promise<RebuildReport> =>
  rebuild({ adminUrl, schema, projection: sessions, ...(onStep ? { onStep } : {}) });

const shuffled = <T>(items: readonly T[]): T[] =>
  items
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);

async function storeInPieces(events: readonly RastroEvent[], size = 50): Promise<void> {
  for (let i = 0; i < events.length; i += size) await store(events.slice(i, i + size));
}

/** Stores until stopped: new journeys, and the rest of older ones. */
function startWriting(halves: readonly RastroEvent[][]): { stop: () => Promise<number> } {
  let isStopped = false;
  let stored = 0;
  const left = [...halves];
  const write = async (): Promise<void> => {
    while (!isStopped) {
      const events = [...journey({ hasSale: stored % 3 === 0 }), ...(left.pop() ?? [])];
      await store(shuffled(events));
      stored += events.length;
      await delay(2);
    }
  };
  const writers = [write(), write()];
  return {
    async stop() {
      isStopped = true;
      await Promise.all(writers);
      return stored;
    },
  };
}

/** What people see in the catalog of the schema, names and rights included. */
async function tablesOf(db: Sql): Promise<unknown[]> {
  const rows = await db`
    select relname, relkind, relacl::text, pg_get_userbyid(relowner) as owner,
      (select array_agg(conname || ' ' || pg_get_constraintdef(c.oid) order by conname)
       from pg_constraint c where conrelid = pg_class.oid) as constraints
    from pg_class where relnamespace = ${schema}::regnamespace and relkind in ('r', 'i', 'p')
    order by relname`;
  return [...rows];
}

await t.test('identical while events are stored, reordered, repeated and late', async (t) => {
  const journeys = Array.from({ length: 150 }, (_, i) => journey({ hasSale: i % 10 === 0 }));
  const firstHalves = journeys.flatMap((events) => events.slice(0, 2));
  const foreign = journey({ token: tokenOf(journeys[0] ?? []) }).map((event) => ({
    ...event,
    workspaceid: 'other',
  }));
  await storeInPieces(shuffled([...firstHalves, ...firstHalves, ...foreign]));
  const odd = journey().map((event) =>
    event.type === 'ClickTracked'
      ? {
          ...event,
          data: {
            ...event.data,
            userAgent: '\0 \ud83d \\ \t\n"{}',
            params: { 'a\0': '1', 'a\ufffd': '2' },
          },
        }
      : event,
  );
  await store(odd.slice(0, 1));
  const before = await tablesOf(admin);

  const writing = startWriting(journeys.map((events) => events.slice(2)));
  const report = await rebuildSessions();
  // The same connections, with the statements that they had prepared for the old tables.
  await storeInPieces(odd.slice(1));
  const stored = await writing.stop();
  t.ok(stored > 0, `${stored} events were stored meanwhile`);
  t.match(report, { isIdentical: true, projection: 'sessions' });
  t.strictSame(
    report.tables.map(({ table, differentRows }) => [table, differentRows]),
    [
      ['sessions', 0],
      ['meta_tracking_sessions', 0],
    ],
  );
  t.ok((report.tables[0]?.rows ?? 0) > 150, 'there was something to compare');
  t.strictSame(await tablesOf(admin), before, 'the same names, owners, rights and constraints');
  t.equal((await readSessions(sql, tokenOf(journeys[0] ?? []))).length, 2);

  const again = await rebuildSessions();
  t.equal(again.tables[0]?.rows, (await sql`select 1 from sessions`).length);
});

await t.test('what changed by other rules is told, and is then as the log says', async (t) => {
  const [changed, lost] = [journey(), journey()];
  await store([...changed, ...lost]);
  await sql`update sessions set traffic_class = 'bot' where tracking_token = ${tokenOf(changed)}`;
  await sql`delete from meta_tracking_sessions where tracking_token = ${tokenOf(lost)}`;
  const report = await rebuildSessions();
  t.match(report, { isIdentical: false });
  t.match(report.tables, [
    { differentRows: 1, differentKeys: [`["${tokenOf(changed)}", "demo"]`] },
    { differentRows: 1, differentKeys: [String] },
  ]);
  const [row] = await sql`
    select traffic_class from sessions where tracking_token = ${tokenOf(changed)}`;
  t.equal(row?.['trafficClass'], 'human');
  t.match(await rebuildSessions(), { isIdentical: true });
});

/** The command itself, as a process that can be killed. */
function startCommand(...args: string[]): ChildProcess & { output: () => string } {
  const child = spawn(process.execPath, [commandLine, ...args], {
    env: { PATH: process.env['PATH'], POSTGRES_URL: adminUrl, RASTRO_DATA_DIR: servers.folder },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text) => (output += String(text)));
  return Object.assign(child, { output: () => output });
}

await t.test(
  'killed before the switch: the old version stays, the next run is whole',
  async (t) => {
    const reading = Promise.withResolvers<void>();
    // Whoever reads the table keeps it from being renamed.
    const reader = admin.begin(async (tx) => {
      await tx`select 1 from sessions limit 1`;
      await reading.promise;
    });
    const child = startCommand('rebuild', 'sessions');
    await eventually(
      async () => {
        const [row] = await admin`
          select 1 from pg_locks where locktype = 'relation' and not granted
          and relation = 'tracking.sessions'::regclass`;
        if (!row) throw new Error(`it does not wait for the reader yet: ${child.output()}`);
      },
      { timeoutMs: 60_000 },
    );
    await t.rejects(rebuildSessions(), { code: 'REBUILD_RUNNING' });
    const second = startCommand('rebuild');
    const [code] = (await once(second, 'close')) as [number];
    t.equal(code, 1);
    t.match(second.output(), /Another rebuild is running/);

    child.kill('SIGKILL');
    await once(child, 'exit');
    const events = journey();
    await store(events);
    t.equal((await readSessions(sql, tokenOf(events))).length, 1, 'storing goes on');
    const left = await admin`select 1 from pg_tables where tablename = 'sessions_next'`;
    t.equal(left.length, 1, 'it was killed with work half done');
    reading.resolve();
    await reader;

    const report = await eventually(() => rebuildSessions(), { timeoutMs: 30_000 });
    t.match(report, { isIdentical: true });
    const tables = await admin`
    select tablename from pg_tables where tablename ~ '_(next|old)$'`;
    t.strictSame([...tables], []);
  },
);

await t.test('counts are built again too; days that the log has dropped stay', async (t) => {
  const projection = projections.find(({ name }) => name === 'click_counts');
  if (!projection) throw new Error('click_counts cannot be built again');
  const counted = (): Promise<object[]> =>
    admin`select * from click_counts order by day, pool_id, bot_id, traffic_class, workspace_id`;
  const rebuildCounts = (onStep?: (step: string) => void) =>
    rebuild({ adminUrl, schema, projection, ...(onStep ? { onStep } : {}) });
  const writing = startWriting([]);
  const report = await rebuildCounts((step) => {
    if (step.includes('making indexes')) void writing.stop();
  });
  await writing.stop();
  t.match(report, { isIdentical: true });
  const [sum] = await admin`
    select sum(clicks)::bigint = (select count(*) from event_log where type = 'ClickTracked') as is_all
    from click_counts`;
  t.match(sum, { isAll: true });

  const before = [...(await counted())];
  await admin`update click_counts set clicks = clicks + 1`;
  t.match(await rebuildCounts(), { isIdentical: false });
  t.strictSame([...(await counted())], before, 'what was wrong is right again');

  await admin`
    insert into click_counts values ('demo', '2025-03-31', 'promo', 'bot-a', 'human', 7),
      ('demo', '2025-04-01', 'promo', 'bot-a', 'human', 7)`;
  await admin`insert into retention_progress values ('months', '2025-04-01T00:00:00Z')`;
  t.match(await rebuildCounts(), { isIdentical: false });
  const days = await admin`
    select day::text, clicks from click_counts where day < '2025-05-01' order by day`;
  t.strictSame([...days], [{ day: '2025-03-31', clicks: 7 }], 'only what the log cannot tell of');
  await admin`delete from retention_progress where job = 'months'`;
});

await t.test('what would stay with the old version is told before anything is done', async (t) => {
  const refused: [string, RegExp, string][] = [
    [
      'create view buyers as select tracking_token from sessions',
      /^View buyers belongs to sessions/,
      'drop view buyers',
    ],
    [
      'create trigger told after insert on sessions execute function suppress_redundant_updates_trigger()',
      /^Trigger told belongs to sessions/,
      'drop trigger told on sessions',
    ],
    [
      'create table notes (token text references meta_tracking_sessions (tracking_token))',
      /^Foreign key notes_token_fkey belongs to meta_tracking_sessions/,
      'drop table notes',
    ],
  ];
  for (const [create, message, drop] of refused) {
    await admin.unsafe(create);
    await t.rejects(rebuildSessions(), { code: 'REBUILD_BLOCKED', message });
    await admin.unsafe(drop);
  }
});

await t.test('the command says what was done, and which projections there are', async (t) => {
  const [unknown, json] = [startCommand('rebuild', 'nonsense'), startCommand('rebuild', '--json')];
  t.strictSame(await Promise.all([once(unknown, 'close'), once(json, 'close')]), [
    [2, null],
    [0, null],
  ]);
  t.match(unknown.output(), /no projection nonsense; there are: sessions/);
  t.match(json.output(), /"isIdentical": true/);
  t.notOk((await readSessions(sql, newToken())).length, 'a token that nobody knows');
});
