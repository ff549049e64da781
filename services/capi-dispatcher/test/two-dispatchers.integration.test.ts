/**
 * Goal: two dispatchers that work off the same backlog at the same time send no event twice.
 * Method: two processes on real NATS and Postgres; 2,000 PageViews and 200 Purchases that are all
 * due when the pixel's pause ends for both; the Graph's log, which names every event of every call.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { RastroEvent } from '@rastro/events';
import { publishEvents } from '@rastro/messaging';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { journeyOf, startWorld } from './world.ts';

const pageViews = 2_000;
const purchases = 200;

t.setTimeout(240_000);
await using world = await startWorld();
const { environment, graph, nats, pools, sql } = world;

function startProcess(): AsyncDisposable {
  const main = join(import.meta.dirname, '../src/main.ts');
  const env = { PATH: process.env['PATH'], ...environment, LOG_LEVEL: 'error' };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return {
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
    },
  };
}

async function countIn(...states: string[]): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from conversions where state = any(${states}) and due_at <= now()`;
  return row?.count ?? 0;
}

const untilAll = (...states: string[]): Promise<void> =>
  eventually(
    async () => {
      const count = await countIn(...states);
      if (count !== pageViews + purchases) throw new Error(`${count} are ${states.join(' or ')}`);
    },
    { timeoutMs: 60_000, intervalMs: 50 },
  );

await t.test('each event is sent by one of them', async (t) => {
  const pool = await pools.add({ purchaseTrigger: 'paid' });
  const { pixelId, token } = pool;
  await sql`
    insert into pixels (workspace_id, pixel_id, paused_until)
    values ('demo', ${pixelId}, now() + interval '1 hour')`;
  await using _one = startProcess();
  await using _other = startProcess();
  const journeys = Array.from({ length: pageViews }, () => journeyOf(pool));
  const buyers = journeys.slice(0, purchases);
  const events: RastroEvent[] = journeys.map(({ click }) => click);
  await publishEvents(nats, [...events, ...buyers.map(({ paid }) => paid)]);
  await untilAll('waiting', 'due');
  await graph.fault(pixelId, { times: 1_000, action: { delayMs: 600 } });
  await sql`update pixels set paused_until = null`;
  // News from the catalog wakes both in the same moment.
  await pools.changeToken(pool, token);
  await untilAll('accepted');

  const requests = await graph.requests(pixelId);
  const sent = requests.flatMap(({ events: named }) => named.map(({ eventId }) => eventId ?? ''));
  const wanted = [
    ...journeys.map(({ pageViewId }) => pageViewId),
    ...buyers.map(({ purchaseId }) => purchaseId),
  ];
  t.same(sent.toSorted(), wanted.toSorted(), 'each once');
  t.ok(
    requests.every(({ accepted }) => accepted),
    'and taken in',
  );
  // One dispatcher's calls of a lane follow each other.
  const concurrent = requests.filter(({ events: [first], atMs }) =>
    requests.some(
      (other) =>
        other.events[0]?.eventName === first?.eventName &&
        other.atMs < atMs &&
        atMs < other.atMs + other.durationMs,
    ),
  );
  t.ok(concurrent.length > 0, 'both were sending at the same time');
  t.comment(`${requests.length} calls, ${concurrent.length} of them while the other was calling`);
});
