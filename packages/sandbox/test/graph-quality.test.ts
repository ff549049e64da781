/**
 * Goal: Events Manager and the Dataset Quality API judge what was really received, and the API is as
 * strict about its fields and tokens as Meta's.
 * Method: events sent over real HTTP by the browser's and the server's way, then asked about; the
 * field expansion on a table of good and bad texts.
 */
import { createHash } from 'node:crypto';
import t from 'tap';
import { readFields } from '../src/graph/field-expansion.ts';
import type { EventGroup } from '../src/index.ts';
import { call, start } from './start.ts';

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const pixelId = '1234567890';
const fbclid = 'IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk';
const clickedAtMs = Date.now() - 60_000;
const fbc = `fb.1.${clickedAtMs}.${fbclid}`;
const fbp = `fb.1.${clickedAtMs}.1073741823`;

/** What an ad click has by itself. */
const userData = {
  client_ip_address: '2804:14c::1',
  client_user_agent: 'Mozilla/5.0',
  fbc,
  fbp,
  external_id: [hash('a')],
};

function eventOf(eventId: string, change: object = {}): Record<string, unknown> {
  return {
    event_name: 'Purchase',
    event_time: Math.floor(Date.now() / 1_000) - 5,
    event_id: eventId,
    action_source: 'website',
    event_source_url: 'https://shop.example.com/delivery',
    user_data: userData,
    custom_data: { value: 19.9, currency: 'BRL' },
    ...change,
  };
}

async function startWithSenders() {
  const sandbox = await start();
  return {
    url: sandbox.url,
    send: (data: object[], more: object = {}) =>
      call(`${sandbox.url}/graph/v26.0/${pixelId}/events`, {
        data,
        access_token: 'EAA-one',
        ...more,
      }),
    report: (eventId: string, more: Record<string, string> = {}) => {
      const fields = {
        id: pixelId,
        ev: 'Purchase',
        eid: eventId,
        dl: 'http://localhost/',
        ...more,
      };
      return fetch(`${sandbox.url}/pixel/tr?${new URLSearchParams(fields).toString()}`);
    },
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

await t.test("the parameter builder's mark is no difference between two copies", async (t) => {
  await using sandbox = await startWithSenders();
  const warningsFor = async (eventId: string, inBrowser: { fbc: string; fbp: string }) => {
    await sandbox.report(eventId, inBrowser);
    await sandbox.send([eventOf(eventId)]);
    const url = `${sandbox.url}/control/graph/events?eventId=${eventId}`;
    const [group] = (await call<EventGroup[]>(url)).body;
    t.equal(group?.verdict, 'paired', eventId);
    return group?.warnings.filter((warning) => /^fb[cp] differs/.test(warning));
  };
  for (const mark of ['AQYAAQMB', 'Bg']) {
    const marked = { fbc: `${fbc}.${mark}`, fbp: `${fbp}.${mark}` };
    t.same(await warningsFor(`purchase_${mark}`, marked), [], mark);
  }
  const other = { fbc: `${fbc}x.AQYAAQMB`, fbp: `${fbp}1.Bg` };
  t.match(await warningsFor('purchase_other', other), [/fbp differs/, /fbc differs/]);
  const longer = { fbc: `${fbc}.xyz`, fbp };
  t.match(await warningsFor('purchase_longer', longer), [/fbc differs/], 'what is no mark counts');
});

await t.test('field expansion is read strictly', (t) => {
  const shape = { web: { event_name: null, acr: { percentage: null } } };
  t.same(readFields('web{event_name, acr{percentage}}', shape), {
    fields: { web: { event_name: null, acr: { percentage: null } } },
  });
  t.same(readFields('web', shape), { fields: { web: null } });
  for (const text of [
    '',
    'web{',
    'web{}',
    'web}',
    'web{acr,}',
    'web{acr acr}',
    '{web}',
    'web{acr;',
  ]) {
    t.match(readFields(text, shape), { error: { code: 2500, message: /Syntax error/ } }, text);
  }
  t.match(readFields('web{acr,acr}', shape), { error: { code: 2500 } }, 'a name twice');
  for (const text of [
    'app',
    'web{name}',
    'web{acr{share}}',
    'web{event_name{x}}',
    'web{toString}',
  ]) {
    t.match(readFields(text, shape), { error: { code: 100, message: /nonexisting field/ } }, text);
  }
  t.end();
});

interface Quality {
  web: { event_name: string; [field: string]: unknown }[];
}

await t.test('quality is that of what was received', async (t) => {
  await using sandbox = await startWithSenders();
  const bearer = { headers: { authorization: 'Bearer EAA-one' } };
  const address = `${sandbox.url}/graph/v26.0/dataset_quality?dataset_id=${pixelId}`;
  const ask = async (fields: string, more = '') =>
    (await call<Quality>(`${address}&fields=${fields}${more}`, undefined, bearer)).body.web;
  t.same(await ask('web{event_name}'), [], 'nothing yet');

  const withMail = { user_data: { ...userData, em: hash('x'), client_ip_address: '200.1.2.3' } };
  await sandbox.send([eventOf('p1'), eventOf('p2')], { partner_agent: 'Rastro_1_2' });
  await sandbox.send([eventOf('p3', withMail), eventOf('p3', withMail)]);
  await sandbox.report('p1', { fbp: `${fbp}.Bg` });
  await sandbox.report('unheard_of', { fbp: 'fb.1.1762902353123.7' });
  await sandbox.send([eventOf('v1', { event_name: 'PageView', custom_data: undefined })]);

  const [views, sales] = (await ask('web')).toSorted((a, b) =>
    a.event_name < b.event_name ? -1 : 1,
  );
  t.match(views, { event_name: 'PageView', event_match_quality: { composite_score: 6.2 } });
  t.notOk(views?.['event_coverage'], 'without browser events there is nothing to cover');
  const keys = [
    { identifier: 'fbc', coverage: { percentage: 100 } },
    { identifier: 'email', coverage: { percentage: 50 } },
  ];
  const quality = sales?.['event_match_quality'] as {
    composite_score: number;
    match_key_feedback: unknown[];
    diagnostics: { name: string }[];
  };
  t.equal(quality.composite_score, 7, 'half of them have an e-mail address: 6.2 + 0.75');
  for (const key of keys) {
    t.ok(quality.match_key_feedback.some((one) => JSON.stringify(one) === JSON.stringify(key)));
  }
  const counts = { percentage: 25, affected_event_count: 1, total_event_count: 4 };
  const byName = new Map(quality.diagnostics.map((one) => [one.name, one]));
  t.match(byName.get('Same Event ID Received for Many Event Instances'), counts);
  t.match(
    byName.get('Server sending mismatched IP addresses'),
    counts,
    'the browser is on loopback',
  );
  t.match(byName.get('Update your IPv4 IP addresses to IPv6 IP addresses'), { percentage: 50 });
  t.match(sales, {
    event_coverage: { percentage: 50, goal_percentage: 75 },
    data_freshness: { upload_frequency: 'real_time' },
    acr: { percentage: 100 },
    dedupe_key_feedback: [
      {
        dedupe_key: 'event_id',
        browser_events_with_dedupe_key: { percentage: 100 },
        server_events_with_dedupe_key: { percentage: 100 },
        overall_browser_coverage_from_dedupe_key: { percentage: 50 },
      },
      { dedupe_key: 'fbp', overall_browser_coverage_from_dedupe_key: { percentage: 50 } },
      { dedupe_key: 'external_id', browser_events_with_dedupe_key: { percentage: 0 } },
    ],
  });

  const score = 'web{event_name,event_match_quality{composite_score}}';
  const byAgent = await ask(score, '&agent_name=rastro');
  t.same(
    byAgent,
    [{ event_name: 'Purchase', event_match_quality: { composite_score: 6.2 } }],
    'only what was asked for, of that sender',
  );
});

await t.test('who may not ask, or asks for what is not there, is told so', async (t) => {
  await using sandbox = await startWithSenders();
  const address = `${sandbox.url}/graph/v26.0/dataset_quality`;
  const errorOf = async (query: string, token: string | null = 'EAA-one') => {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    const url = `${address}?${query}`;
    const { status, body } = await call<{ error?: Record<string, unknown> }>(url, undefined, {
      headers,
    });
    return [status, body.error?.['code'], body.error?.['error_subcode']];
  };
  const of = `dataset_id=${pixelId}&fields=web{event_name}`;
  t.same(await errorOf(of), [200, undefined, undefined]);
  t.same(await errorOf(`${of}&access_token=EAA-one`, null), [200, undefined, undefined]);
  t.same(await errorOf(of, null), [400, 190, undefined], 'no token');
  t.same(await errorOf(of, 'EAA-none'), [401, 190, undefined], 'nobody’s token');
  t.same(await errorOf(of, 'EAA-two'), [400, 100, 33], "another pixel's token");
  t.same(await errorOf('fields=web'), [400, 100, undefined], 'no data set');
  t.same(await errorOf(`dataset_id=${pixelId}&fields=web{dedup_key_feedback}`), [
    400,
    100,
    undefined,
  ]);
  const rule = {
    api: 'graph',
    match: { method: 'GET', path: '/dataset_quality', pixelId },
    action: { status: 403, code: 200 },
  };
  await call(`${sandbox.url}/control/faults`, rule);
  t.same(await errorOf(of), [403, 200, undefined], 'a token that may only send');
  t.equal((await sandbox.send([eventOf('p1')])).status, 200, 'still may');
});
