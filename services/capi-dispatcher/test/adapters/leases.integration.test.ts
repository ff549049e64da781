/**
 * Goal: a lease is of one claim, so that an answer which comes late touches nobody else's; and money
 * comes before clicks wherever rows are taken up.
 * Method: the claims and settlements themselves, in a real Postgres; what takes time is set back.
 */
import { join } from 'node:path';
import { eventStoreMigrations } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import { migratedDatabase, sampleCatalog, startTestServers, testLog } from '@rastro/testing';
import t from 'tap';
import { createClaims } from '../../src/adapters/claims.ts';
import type { Claimed, Lane } from '../../src/adapters/lane.ts';
import { moveParkedRows } from '../../src/adapters/pixels.ts';
import { settle, settleLostLeases } from '../../src/adapters/settlements.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { defaultPace } from '../../src/core/pace.ts';
import type { Pool } from '../../src/core/plan.ts';

await using servers = await startTestServers({ postgres: true });
const migrations = { name: 'capi', path: join(import.meta.dirname, '../../migrations') };
await using database = await migratedDatabase(servers, {
  schema: 'capi',
  folders: [eventStoreMigrations, migrations],
});
const { sql } = database;
const options = { sql, log: testLog(), pace: defaultPace };
const pool = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as Pool;
const claims = createClaims({
  ...options,
  dispatcherId: newId(),
  pools: () => [pool],
  deliveryUrl: '',
});

const laneOf = (pixelId: string, eventName: Lane['eventName'] = 'Purchase'): Lane => ({
  workspaceId: 'demo',
  pixelId,
  eventName,
});

interface Rows extends Lane {
  readonly count: number;
  readonly state?: string;
  readonly isForced?: boolean;
  readonly dueSecondsAgo?: number;
}

async function insertRows(rows: Rows): Promise<void> {
  const { pixelId, eventName, count, state = 'due', isForced = false, dueSecondsAgo = 1 } = rows;
  await sql`insert into pixels (workspace_id, pixel_id) values ('demo', ${pixelId})
    on conflict do nothing`;
  await sql`
    insert into conversions (id, workspace_id, pool_id, pixel_id, event_name, event_id, state,
      due_at, event_time, body, is_forced)
    select gen_random_uuid(), 'demo', 'promo', ${pixelId}, ${eventName}, gen_random_uuid()::text,
      ${state}, now() - ${dueSecondsAgo} * interval '1 second', extract(epoch from now())::bigint,
      '{"user_data":{}}', ${isForced}
    from generate_series(1, ${count})`;
}

const ended = (kind: Outcome['kind']): Outcome => ({
  kind,
  httpStatus: kind === 'accepted' ? 200 : 500,
  code: null,
  subcode: null,
  fbtraceId: null,
  messages: [],
  waitMs: null,
  reason: '',
});

function end(rows: readonly Claimed[], lane: Lane, kind: Outcome['kind']): Promise<void> {
  const outcome = ended(kind);
  const attempt = {
    id: newId(),
    lane,
    conversionIds: rows.map(({ id }) => id),
    startedAt: new Date(),
    durationMs: 1,
    outcome,
    request: {},
    answer: null,
  };
  const call = { lane, outcome, attempt, fingerprint: 'f', isProbe: false, hasOtherToken: false };
  return settle(options, rows, call);
}

async function statesOf({ pixelId }: Lane): Promise<string[]> {
  const rows = await sql<{ state: string }[]>`
    select state from conversions where pixel_id = ${pixelId} order by id`;
  return rows.map(({ state }) => state);
}

const runOut = ({ pixelId }: Lane) => sql`
  update conversions set locked_until = now() - interval '1 second', due_at = now()
  where pixel_id = ${pixelId}`;
const makeDue = ({ pixelId }: Lane) =>
  sql`update conversions set due_at = now() where pixel_id = ${pixelId}`;

await t.test('an answer that comes after its lease is of nobody else', async (t) => {
  const lane = laneOf('9001');
  await insertRows({ ...lane, count: 1 });
  const first = await claims.claim(lane, 20);
  await runOut(lane);
  t.equal(await settleLostLeases(options, new Set()), 1);
  t.same(await statesOf(lane), ['unconfirmed']);
  await makeDue(lane);
  const second = await claims.claim(lane, 20);
  t.not(first[0]?.lease, second[0]?.lease, 'the same dispatcher, another lease');
  await end(first, lane, 'transient');
  t.same(await claims.renew(first, []), [], 'what was held before is not held any more');
  await claims.release(first);
  t.same(await statesOf(lane), ['sending'], "the second call's lease stands");
  await end(second, lane, 'accepted');
  t.same(await statesOf(lane), ['accepted']);
});

await t.test('who has the answer and cannot write it down yet is not taken for dead', async (t) => {
  const lane = laneOf('9002');
  await insertRows({ ...lane, count: 1 });
  const rows = await claims.claim(lane, 20);
  await runOut(lane);
  t.equal(await settleLostLeases(options, new Set([rows[0]?.lease ?? ''])), 0);
  await end(rows, lane, 'accepted');
  t.same(await statesOf(lane), ['accepted']);
});

await t.test('a yes counts, also where the pixel was parked meanwhile', async (t) => {
  const lane = laneOf('9003');
  await insertRows({ ...lane, count: 1 });
  const rows = await claims.claim(lane, 20);
  await runOut(lane);
  await settleLostLeases(options, new Set());
  await sql`update conversions set state = 'parked' where pixel_id = '9003'`;
  await end(rows, lane, 'accepted');
  t.same(await statesOf(lane), ['accepted']);
});

await t.test('the 48 hours begin with the call that Meta may have taken', async (t) => {
  const lane = laneOf('9004');
  await insertRows({ ...lane, count: 1 });
  await sql`
    update conversions set first_attempt_at = now() - interval '3 days' where pixel_id = '9004'`;
  const rows = await claims.claim(lane, 20);
  await end(rows, lane, 'unknown');
  await makeDue(lane);
  const again = await claims.claim(lane, 20);
  t.equal(again.length, 1, 'three days of which Meta surely had nothing do not count');
  const [known] = await sql<{ seconds: number }[]>`
    select extract(epoch from now() - unknown_since)::float8 as seconds
    from conversions where pixel_id = '9004'`;
  t.ok((known?.seconds ?? 99) < 10, `unknown for ${known?.seconds} s`);
});

await t.test('what somebody insists on waits for what is usual, and takes turns', async (t) => {
  const lane = laneOf('9005');
  await insertRows({ ...lane, count: 30, isForced: true, dueSecondsAgo: 60 });
  await insertRows({ ...lane, count: 1 });
  const isForced = (rows: readonly Claimed[]) => rows.map((row) => row.isForced);
  t.same(isForced(await claims.claim(lane, 20)), [false]);
  t.same(
    isForced(await claims.claim(lane, 20)),
    Array.from({ length: 5 }, () => true),
  );
});

await t.test('out of the park money comes first', async (t) => {
  const [clicks, money] = [laneOf('9006', 'PageView'), laneOf('9006')];
  await insertRows({ ...clicks, count: 6_000, state: 'parked' });
  await insertRows({ ...money, count: 3, state: 'parked' });
  await moveParkedRows(sql);
  const [freed] = await sql<{ money: number; clicks: number }[]>`
    select count(*) filter (where event_name = 'Purchase')::int as money,
      count(*) filter (where event_name = 'PageView')::int as clicks
    from conversions where pixel_id = '9006' and state = 'due'`;
  t.same(freed, { money: 3, clicks: 4_997 });
});
