/**
 * Goal: the Graph stand-in refuses what Meta's documentation refuses, accepts what it accepts, and
 * judges copies as documented. Method: the pure validator and verdict on tables of cases and on
 * generated ones, then the same over real HTTP with Meta's error shapes.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { dedupeWindowMs, judgeCopies } from '../src/graph/dedupe.ts';
import { validateEvent } from '../src/graph/event-validation.ts';
import type { EventGroup, GraphRequest } from '../src/index.ts';
import { call, start } from './start.ts';

const nowMs = Date.UTC(2026, 10, 20, 12);
const hash = (text: string) => createHash('sha256').update(text).digest('hex');

function purchase(change: object = {}, atMs = nowMs): Record<string, unknown> {
  return {
    event_name: 'Purchase',
    event_time: Math.floor(atMs / 1000) - 5,
    event_id: 'purchase_1',
    action_source: 'website',
    event_source_url: 'https://shop.example.com/delivery',
    user_data: {
      client_ip_address: '2804:14c::1',
      client_user_agent: 'Mozilla/5.0',
      fbc: `fb.1.${atMs - 60_000}.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk`,
      fbp: `fb.1.${atMs - 60_000}.1073741823`,
      external_id: [hash('a'), hash('b')],
      em: hash('john_smith@gmail.com'),
    },
    custom_data: { value: 19.9, currency: 'BRL', contents: [{ id: 'ebook', quantity: 1 }] },
    ...change,
  };
}

function withUserData(change: object): Record<string, unknown> {
  const event = purchase();
  return { ...event, user_data: { ...(event['user_data'] as object), ...change } };
}

await t.test('a complete Purchase has neither faults nor warnings', async (t) => {
  const found = validateEvent(purchase(), 0, nowMs);
  t.same(found.faults, []);
  t.same(found.warnings, []);
});

await t.test('each documented mistake is refused with its subcode', async (t) => {
  const seconds = Math.floor(nowMs / 1000);
  const cases: [string, unknown, number][] = [
    ['no object', 'x', 2_804_019],
    ['no event_name', purchase({ event_name: '' }), 2_804_019],
    ['no event_time', purchase({ event_time: undefined }), 2_804_019],
    ['event_time as text', purchase({ event_time: String(seconds) }), 2_804_019],
    ['event_time in ms', purchase({ event_time: nowMs }), 2_804_019],
    ['in the future', purchase({ event_time: seconds + 120 }), 2_804_019],
    ['8 days old', purchase({ event_time: seconds - 8 * 86_400 }), 2_804_003],
    ['no action_source', purchase({ action_source: undefined }), 2_804_019],
    ['unknown action_source', purchase({ action_source: 'telegram' }), 2_804_019],
    ['event_id a number', purchase({ event_id: 12 }), 2_804_019],
    ['URL without scheme', purchase({ event_source_url: 'shop.example.com' }), 2_804_019],
    ['no user_data', purchase({ user_data: undefined }), 2_804_019],
    ['unknown key', withUserData({ click_id: 'x' }), 2_804_019],
    ['plain e-mail', withUserData({ em: 'john_smith@gmail.com' }), 2_804_016],
    ['plain phone in a list', withUserData({ ph: [hash('1'), '16505551212'] }), 2_804_016],
    ['hash in capitals', withUserData({ em: hash('a').toUpperCase() }), 2_804_016],
    ['external_id a number', withUserData({ external_id: 12 }), 2_804_019],
    ['fbc with seconds', withUserData({ fbc: 'fb.1.1700000000.abc' }), 2_804_001],
    ['fbc of three parts', withUserData({ fbc: 'fb.1.1700000000000' }), 2_804_001],
    ['fbc hashed', withUserData({ fbc: hash('fb') }), 2_804_001],
    ['fbp malformed', withUserData({ fbp: 'fb.1.abc.1' }), 2_804_019],
    ['IP hashed', withUserData({ client_ip_address: hash('1.2.3.4') }), 2_804_019],
    ['IP with a blank', withUserData({ client_ip_address: ' 1.2.3.4' }), 2_804_019],
    ['empty user agent', withUserData({ client_user_agent: '' }), 2_804_019],
    ['short lead_id', withUserData({ lead_id: 12 }), 2_804_036],
    ['only a user agent', purchase({ user_data: { client_user_agent: 'x' } }), 2_804_050],
    ['no customer at all', purchase({ user_data: {} }), 2_804_050],
    ['name and gender', purchase({ user_data: { fn: hash('a'), ge: hash('m') } }), 2_804_050],
    ['no value', purchase({ custom_data: { currency: 'BRL' } }), 2_804_009],
    ['no currency', purchase({ custom_data: { value: 1 } }), 2_804_010],
    ['value not a number', purchase({ custom_data: { value: 'x', currency: 'BRL' } }), 2_804_019],
    ['unknown currency', purchase({ custom_data: { value: 1, currency: 'REAL' } }), 2_804_019],
    [
      'contents without id',
      purchase({ custom_data: { value: 1, currency: 'BRL', contents: [{ quantity: 1 }] } }),
      2_804_019,
    ],
    ['LDU misspelt', purchase({ data_processing_options: ['ldu'] }), 2_804_019],
  ];
  for (const [name, event, subcode] of cases) {
    const { faults } = validateEvent(event, 3, nowMs);
    t.equal(faults[0]?.subcode, subcode, name);
    t.match(faults[0]?.path, /^\$\['data'\]\[3\]/, `${name}: its place is named`);
  }
});

await t.test('what the live API was seen to accept is only a warning', async (t) => {
  const cases: [string, unknown, RegExp][] = [
    ['no user agent', withUserData({ client_user_agent: undefined }), /client_user_agent/],
    ['no URL', purchase({ event_source_url: undefined }), /event_source_url/],
    ['no event_id', purchase({ event_id: undefined }), /event_id/],
    ['t.me link', purchase({ event_source_url: 'https://t.me/bot' }), /t\.me/],
    ['local IP', withUserData({ client_ip_address: '127.0.0.1' }), /public/],
    ['plain external_id', withUserData({ external_id: 'abc' }), /external_id/],
    ['3 h late', purchase({ event_time: nowMs / 1000 - 3 * 3600 }), /2 h/],
    [
      'fbclid changed on the way',
      purchase({ event_source_url: 'https://shop.example.com/?fbclid=IwARother' }),
      /fbclid/,
    ],
  ];
  for (const [name, event, warning] of cases) {
    const found = validateEvent(event, 0, nowMs);
    t.same(found.faults, [], name);
    t.match(found.warnings.join(' '), warning, name);
  }
  const marked = withUserData({
    em: `${hash('a')}.AQQCAQMC`,
    fbp: 'fb.1.1762902353123.1.AQQCAQMC',
  });
  t.same(validateEvent(marked, 0, nowMs).faults, [], "the parameter builder's marks pass");
});

await t.test('no unhashed value ever passes, and no value makes the validator throw', async () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('em', 'ph', 'fn', 'zp'), (text, key) => {
      const { faults } = validateEvent(withUserData({ [key]: text }), 0, nowMs);
      return /^[0-9a-f]{64}/.test(text) || faults.some((fault) => fault.subcode === 2_804_016);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (a, b, c) => {
      validateEvent(a, 0, nowMs);
      validateEvent(purchase({ user_data: a, custom_data: b, event_time: c }), 0, nowMs);
      return true;
    }),
  );
});

await t.test('copies are judged as documented', async (t) => {
  const copy = (id: string, source: 'browser' | 'server', receivedAtMs: number) => ({
    id,
    source,
    receivedAtMs,
  });
  const minute = 60_000;
  const judge = (...copies: ReturnType<typeof copy>[]) => judgeCopies(copies, true);
  t.match(judge(copy('s', 'server', 0), copy('b', 'browser', 4 * minute)), {
    verdict: 'paired',
    countedEvents: 1,
    keptIds: ['b'],
  });
  t.match(judge(copy('s', 'server', 0), copy('b', 'browser', 6 * minute)), { keptIds: ['s'] });
  t.match(judge(copy('b', 'browser', 0)), { verdict: 'browser_only', countedEvents: 1 });
  t.match(judge(copy('s', 'server', 0), copy('t', 'server', 1)), {
    verdict: 'server_duplicate',
    serverDuplicates: 1,
    countedEvents: 1,
  });
  t.match(judge(copy('s', 'server', 0), copy('b', 'browser', dedupeWindowMs + 1)), {
    verdict: 'counted_twice',
    countedEvents: 2,
  });
  t.match(judge(copy('s', 'server', 0), copy('b', 'browser', dedupeWindowMs)), {
    verdict: 'paired',
  });
  t.match(judgeCopies([copy('s', 'server', 0)], false), { verdict: 'no_event_id' });
});

await t.test('over HTTP: tokens, shapes, batches, the log', async (t) => {
  await using sandbox = await start();
  const events = `${sandbox.url}/graph/v26.0/1234567890/events`;
  const bearer = { headers: { authorization: 'Bearer EAA-one' } };
  const fresh = (change: object = {}) => purchase(change, Date.now());

  const good = await call(events, { data: [fresh()] }, bearer);
  t.equal(good.status, 200);
  t.match(good.body, { events_received: 1, messages: [], fbtrace_id: /^A/ });

  const errorOf = async (url: string, body: unknown, init: RequestInit = bearer) => {
    const { status, body: answer } = await call<{ error: Record<string, unknown> }>(
      url,
      body,
      init,
    );
    const { code, error_subcode: subcode } = answer.error;
    t.match(answer.error, { message: String, type: String, fbtrace_id: /^A/ });
    return [status, code, subcode];
  };
  const data = [fresh()];
  t.same(await errorOf(events, { data }, {}), [400, 190, undefined], 'no token');
  const wrong = { headers: { authorization: 'Bearer nope' } };
  t.same(await errorOf(events, { data }, wrong), [401, 190, undefined], 'wrong token');
  const other = `${sandbox.url}/graph/v26.0/9876543210/events`;
  t.same(await errorOf(other, { data }), [400, 100, 33], "another pixel's token");
  t.same(await errorOf(events, { data: [] }), [400, 100, undefined], 'empty data');
  t.same(await errorOf(events, {}), [400, 100, undefined], 'no data');
  const many = Array.from({ length: 1001 }, () => fresh());
  t.same(await errorOf(events, { data: many }), [400, 100, undefined], '1001 events');
  const old = fresh({ event_time: Math.floor(Date.now() / 1000) - 8 * 86_400 });
  t.same(await errorOf(events, { data: [...data, old] }), [400, 100, 2_804_003], 'one bad of two');
  const versionless = `${sandbox.url}/graph/1234567890/events`;
  t.same(await errorOf(versionless, { data }), [400, 2500, undefined], 'no version');
  const unborn = events.replace('v26', 'v99');
  t.same(await errorOf(unborn, { data }), [400, 2500, undefined], 'a version that is not there');
  const dead = events.replace('v26', 'v3');
  t.same(await errorOf(dead, { data }), [400, 2635, undefined], 'a version that is gone');

  const form = new URLSearchParams({
    data: JSON.stringify([fresh({ event_id: 'purchase_2' })]),
    access_token: 'EAA-one',
  });
  const viaForm = await fetch(events, { method: 'POST', body: form });
  t.match(await viaForm.json(), { events_received: 1 }, 'a form with data=');

  const groups = await call<EventGroup[]>(`${sandbox.url}/control/graph/events`);
  t.same(
    groups.body.map((group) => [group.eventId, group.verdict]),
    [
      ['purchase_2', 'server_only'],
      ['purchase_1', 'server_only'],
    ],
    'nothing of a refused batch was taken in',
  );
  const { body: log } = await call<GraphRequest[]>(`${sandbox.url}/control/graph/requests`);
  t.equal(log.length, 12, 'every request is logged');
  t.equal(log.filter((entry) => entry.accepted).length, 2);
  t.match(
    log.find((entry) => entry.subcode === 2_804_003),
    { eventCount: 2, tokenOk: true },
  );
  t.notMatch(JSON.stringify(log), /EAA-one/, 'no token in the log');
});

await t.test('over HTTP: a torn body has an answer of the same shape', async (t) => {
  await using sandbox = await start();
  const events = `${sandbox.url}/graph/v26.0/1234567890/events`;
  const bearer = { headers: { authorization: 'Bearer EAA-one' } };
  const torn = await fetch(events, {
    method: 'POST',
    headers: { ...bearer.headers, 'content-type': 'application/json' },
    body: '{"data":[',
  });
  t.equal(torn.status, 400);
  t.match(await torn.json(), { error: { code: 100, fbtrace_id: /^A/ } });
});

await t.test('over HTTP: the browser and the server make a pair', async (t) => {
  await using sandbox = await start();
  const events = `${sandbox.url}/graph/v26.0/1234567890/events`;
  const report = new URLSearchParams([
    ['id', '1234567890'],
    ['ev', 'Purchase'],
    ['eid', 'purchase_1'],
    ['cd[value]', '19.9'],
    ['cd[currency]', 'BRL'],
    ['ud[external_id]', 'a'],
    ['ud[external_id]', 'b'],
    ['fbp', 'fb.0.1762902353123.1'],
    ['dl', 'http://localhost/delivery'],
  ]);
  const image = await fetch(`${sandbox.url}/pixel/tr?${report.toString()}`, {
    headers: { 'user-agent': 'Tester/1' },
  });
  t.equal(image.status, 200);
  t.equal(image.headers.get('access-control-allow-origin'), '*');
  const send = () => call(events, { data: [purchase({}, Date.now())], access_token: 'EAA-one' });
  await send();
  const read = async () => {
    const url = `${sandbox.url}/control/graph/events?eventId=purchase_1`;
    return (await call<EventGroup[]>(url)).body[0];
  };
  const pair = await read();
  t.match(pair, { verdict: 'paired', countedEvents: 1, serverDuplicates: 0 });
  t.match(pair?.browser[0], {
    value: 19.9,
    currency: 'BRL',
    userData: { external_id: ['a', 'b'], client_user_agent: 'Tester/1', fbp: /^fb/ },
  });
  t.same(pair?.keptIds, [pair?.browser[0]?.id], 'the browser is favoured');
  t.match(pair?.warnings, [/fbp differs/]);
  await send();
  t.match(await read(), { verdict: 'server_duplicate', serverDuplicates: 1, countedEvents: 1 });
});
