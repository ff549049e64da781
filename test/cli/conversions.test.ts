/**
 * Goal: `rastro conversions` finds events by what an operator knows of them, explains each, says
 * before it sends anything again what Meta would make of it, and changes nothing unless told to.
 * Method: the real command on a real Postgres with a ledger written by hand, NATS for the catalog,
 * and no dispatcher at all.
 */
import { join } from 'node:path';
import { services } from '@rastro/infra/services';
import { connectNats } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import {
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  startTestServers,
  testLog,
} from '@rastro/testing';
import t from 'tap';
import { runRastro } from '../support/rastro-process.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
const folders = services.find(({ name }) => name === 'capi-dispatcher')?.database?.folders ?? [];
const database = stack.use(await migratedDatabase(servers, { schema: 'capi', folders }));
const { sql } = database;
const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log: testLog() }));
await putCatalog(nats, 'demo', sampleCatalog());

async function conversions(...args: string[]) {
  const environment = {
    POSTGRES_URL: database.url,
    NATS_URL: servers.nats.url,
    RASTRO_DATA_DIR: join(servers.folder, 'data'),
    META_GRAPH_URL: 'http://graph.test',
  };
  const rastro = runRastro(['infra/cli/main.ts', 'conversions', ...args], environment);
  const code = await rastro.exit();
  return { code, output: rastro.output(), result: rastro.result() };
}

const pixel = '1234567890';
const tokenOf = (n: number): string => String(n).padStart(32, '0');
const bodyOf = (n: number): string =>
  JSON.stringify({
    event_name: 'PageView',
    event_time: Math.floor(Date.now() / 1_000),
    event_id: `evt_${tokenOf(n)}`,
    event_source_url: 'https://go.example.com/go/promo?fbclid=IwAR123',
    user_data: { client_ip_address: '177.10.20.30', fbp: 'fb.1.1763640000999.555' },
  });

interface Row {
  readonly state: string;
  readonly reason?: string;
  readonly attemptedHoursAgo?: number;
  readonly answer?: { readonly code: number; readonly subcode: number };
}

/** By its number: id, click and event. */
async function addRow(n: number, { state, reason, attemptedHoursAgo, answer }: Row) {
  const id = newId();
  const hours = attemptedHoursAgo ?? null;
  const body = hours === null ? null : bodyOf(n);
  await sql`
    insert into conversions (id, workspace_id, pixel_id, pool_id, event_name, event_id,
      tracking_token, state, reason, due_at, event_time, attempts, first_attempt_at, accepted_at,
      body, match_keys, complaints, code, subcode, http_status)
    values (${id}, 'demo', ${pixel}, 'promo', 'PageView', ${`evt_${tokenOf(n)}`}, ${tokenOf(n)},
      ${state}, ${reason ?? null}, now(), extract(epoch from now())::bigint, ${hours === null ? 0 : 1},
      now() - ${hours}::int * interval '1 hour',
      now() - ${state === 'accepted' ? hours : null}::int * interval '1 hour', ${body},
      ${hours === null ? null : ['client_ip_address', 'fbp']},
      ${hours === null ? null : sql.json([{ code: 'missing_user_agent', detail: 'No browser.' }])},
      ${answer?.code ?? null}, ${answer?.subcode ?? null}, ${answer ? 400 : null})`;
  return id;
}

const refusal = 'code 100/2804019: Invalid parameter';
const accepted = await addRow(1, { state: 'accepted', attemptedHoursAgo: 1 });
await addRow(2, { state: 'accepted', attemptedHoursAgo: 49 });
const answer = { code: 100, subcode: 2_804_019 };
await addRow(3, { state: 'rejected', reason: refusal, attemptedHoursAgo: 1, answer });
await addRow(4, { state: 'skipped', reason: 'event_off' });
await addRow(5, { state: 'skipped', reason: 'no_consent' });
await sql`insert into pixels (workspace_id, pixel_id) values ('demo', ${pixel})`;
await sql`
  insert into attempts (id, workspace_id, pixel_id, event_name, conversion_ids, started_at,
    duration_ms, outcome, http_status, fbtrace_id, messages, request, answer)
  values (${newId()}, 'demo', ${pixel}, 'PageView', ${[accepted]}::uuid[], now(), 73, 'accepted',
    200, 'Atrace', '["a message"]', ${sql.json({ data: [{ event_id: `evt_${tokenOf(1)}` }] })},
    '{"events_received":1}')`;

await t.test('list, show and export', async (t) => {
  const [all, some, summary, shown, csv, lines] = await Promise.all([
    conversions('list'),
    conversions('list', '--code', '100', '--subcode', '2804019', '--json'),
    conversions('list', '--summary', '--state', 'accepted', 'skipped'),
    conversions('show', tokenOf(1)),
    conversions('export', '--csv', '--reason', 'INVALID'),
    conversions('export', '--complaint', 'missing_user_agent', '--with-bodies', '--limit', '2'),
  ]);
  t.equal(all.code, 1, 'one is rejected');
  const ids = [...all.output.matchAll(/evt_0+(\d)/g)].map(([, n]) => n);
  t.same(ids, ['5', '4', '3', '2', '1'], 'newest first');
  t.match(all.output, /rejected +1 +100\/2804019 +Invalid parameter/);
  t.equal(some.code, 1);
  t.match(JSON.parse(some.output), [{ eventId: `evt_${tokenOf(3)}`, reason: refusal }]);
  t.notMatch(some.output, '"body"');
  t.equal(summary.code, 0, summary.output);
  t.match(summary.output, /PageView +accepted +2 /);
  t.equal(shown.code, 0, shown.output);
  t.match(shown.output, /match keys +client_ip_address, fbp/);
  t.match(shown.output, 'missing_user_agent: No browser.');
  t.match(shown.output, /accepted, 73 ms, HTTP 200, 1 in the request fbtrace_id Atrace/);
  t.notMatch(shown.output, /177\.10|IwAR123/, 'nobody is named');
  const [header = '', row = '', ...rest] = csv.output.trimEnd().split('\r\n');
  t.match(header, /^conversion_id,workspace,pixel,/);
  t.match(row, 'code 100/2804019: Invalid parameter');
  t.match(row, '"[{""code"":""missing_user_agent"",""detail"":""No browser.""}]"');
  t.same(rest, []);
  const records = lines.output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  t.match(records, [{ event_id: `evt_${tokenOf(1)}`, body: /177/ }, { state: 'accepted' }]);
});

await t.test("others' words are no commands to a terminal or a spreadsheet", async (t) => {
  const reason = '=HYPERLINK("x")\u001b[2J\u009b1m\r\n  state           accepted\u202e';
  const id = await addRow(6, { state: 'expired', reason, attemptedHoursAgo: 1 });
  await sql`
    insert into attempts (id, workspace_id, pixel_id, event_name, conversion_ids, started_at,
      duration_ms, outcome, request, reason)
    values (${newId()}, 'demo', ${pixel}, 'PageView', ${[newId(), newId(), id]}::uuid[], now(), 5,
      'rejected', '{"data":[]}', ${reason})`;
  const filter = ['--reason', 'HYPERLINK'];
  const [listed, shown, json, csv, none] = await Promise.all([
    conversions('list', ...filter),
    conversions('show', tokenOf(6)),
    conversions('list', ...filter, '--json'),
    conversions('export', '--csv', ...filter),
    conversions('export', '--csv', '--state', 'dead'),
  ]);
  for (const { output } of [listed, shown, json]) {
    t.match(output, 'HYPERLINK');
    t.notMatch(output, /(?!\n)[\p{Cc}\p{Bidi_Control}]|^ +state +accepted/mu);
  }
  t.equal(listed.output.trimEnd().split('\n').length, 2, 'a row is a line');
  t.match(JSON.parse(json.output), [{ reason }], 'for programs nothing is lost');
  t.match(csv.output, /,"'=HYPERLINK\(""x""\)/);
  t.match(none.output, /^conversion_id,.*,is_forced\r\n$/, 'a header without rows');
  t.match(shown.output, /sent +one of 3 events in this call: its frozen body, under "sent"/);
  await sql`delete from conversions where id = ${id}`;
});

await t.test('before it sends again it says what Meta would make of it', async (t) => {
  const [told, dry, retried] = await Promise.all([
    conversions('replay', '--pixel', pixel),
    conversions('replay', '--state', 'accepted', '--force', '--dry-run'),
    conversions('retry', '--state', 'rejected', '--dry-run'),
  ]);
  t.equal(told.code, 1);
  t.match(told.output, /accepted +1 +goes again\n/);
  t.match(told.output, /accepted +1 +stays without --force \(first sent more than 48 h ago/);
  t.match(told.output, /skipped +1 +is never sent, whoever asks/);
  t.match(told.output, /rejected +1 .*rastro conversions retry/);
  t.match(told.output, '1 first sent more than 48 h ago: Meta would count them twice.');
  t.match(told.output, 'of two copies from a server it says nothing');
  t.match(told.output, 'Nothing was changed; --yes does it.');

  t.equal(dry.code, 0, dry.output);
  const requests = dry.result.split(/(?=^POST )/m).filter((text) => text.startsWith('POST'));
  t.equal(requests.length, 2, 'the forced one goes alone');
  for (const request of requests) {
    t.ok(request.startsWith(`POST http://graph.test/v26.0/${pixel}/events\n`));
    t.match(request, 'authorization: Bearer [redacted]\ncontent-type: application/json\n');
  }
  t.ok(dry.output.includes(`{"data":[${bodyOf(1).slice(0, 20)}`), 'byte for byte');
  // Nothing is known of its click: there is nothing to make it anew of.
  t.match(
    retried.output,
    '1 are skipped: nothing Meta could match, or switched off in the catalog.',
  );
  const states = await sql<{ state: string }[]>`select state from conversions order by id`;
  t.same(
    states.map(({ state }) => state),
    ['accepted', 'accepted', 'rejected', 'skipped', 'skipped'],
    'and changes nothing',
  );
});

await t.test('sent again, and said so', async (t) => {
  const [done, retried] = await Promise.all([
    conversions('replay', '--event-id', `evt_${tokenOf(1)}`, '--yes'),
    conversions('retry', '--token', tokenOf(3), '--json'),
  ]);
  t.equal(done.code, 0, done.output);
  t.match(done.output, '1 go again at once.');
  t.equal(retried.code, 0, retried.output);
  t.match(JSON.parse(retried.output), { changed: { again: 1, missed: 0 } });
  const rows = await sql<{ state: string; body: string | null }[]>`
    select state, body from conversions where version = 1 order by id`;
  t.match(rows, [
    { state: 'unconfirmed', body: /evt_/ },
    { state: 'due', body: null },
  ]);
  const events = await sql<{ type: string }[]>`select type from events`;
  t.same(events, [{ type: 'ConversionScheduled' }, { type: 'ConversionScheduled' }]);
});

await t.test('misuse', async (t) => {
  const wrong: [args: string[], said: RegExp | string][] = [
    [['replay'], 'Say which'],
    [['show', 'evt_1'], 'is no event_id'],
    [['list', '--token', 'x'], '32 hex digits'],
  ];
  const ended = await Promise.all(wrong.map(([args]) => conversions(...args)));
  for (const [index, { code, output }] of ended.entries()) {
    t.equal(code, 2, output);
    t.match(output, wrong[index]?.[1]);
  }
});
