/**
 * Goal: a pixel's lane is worked off by one at a time, in large requests over few connections, and
 * goes on when something in it hangs.
 * Method: dispatcher and sender on real Postgres, on rows put straight into the ledger; Meta is a
 * function here that counts, waits and answers as told, and once a bare HTTP server.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventStoreMigrations } from '@rastro/event-store';
import { createMetrics, newId } from '@rastro/runtime';
import {
  eventually,
  migratedDatabase,
  sampleCatalog,
  startTestServers,
  testLog,
} from '@rastro/testing';
import t from 'tap';
import { type Claims, createClaims } from '../src/adapters/claims.ts';
import { createGraph, type Graph } from '../src/adapters/graph.ts';
import { addMetrics } from '../src/adapters/metrics.ts';
import type { EventName } from '../src/core/conversion.ts';
import type { Reply } from '../src/core/outcome.ts';
import { defaultPace, type Pace } from '../src/core/pace.ts';
import type { Pool } from '../src/core/plan.ts';
import { type Dispatcher, startDispatcher } from '../src/dispatcher.ts';
import { createSender } from '../src/sender.ts';

await using servers = await startTestServers({ postgres: true });
const migrations = { name: 'capi', path: join(import.meta.dirname, '../migrations') };
await using database = await migratedDatabase(servers, {
  schema: 'capi',
  folders: [eventStoreMigrations, migrations],
});
const { sql } = database;
const log = testLog();
const metrics = addMetrics(createMetrics('test'), sql);
const token = { value: 'EAAtoken', fingerprint: 'token' };
const pool = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as Pool;
let pixels = 0;

/** A pixel of its own, with that many events that are due. */
async function pixelWith(counts: Partial<Record<EventName, number>>): Promise<string> {
  pixels += 1;
  const pixelId = `600${pixels}`;
  for (const [name, count] of Object.entries(counts)) {
    await sql`
      insert into conversions (id, workspace_id, pool_id, pixel_id, event_name, event_id, state,
        due_at, event_time, body)
      select gen_random_uuid(), 'demo', 'promo', ${pixelId}, ${name}, id, 'due', now(),
        extract(epoch from now())::bigint,
        json_build_object('event_name', ${name}::text, 'event_id', id, 'user_data',
          json_build_object())::text
      from (select ${name} || '_' || n as id from generate_series(1, ${count}) n) numbered`;
  }
  await sql`insert into pixels (workspace_id, pixel_id) values ('demo', ${pixelId})`;
  return pixelId;
}

async function untilAccepted(pixelId: string, count: number): Promise<void> {
  await eventually(
    async () => {
      const rows = await sql`
        select 1 from conversions where pixel_id = ${pixelId} and state = 'accepted'`;
      if (rows.length !== count) throw new Error(`${rows.length} of ${count} are accepted`);
    },
    { timeoutMs: 30_000, intervalMs: 50 },
  );
}

function startLanes(given: {
  readonly graph: Graph;
  readonly pace?: Partial<Pace>;
  readonly around?: (claims: Claims) => Claims;
  /** Told of each drain; what it returns is told of the drain's end. */
  readonly onDrain?: () => (() => void) | void;
}): Dispatcher {
  const pace = { ...defaultPace, ...given.pace };
  const stopping = new AbortController();
  const tokens = { candidates: () => [token], fresh: () => token };
  const shared = { sql, log, pace, tokens, answered: new Set<string>() };
  const claims = createClaims({
    ...shared,
    dispatcherId: newId(),
    pools: () => [pool],
    deliveryUrl: '',
  });
  const around = given.around ?? ((same) => same);
  const { graph } = given;
  const { signal } = stopping;
  const sender = createSender({ ...shared, claims: around(claims), graph, metrics, signal });
  const drain: typeof sender.drain = (errand) => {
    const onEnd = given.onDrain?.() ?? (() => {});
    return sender.drain(errand).finally(onEnd);
  };
  return startDispatcher({ ...shared, sender: { ...sender, drain }, stopping });
}

const answered = (status: number, body: unknown): Reply => {
  return { kind: 'answered', status, body: JSON.stringify(body), waitMs: null };
};
const idsIn = (body: string): string[] =>
  (JSON.parse(body) as { data: { event_id: string }[] }).data.map(({ event_id }) => event_id);

function graphOf(reply: (eventIds: readonly string[]) => Promise<Reply>): Graph {
  return { send: ({ body }) => reply(idsIn(body)), [Symbol.asyncDispose]: async () => {} };
}

const acceptAll = (eventIds: readonly string[]): Reply =>
  answered(200, { events_received: eventIds.length });

await t.test('a lane that is always busy takes turns, and never runs twice at once', async (t) => {
  const pixelId = await pixelWith({ Purchase: 400 });
  const [under, most] = [new Set<symbol>(), { calls: 0 }];
  let turns = 0;
  const graph = graphOf(async (eventIds) => {
    const call = Symbol('call');
    under.add(call);
    most.calls = Math.max(most.calls, under.size);
    await delay(180);
    under.delete(call);
    return acceptAll(eventIds);
  });
  // All of it takes longer than the bound, so only turns keep the lane from being taken for dead.
  const pace = { laneTurnMs: 300, laneBoundMs: 3_000 };
  await using _dispatcher = startLanes({ graph, pace, onDrain: () => void (turns += 1) });
  await untilAccepted(pixelId, 400);
  t.ok(turns > 2, `${turns} turns`);
  t.equal(most.calls, 1, 'one call at a time');
});

for (const where of ['claim', 'send'] as const) {
  await t.test(`a ${where} that hangs is replaced, and does nothing when it wakes`, async (t) => {
    const pixelId = await pixelWith({ Purchase: 60 });
    const gate = Promise.withResolvers<void>();
    let [claimed, draining, hangs] = [0, 0, true];
    const sent: string[] = [];
    const hang = async (place: string): Promise<boolean> => {
      if (place !== where || !hangs) return false;
      hangs = false;
      await gate.promise;
      return true;
    };
    const around = (claims: Claims): Claims => ({
      ...claims,
      claim: async (...lane) => {
        claimed += 1;
        const rows = await claims.claim(...lane);
        await hang('claim');
        return rows;
      },
    });
    const graph = graphOf(async (eventIds) => {
      // What it is told in the end would pause the pixel.
      if (await hang('send')) return answered(400, { error: { code: 80_004 } });
      sent.push(...eventIds);
      return acceptAll(eventIds);
    });
    const onDrain = () => {
      draining += 1;
      return () => void (draining -= 1);
    };
    // Short, but not for lanes that are only slow: those must not be given up too.
    const pace = { laneBoundMs: 2_000, leaseMs: 3_000, callTimeoutMs: 500, retryBaseMs: 20 };
    await using _dispatcher = startLanes({ graph, pace, around, onDrain });
    await untilAccepted(pixelId, 60);
    await eventually(() => {
      if (draining !== 1) throw new Error(`${draining} drain, not only the one that hangs`);
    });
    const before = { claimed, calls: await attemptsOf(pixelId) };
    gate.resolve();
    await delay(150);
    t.same({ claimed, calls: await attemptsOf(pixelId) }, before, 'no claim, nothing written down');
    t.same(sent.toSorted(), [...new Set(sent)].toSorted(), 'nothing sent a second time');
    const paused = await sql`
      select 1 from pixels where pixel_id = ${pixelId} and paused_until is not null`;
    t.equal(paused.length, 0);
  });
}

async function attemptsOf(pixelId: string): Promise<number> {
  return (await sql`select 1 from attempts where pixel_id = ${pixelId}`).length;
}

await t.test('a backlog goes in full requests over connections that are kept', async (t) => {
  const pixelId = await pixelWith({ PageView: 600, Purchase: 105 });
  const sizes: Record<EventName, number[]> = { PageView: [], Purchase: [] };
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const ids = idsIn(Buffer.concat(chunks).toString());
      sizes[ids[0]?.startsWith('PageView') ? 'PageView' : 'Purchase'].push(ids.length);
      response.end(JSON.stringify({ events_received: ids.length }));
    });
  }).on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { callTimeoutMs } = defaultPace;
  await using graph = createGraph({ url, version: 'v26.0', timeoutMs: callTimeoutMs });
  await using _dispatcher = startLanes({ graph });
  await untilAccepted(pixelId, 705);
  t.same(sizes, { PageView: [500, 100], Purchase: [20, 20, 20, 20, 20, 5] });
  t.ok(connections <= 3, `${connections} connections for 8 calls of two lanes`);
});

await t.test("one event that a proxy refuses does not take its neighbours' chance", async (t) => {
  const pixelId = await pixelWith({ Purchase: 13 });
  const culprit = 'Purchase_5';
  const graph = graphOf(async (eventIds) =>
    eventIds.includes(culprit) ? answered(400, 'blocked') : acceptAll(eventIds),
  );
  await using _dispatcher = startLanes({ graph, pace: { retryBaseMs: 50 } });
  await untilAccepted(pixelId, 12);
  const [row] = await sql<{ state: string; reason: string }[]>`
    select state, reason from conversions
    where pixel_id = ${pixelId} and event_id = ${culprit}`;
  t.match(row, { state: /due|sending/, reason: /not an answer of Meta's/ });
});
