/**
 * Goal: a Graph that quotes what it was sent leaves nothing of it in the ledger, in events or in the
 * log; and whatever it answers, the outcome can be written down.
 * Method: real NATS and Postgres; a dispatcher in a process of its own, whose Graph is a server that
 * quotes the whole request in several writings; arbitrary answers settled in the real Postgres.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { newId } from '@rastro/runtime';
import { eventually, sampleEvent, testLog } from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import { keptAnswer } from '../src/adapters/attempts.ts';
import type { Claimed, Lane } from '../src/adapters/lane.ts';
import { settle } from '../src/adapters/settlements.ts';
import { classify, type OutcomeKind } from '../src/core/outcome.ts';
import { redactedReply } from '../src/core/redaction.ts';
import { journeyOf, startWorld } from './world.ts';

await using world = await startWorld();
const { pools, publish, sql, untilState } = world;

/** As PHP writes JSON. */
const php = (value: unknown): string =>
  JSON.stringify(value)
    .replaceAll('/', '\\/')
    .replaceAll(/[^\0-\x7F]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** What a call is answered with, made of what it was sent. */
type Answer = (sent: string) => { readonly status: number; readonly body: string };

const answers: readonly Answer[] = [
  (sent) => ({ status: 500, body: `<html>${sent}</html>` }),
  (sent) => ({ status: 500, body: php({ error: { code: 2, message: encodeURIComponent(sent) } }) }),
  (sent) => ({ status: 400, body: php({ error: { code: 190, error_user_msg: sent } }) }),
  (sent) => {
    const messages = [sent, { [sent]: encodeURIComponent(sent) }];
    return { status: 200, body: php({ events_received: 1, messages, fbtrace_id: 'Atrace' }) };
  },
  (sent) => ({ status: 400, body: php({ error: { code: 100, message: sent.repeat(2) } }) }),
];

async function startQuotingGraph() {
  let calls = 0;
  const server = createServer((request, response) => {
    let sent = `${request.headers.authorization ?? ''} `;
    request.setEncoding('utf8').on('data', (chunk: string) => (sent += chunk));
    request.on('end', () => {
      // Questions about quality are no calls.
      const answer = request.method === 'POST' ? answers[calls++ % answers.length] : undefined;
      const { status, body } = answer?.(sent) ?? { status: 400, body: '{}' };
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function startDispatcher(graphUrl: string) {
  const main = join(import.meta.dirname, '../src/main.ts');
  const variables = { ...world.environment, LOG_LEVEL: 'info', META_GRAPH_URL: graphUrl };
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'], ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  return { output: () => output, kill: () => child.kill('SIGKILL') };
}

/** Of somebody who would be known by every part of it. */
function clickOf({ click }: ReturnType<typeof journeyOf>) {
  const fbclid = 'IwARSecretClickIdOfOnePerson';
  return sampleEvent('ClickTracked', {
    ...click.data,
    userAgent: 'Moto/é "G84" (XT2347) Secret/9.8.7.6',
    fbclid,
    landingUrl: `https://go.example.com/go/x?utm_campaign=ana%40mail.example&fbclid=${fbclid}`,
    fbc: `fb.1.${Date.now()}.${fbclid}`,
  });
}

await t.test('a Graph that quotes all that it was sent', async (t) => {
  await using quoting = await startQuotingGraph();
  const child = startDispatcher(quoting.url);
  t.teardown(child.kill);
  const pool = await pools.add({ purchaseTrigger: 'paid', pageViewHoldMs: 0 });
  const [first, second] = [journeyOf(pool), journeyOf(pool)];
  await publish(clickOf(first), first.signals, first.started);
  // Unknown, an outage, a refused token, and then it is taken.
  await untilState(first.pageViewId, 'parked');
  await sql`update pixels set probe_at = now() where pixel_id = ${pool.pixelId}`;
  await untilState(first.pageViewId, 'accepted');
  await publish(clickOf(second), second.signals, second.started);
  await untilState(second.pageViewId, 'rejected');

  const [kept] = await sql<{ text: string; calls: number }[]>`
    select string_agg(row_to_json(a)::text, ' ') as text, count(*)::int as calls from attempts a`;
  const [ledger] = await sql<{ text: string }[]>`
    select string_agg(concat_ws(' ', reason, fbtrace_id), ' ') as text from conversions`;
  const [said] = await sql<{ text: string }[]>`
    select string_agg(event::text, ' ') as text from events where stream_id not like 'click%'`;
  const lines = await eventually(() => {
    const found = child
      .output()
      .split('\n')
      .filter((line) => line.includes('[META RAW RESPONSE]'));
    if (found.length < 5) throw new Error(`${found.length} lines of calls`);
    return found.map((line) => JSON.parse(line) as Record<string, unknown>);
  });
  t.equal(kept?.calls, 5);
  const places = {
    attempts: kept?.text,
    ledger: ledger?.text,
    said: said?.text,
    log: child.output(),
  };
  const secret = /EAA|2804:|5b80|XT2347|9\.8\.7\.6|Secret|IwAR|fb\.1\.|ana@|ana%40|[\da-f]{64}/i;
  for (const [place, text = ''] of Object.entries(places)) {
    t.match(text, '[redacted]', `${place}: Meta's words are there`);
    t.notMatch(text.match(secret)?.[0] ?? '', secret, `${place} names nobody`);
  }

  const call = lines.find(({ outcome }) => outcome === 'accepted') ?? {};
  t.match(call, {
    workspaceId: 'demo',
    pixelId: pool.pixelId,
    events: 1,
    eventIds: [first.pageViewId],
    httpStatus: 200,
    code: null,
    subcode: null,
    fbtraceId: 'Atrace',
    messages: [/^Bearer \[redacted\]/, {}],
    durationMs: Number,
    answer: /^\{"events_received":1,"messages":\["Bearer \[redacted\]/,
  });
  const refused = lines.find(({ outcome }) => outcome === 'rejected') ?? {};
  t.match(refused, {
    eventName: 'PageView',
    httpStatus: 400,
    code: 100,
    subcode: null,
    reason: /^code 100.*to mend/,
  });
});

const pair = '\u{1F4A9}';

await t.test('property: whatever Meta answers can be written down', async (t) => {
  const lane: Lane = { workspaceId: 'demo', pixelId: '123', eventName: 'PageView' };
  await sql`insert into pixels (workspace_id, pixel_id) values ('demo', '123')`;
  const pace = { leaseMs: 1_000, retryBaseMs: 1, throttleBaseMs: 1, probeEveryMs: 1 };
  const kinds = new Set<OutcomeKind>();
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(`\0`, '\uD83D', `${'x'.repeat(1_023)}${pair}`, pair.repeat(2_500)),
    // Wherever it is cut, some pair stands there.
    fc.nat(3).map((n) => `${'y'.repeat(n)}${pair.repeat(700)}`),
  );
  // Those that decide more often: of 120 answers each kind has to be there.
  const code = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(4, 100, 190) },
    { weight: 1, arbitrary: fc.constantFrom(1, 2 ** 31, -(2 ** 31) - 1, 1e300, '100', null) },
  );
  const error = fc.record({ code, error_subcode: code, message: text, fbtrace_id: text });
  const json = fc.record(
    {
      error,
      events_received: fc.anything(),
      messages: fc.array(fc.oneof(text, fc.jsonValue())),
      fbtrace_id: text,
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    json.map((value) => JSON.stringify(value)),
    text,
  );
  const status = fc.constantFrom(200, 400, 500);
  await fc.assert(
    fc.asyncProperty(body, status, async (body, status) => {
      const row = await claimedRow(lane);
      const reply = { kind: 'answered', status, body, waitMs: null } as const;
      const redacted = redactedReply(reply, { bodies: [row.body], token: 'EAAtoken' });
      const outcome = classify(redacted, 1);
      kinds.add(outcome.kind);
      const attempt = {
        id: newId(),
        lane,
        conversionIds: [row.id],
        startedAt: new Date(),
        durationMs: 1,
        outcome,
        request: {},
        answer: keptAnswer(redacted),
      };
      await sql`update pixels set state = 'open' where pixel_id = '123'`;
      const call = { lane, outcome, attempt, fingerprint: 'f', isProbe: false };
      const options = { sql, log: testLog(), pace };
      await settle(options, [row], { ...call, hasOtherToken: false });
    }),
    { numRuns: 120 },
  );
  for (const kind of ['transient', 'throttled', 'parked', 'rejected', 'unknown'] as const) {
    t.ok(kinds.has(kind), kind);
  }
});

/** One event under way. */
async function claimedRow({ workspaceId, pixelId, eventName }: Lane): Promise<Claimed> {
  const id = newId();
  await sql`
    insert into conversions (id, workspace_id, pixel_id, pool_id, event_name, event_id, state,
      due_at, event_time, locked_by, attempts, first_attempt_at)
    values (${id}, ${workspaceId}, ${pixelId}, 'promo', ${eventName}, ${`evt_${id}`}, 'sending',
      now(), 1800000000, 'test', 1, now())`;
  return {
    id,
    workspaceId,
    pixelId,
    eventName,
    poolId: 'promo',
    eventId: `evt_${id}`,
    trackingToken: null,
    paymentId: null,
    attempts: 1,
    eventTimeSeconds: 1_800_000_000,
    unknownSinceMs: null,
    body: JSON.stringify({ user_data: { client_user_agent: pair.repeat(4) } }),
    testEventCode: null,
    matchKeys: [],
    complaints: [],
    isForced: false,
    lease: 'test',
  };
}
