/**
 * Goal: how Meta judges each pixel's events is known without asking too often, by two, or where the
 * token may not; and a question that goes wrong never disturbs what is sent.
 * Method: real NATS and Postgres, dispatchers that look every 50 ms, the sandbox's Graph with faults
 * for questions alone; how often a rule struck says how often was asked.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningService } from '@rastro/runtime';
import type { FaultAction } from '@rastro/sandbox';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { defaultQualityPace, type QualityPace } from '../src/core/dataset-quality.ts';
import { defaultPace } from '../src/core/pace.ts';
import { journeyOf, startWorld, type TestPool } from './world.ts';

await using world = await startWorld();
const { environment, pools, publish, sql, untilState } = world;
const control = `${environment.META_GRAPH_URL.replace(/\/graph$/, '')}/control/faults`;

function start(quality: Partial<QualityPace> = {}): Promise<RunningService> {
  const pace = { ...defaultQualityPace, lookEveryMs: 50, ...quality };
  return world.start({ pace: { ...defaultPace, callTimeoutMs: 3_000, quality: pace } });
}

/** What becomes of questions about a pixel, and how many there were. */
async function onQuestions(pixelId: string, action: FaultAction, times?: number) {
  const id = `questions-${pixelId}-${JSON.stringify(action)}`;
  const match = { method: 'GET', path: '/dataset_quality', pixelId };
  const rule = { id, api: 'graph', match, action, ...(times === undefined ? {} : { times }) };
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(control, { method: 'POST', body: JSON.stringify(rule), headers });
  if (!response.ok) throw new Error(await response.text());
  return async (): Promise<number> => {
    const { rules } = (await (await fetch(control)).json()) as {
      rules: { id: string; used: number }[];
    };
    return rules.find((other) => other.id === id)?.used ?? 0;
  };
}

interface ReadRow {
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly code: number | null;
  readonly nextInMs: number;
}

const untilAsked = ({ pixelId }: TestPool, outcome: string): Promise<ReadRow> =>
  eventually(
    async () => {
      const [row] = await sql<ReadRow[]>`
        select outcome, reason, code,
          (extract(epoch from next_at - now()) * 1000)::float8 as next_in_ms
        from quality_reads where pixel_id = ${pixelId}`;
      if (row?.outcome !== outcome) throw new Error(`${pixelId}: ${row?.outcome} (${row?.reason})`);
      return row;
    },
    { timeoutMs: 30_000 },
  );

await t.test('what Meta says is kept, and asked again only when it is old', async (t) => {
  const pool = await pools.add();
  const asked = await onQuestions(pool.pixelId, { delayMs: 1 });
  const { click, signals, pageViewId } = journeyOf(pool);
  {
    await using service = await start({ lookEveryMs: 200 });
    await publish(click, signals);
    await untilState(pageViewId, 'accepted');
    const rows = await eventually(async () => {
      const found = await sql`select * from dataset_quality where pixel_id = ${pool.pixelId}`;
      if (found.length > 0) return found;
      // A question that was under way before there was anything to tell puts it off for hours.
      await sql`update quality_reads set next_at = now() where pixel_id = ${pool.pixelId}`;
      throw new Error('nothing was read');
    });
    t.match(rows, [
      {
        workspaceId: 'demo',
        eventName: 'PageView',
        compositeScore: Number,
        coverage: null,
        dedupeKeys: [{ key: 'event_id', server: 100, browser: null }],
        uploadFrequency: 'real_time',
      },
    ]);
    t.ok(rows[0]?.['compositeScore'] > 5, `score: ${rows[0]?.['compositeScore']}`);
    const { nextInMs } = await eventually(async () => {
      const read = await untilAsked(pool, 'read');
      if (read.nextInMs < 200_000) throw new Error('another question is under way');
      return read;
    });
    t.ok(nextInMs > 5 * 3_600_000);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    const labels = `pixel="${pool.pixelId}",event="PageView"`;
    t.match(metrics, `rastro_meta_event_match_quality{${labels},service="capi-dispatcher"} 6.2`);
  }
  const before = await asked();
  await using _again = await start();
  await delay(300);
  t.equal(await asked(), before, 'a start asks nothing that is known');
});

await t.test('a token that may only send is asked with once, until it changes', async (t) => {
  const pool = await pools.add();
  const asked = await onQuestions(pool.pixelId, { status: 403, code: 200 }, 1);
  await using _one = await start();
  const refused = await untilAsked(pool, 'refused');
  t.match(refused, { code: 200, reason: /\(#200\) Permissions error/ });
  t.ok(refused.nextInMs > 23 * 3_600_000);
  await delay(200);
  t.equal(await asked(), 1);
  const { click, signals, pageViewId } = journeyOf(pool);
  await publish(click, signals);
  await untilState(pageViewId, 'accepted');
  t.equal((await untilAsked(pool, 'refused')).code, 200, 'sending goes on, and lifts no refusal');
  await pools.changeToken(pool, 'EAAmayRead');
  t.match(await untilAsked(pool, 'read'), { reason: null, code: null });
});

await t.test(
  'throttled or answered with rubbish: later again, and the pixel still sends',
  async (t) => {
    const rubbish: FaultAction[] = [
      { status: 400, code: 80_004, retryAfterSeconds: 7_200 },
      { html: true, status: 200 },
      { status: 200, body: { web: 'soon' } },
      { reset: true },
      { delayMs: 3_500 },
    ];
    const cases = await Promise.all(
      rubbish.map(async (action) => {
        const pool = await pools.add();
        return { action, pool, asked: await onQuestions(pool.pixelId, action, 1) };
      }),
    );
    await using _one = await start();
    for (const { action, pool, asked } of cases) {
      const name = JSON.stringify(action);
      const isThrottled = action.code !== undefined;
      const { nextInMs, reason } = await untilAsked(pool, isThrottled ? 'throttled' : 'failed');
      const waitMs = isThrottled ? 7_200_000 : 1_800_000;
      t.ok(nextInMs <= waitMs && nextInMs > waitMs - 60_000, `${name}: ${nextInMs} ms, ${reason}`);
      t.equal(await asked(), 1, name);
      const [pixel] = await sql`select 1 from pixels where pixel_id = ${pool.pixelId}
      and (state = 'parked' or paused_until > now())`;
      t.notOk(pixel, `${name}: not the pixel's fault`);
    }
    for (const { pool } of cases.slice(0, 1)) {
      await sql`update quality_reads set next_at = now() where pixel_id = ${pool.pixelId}`;
      await untilAsked(pool, 'read');
    }
  },
);

await t.test('two dispatchers ask once', async (t) => {
  const many = await Promise.all(Array.from({ length: 8 }, () => pools.add()));
  const counts = await Promise.all(
    many.map(({ pixelId }) => onQuestions(pixelId, { delayMs: 60 })),
  );
  await using _one = await start();
  await using _other = await start();
  for (const pool of many) await untilAsked(pool, 'read');
  await delay(150);
  for (const asked of counts) t.equal(await asked(), 1);
});

await t.test('a paused pixel is left alone, and nothing that was kept opens a door', async (t) => {
  const pool = await pools.add();
  await sql`insert into pixels (workspace_id, pixel_id, paused_until)
    values ('demo', ${pool.pixelId}, now() + interval '1 hour')`;
  const asked = await onQuestions(pool.pixelId, { delayMs: 1 });
  await using _one = await start();
  await delay(250);
  t.equal(await asked(), 0);
  await sql`update pixels set paused_until = null where pixel_id = ${pool.pixelId}`;
  await untilAsked(pool, 'read');
  const [kept] = await sql<{ text: string }[]>`
    select coalesce((select string_agg(row_to_json(q)::text, ' ') from dataset_quality q), '')
      || (select string_agg(row_to_json(r)::text, ' ') from quality_reads r) as text`;
  t.match(kept?.text, pool.pixelId);
  t.notMatch(kept?.text, /EAA/);
});
