/**
 * Goal: faults strike as the rules say and can be repeated, memory survives a restart and a torn
 * line, the world can be replaced, and a wrong environment is told at once.
 * Method: real servers and sockets, a real journal file, and the process itself.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { createFaults } from '../src/faults/rules.ts';
import type { EventGroup, GraphRequest } from '../src/index.ts';
import { openJournal } from '../src/journal.ts';
import type { Message } from '../src/telegram/types.ts';
import { call, eventually, start, world } from './start.ts';

await t.test('rules: order, match, times, a probability that a seed repeats', async (t) => {
  const faults = createFaults(7);
  const rules = [
    { api: 'graph' as const, match: { pixelId: '1' }, times: 2, action: { code: 2 } },
    { api: 'graph' as const, probability: 0.5, action: { code: 4 } },
  ];
  const run = () => {
    faults.replace({ seed: 7, rules });
    return Array.from({ length: 40 }, () => faults.strike('graph', { pixelId: '1' })?.code ?? 0);
  };
  const first = run();
  t.same(first.slice(0, 2), [2, 2]);
  t.ok(first.slice(2).includes(4) && first.slice(2).includes(0));
  t.same(run(), first, 'the same seed, the same faults');
  t.equal(faults.strike('pix', { pixelId: '1' }), null, 'another API is spared');
});

function event(eventId: string) {
  return {
    event_name: 'PageView',
    event_time: Math.floor(Date.now() / 1000),
    event_id: eventId,
    action_source: 'website',
    event_source_url: 'http://localhost/go/promo',
    user_data: { client_ip_address: '8.8.8.8', client_user_agent: 'x' },
  };
}

await t.test('Graph: status and code, HTML, delay, reset, accept-then-drop', async (t) => {
  await using sandbox = await start();
  const events = `${sandbox.url}/graph/v26.0/1234567890/events`;
  const send = (eventId: string) =>
    call(events, { data: [event(eventId)], access_token: 'EAA-one' }).catch(() => 'cut' as const);
  const put = (action: object) =>
    call(
      `${sandbox.url}/control/faults`,
      { rules: [{ api: 'graph', times: 1, action }] },
      { method: 'PUT' },
    );
  await put({ status: 400, code: 80_004 });
  t.match(await send('a'), { status: 400, body: { error: { code: 80_004, is_transient: true } } });
  await put({ status: 401, code: 190, subcode: 460 });
  t.match(await send('b'), { status: 401, body: { error: { code: 190, error_subcode: 460 } } });
  await put({ html: true });
  t.match(await send('c'), { status: 502, body: /<html>/ });
  await put({ reset: true });
  t.equal(await send('d'), 'cut');
  await put({ acceptThenDrop: true });
  t.equal(await send('e'), 'cut');
  await put({ delayMs: 200 });
  const startedMs = Date.now();
  t.match(await send('f'), { status: 200 });
  t.ok(Date.now() - startedMs >= 195, 'late');
  t.match(await send('g'), { status: 200 }, 'used up');

  const { body: groups } = await call<EventGroup[]>(`${sandbox.url}/control/graph/events`);
  t.same(new Set(groups.map((group) => group.eventId)), new Set(['e', 'f', 'g']));
  const { body: log } = await call<GraphRequest[]>(`${sandbox.url}/control/graph/requests`);
  const of = (eventId: string) => log.find((one) => one.events[0]?.eventId === eventId);
  t.match(of('a'), { faulted: true, accepted: false, status: 400, code: 80_004 });
  t.match(of('d'), { faulted: true, accepted: false, status: null });
  t.match(of('e'), { faulted: false, accepted: true, dropped: true, status: 200 });

  const wrong = { rules: [{ api: 'graph', action: { statsu: 500 } }] };
  const refused = await call(`${sandbox.url}/control/faults`, wrong, { method: 'PUT' });
  t.match(refused, { status: 400, body: { error: /statsu/ } }, 'a misspelt rule is refused');
});

await t.test('Graph: an event found fault with spoils every batch, and no other', async (t) => {
  await using sandbox = await start({ graphLog: 'full' });
  const send = (...eventIds: string[]) =>
    call(`${sandbox.url}/graph/v26.0/1234567890/events`, {
      data: eventIds.map(event),
      access_token: 'EAA-one',
    }).catch(() => 'cut' as const);
  const faults = `${sandbox.url}/control/faults`;
  const poison = { api: 'graph', match: { eventIdSuffix: '_bad' } };
  const action = { code: 100, subcode: 2_804_001 };
  const rules = [
    { api: 'graph', times: 1, action: { acceptThenDrop: true } },
    { ...poison, action },
  ];
  await call(faults, { rules }, { method: 'PUT' });
  t.equal(await send('a', 'b_bad'), 'cut', 'the fault of the call strikes too');
  const refusal = { status: 400, body: { error: { code: 100, error_subcode: 2_804_001 } } };
  t.match(await send('c', 'b_bad'), refusal);
  t.match(await send('b_bad'), refusal, 'alone too');
  t.match(await send('a', 'c', 'bad_d'), { status: 200, body: { events_received: 3 } });
  const { body: log } = await call<GraphRequest[]>(`${sandbox.url}/control/graph/requests`);
  const [taken, alone, second, first] = log;
  t.same(
    log.map(({ accepted, dropped }) => [accepted, dropped]),
    [
      [true, false],
      [false, false],
      [false, false],
      [false, true],
    ],
    'nothing of a spoilt batch was taken in, whether its answer arrived or not',
  );
  t.match(second, { faulted: false, eventCount: 2, subcode: 2_804_001 });
  const digestOf = (request: GraphRequest | undefined, eventId: string) =>
    request?.events.find((one) => one.eventId === eventId)?.digest ?? eventId;
  t.match(digestOf(first, 'a'), /^[0-9a-f]{64}$/);
  t.equal(digestOf(first, 'b_bad'), digestOf(alone, 'b_bad'), 'the same event, the same digest');
  t.not(digestOf(taken, 'a'), digestOf(taken, 'c'));

  for (const wrong of [
    { ...poison, action: { reset: true } },
    { ...poison, action: { ...action, delayMs: 1 } },
    { ...poison, api: 'pix', action },
  ]) {
    t.match(await call(faults, wrong), { status: 400, body: { error: /eventIdSuffix needs/ } });
  }
});

await t.test('Graph: a full log names every event, a short one fifty', async (t) => {
  for (const [graphLog, named] of [
    ['short', 50],
    ['full', 60],
  ] as const) {
    await using sandbox = await start({ graphLog });
    const data = Array.from({ length: 60 }, (_, index) => event(`e${index}`));
    await call(`${sandbox.url}/graph/v26.0/1234567890/events`, { data, access_token: 'EAA-one' });
    const { body: log } = await call<GraphRequest[]>(`${sandbox.url}/control/graph/requests`);
    t.equal(log[0]?.events.length, named);
    t.match(log[0], { eventCount: 60, accepted: true });
  }
});

await t.test('the world can be replaced while running', async (t) => {
  await using sandbox = await start();
  const getMe = () => call(`${sandbox.url}/telegram/bot333:new/getMe`);
  t.equal((await getMe()).status, 401);
  const next = { ...world, bots: [{ token: '333:new', username: 'novo_bot' }] };
  t.equal((await call(`${sandbox.url}/control/world`, next, { method: 'PUT' })).status, 200);
  t.match((await getMe()).body, { result: { username: 'novo_bot', id: 333 } });
  t.throws(() => sandbox.setWorld({ ...next, pixels: [{ id: 'x', accessToken: '' }] }), {
    message: /pixels\/0\/id/,
  });
  t.equal((await getMe()).status, 200, 'a wrong world changes nothing');
});

await t.test('memory: a restart after a torn write goes on where it stopped', async (t) => {
  const journalFile = join(t.testdir(), 'sandbox.ndjson');
  const chat = '/control/telegram/chats/demo_a_bot/9';
  const order = {
    external_reference: 'r',
    amount_cents: 100,
    currency: 'BRL',
    expires_in_seconds: 600,
    callback_url: 'http://127.0.0.1:1/nobody',
  };
  const init = { headers: { authorization: 'Bearer key-one', 'idempotency-key': 'k' } };
  let chargeId: unknown;
  {
    await using sandbox = await start({ journalFile });
    await call(`${sandbox.url}${chat}/start`, { payload: 'x' });
    chargeId = (await call(`${sandbox.url}/charges`, order, init)).body['charge_id'];
    const events = `${sandbox.url}/graph/v26.0/1234567890/events`;
    await call(events, { data: [event('kept')], access_token: 'EAA-one' });
  }
  appendFileSync(journalFile, '{"t":"telegram.messages","k":"demo_a_b');
  {
    await using sandbox = await start({ journalFile });
    const messages = await call<Message[]>(`${sandbox.url}${chat}/messages`);
    t.match(messages.body, [{ message_id: 1, text: '/start x' }]);
    t.equal((await call(`${sandbox.url}/charges`, order, init)).body['charge_id'], chargeId);
    const groups = await call<EventGroup[]>(`${sandbox.url}/control/graph/events`);
    t.match(groups.body, [{ eventId: 'kept' }]);
    const updates = await call(`${sandbox.url}/telegram/bot111:alpha/getUpdates`);
    t.match(
      updates.body,
      { result: [{ message: { text: '/start x' } }] },
      'the update still waits',
    );
    await call(`${sandbox.url}${chat}/send`, { text: 'next' });
    const grown = await call<Message[]>(`${sandbox.url}${chat}/messages`);
    t.equal(grown.body[1]?.message_id, 2, 'the numbering goes on');
    await call(`${sandbox.url}/control/reset`, {});
    t.same((await call(`${sandbox.url}/control/pix/charges`)).body, []);
  }
  writeFileSync(journalFile, 'not json\n{"t":"x","k":"y","v":1}\n');
  t.throws(() => openJournal(journalFile), { message: /damaged at line 1/ });
});

await t.test('a table keeps its bound, and a replay equals what was there', async (t) => {
  const file = join(t.testdir(), 'table.ndjson');
  const change = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    row: fc.option(fc.nat()),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      writeFileSync(file, '');
      const journal = openJournal(file);
      const table = journal.table<number>('numbers', 3);
      for (const { key, row } of changes) {
        if (row === null) table.delete(key);
        else table.put(key, row);
      }
      const before = table.entries();
      journal.close();
      const again = openJournal(file);
      const after = again.table<number>('numbers', 3).entries();
      again.close();
      const sorted = (rows: [string, number][]) =>
        new Map(rows.toSorted(([a], [b]) => a.localeCompare(b)));
      const isEqual = JSON.stringify([...sorted(before)]) === JSON.stringify([...sorted(after)]);
      return before.length <= 3 && isEqual;
    }),
    { numRuns: 50 },
  );
  t.notMatch(readFileSync(file, 'utf8'), /undefined/);
});

await t.test(
  'as a process: it tells its address, ends on SIGTERM, refuses a bad setting',
  async (t) => {
    const main = new URL('../src/main.ts', import.meta.url).pathname;
    const run = (env: Record<string, string>) => {
      const child = spawn(process.execPath, [main], { env: { PATH: '', ...env } });
      t.teardown(() => child.kill('SIGKILL'));
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      return { child, ended, output: () => output };
    };
    const bad = run({ PORT: 'abc', PUBLIC_ORIGIN: 'nope' });
    t.equal(await bad.ended, 2);
    t.match(bad.output(), /PORT/);
    t.match(bad.output(), /PUBLIC_ORIGIN/, 'all problems at once');

    const folder = t.testdir({ 'world.json': JSON.stringify(world), 'wrong.json': '{"bots": 1}' });
    const wrong = run({ PORT: '0', SANDBOX_WORLD_FILE: join(folder, 'wrong.json') });
    t.equal(await wrong.ended, 2);
    t.notMatch(wrong.output(), /at .*\.ts:/, 'in words');

    const worldFile = join(folder, 'world.json');
    const good = run({ PORT: '0', SANDBOX_WORLD_FILE: worldFile });
    const said = await eventually(good.output, (text) => /http:\S+\s/.test(text), 60_000);
    const url = /http:\S+/.exec(said)?.[0] ?? '';
    t.equal((await call(`${url}/telegram/bot111:alpha/getMe`)).status, 200);
    const second = run({ PORT: new URL(url).port, SANDBOX_WORLD_FILE: worldFile });
    t.equal(await second.ended, 2);
    t.match(second.output(), /cannot start.*Set PORT to a free one/);
    good.child.kill('SIGTERM');
    t.equal(await good.ended, 0);
  },
);
