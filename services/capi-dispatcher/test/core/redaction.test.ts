/**
 * Goal: whatever Meta quotes of what it was sent, in whatever writing, neither the token nor anything
 * that names a person is kept; what is left can be judged as before, and stored.
 * Method: a table of quotations, each written as JSON, as PHP's JSON and as text; properties over
 * arbitrary values and answers.
 */
import fc from 'fast-check';
import t from 'tap';
import { classify, type Reply } from '../../src/core/outcome.ts';
import { redactedReply } from '../../src/core/redaction.ts';
import { storable } from '../../src/core/storable-text.ts';

const token = 'EAAB|tok/en+with=signs';
const fbclid = 'IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQ';
const userAgent = 'Mozilla/5.0 (Linux; "Moto é" \\ 14) Chrome/126.0.0.0';
const ipv6 = '2804:14c:5b80::1';
const hash = '62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f';

function bodyOf(n: number, changes: object = {}): string {
  return JSON.stringify({
    event_name: 'PageView',
    event_id: `evt_${n}`,
    event_source_url: `https://shop.example/p?utm_source=facebook&utm_campaign=Jos%C3%A9+Silva&fbclid=${fbclid}`,
    user_data: {
      client_ip_address: ipv6,
      client_user_agent: userAgent,
      fbc: `fb.1.1763640000123.${fbclid}.AQQCAQMC`,
      fbp: 'fb.1.1763640000999.1073741823',
      external_id: [hash],
      ...changes,
    },
  });
}

const bodies = [bodyOf(1)];

/** As PHP writes JSON. */
const php = (value: unknown): string =>
  JSON.stringify(value)
    .replaceAll('/', '\\/')
    .replaceAll(/[^\0-\x7F]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

const answered = (body: string, status = 400): Reply => ({
  kind: 'answered',
  status,
  body,
  waitMs: null,
});

function bodyAfter(body: string, sent = { bodies, token }): string {
  const reply = redactedReply(answered(body), sent);
  return reply.kind === 'answered' ? reply.body : '';
}

/** What is kept of a quotation, by how the answer was written. */
function writings(quoted: string, sent = { bodies, token }): [how: string, kept: string][] {
  const error = { error: { message: `Unexpected ${quoted} here`, code: 100 } };
  const answers = { json: JSON.stringify(error), php: php(error), text: `<p>${quoted}</p>` };
  return Object.entries(answers).map(([how, answer]) => [how, bodyAfter(answer, sent)]);
}

const percent = encodeURIComponent;
const quotations: [name: string, quoted: string, secret: RegExp][] = [
  ['user agent', userAgent, /Mozilla|Linux|Moto|126/],
  ['user agent, percent-encoded', percent(userAgent), /Mozilla|Linux|Moto|126/],
  ['user agent, in lower-case escapes', percent(userAgent).toLowerCase(), /mozilla|linux|moto/],
  ['user agent, as a form', percent(userAgent).replaceAll('%20', '+'), /Mozilla|Linux|Moto/],
  ['user agent, as JSON in JSON', php(userAgent), /Mozilla|Linux|Moto|126/],
  ['user agent, twice so', php(php(userAgent)), /Mozilla|Linux|Moto|126/],
  ['user agent, as HTML', userAgent.replaceAll('"', '&quot;'), /Mozilla|Linux|Moto|126/],
  ['user agent, cut', userAgent.slice(0, 30), /Mozilla|Linux/],
  ['token', token, /EAAB|tok|signs/],
  ['token, percent-encoded', percent(token), /EAAB|tok|signs/],
  ['token, escaped', php(token), /EAAB|tok|signs/],
  ['token, cut', token.slice(0, 18), /EAAB|tok/],
  ["somebody else's token", 'EAABsbCS1iHgBO7ZC4ZD', /EAAB/],
  ['fbc', `fb.1.1763640000123.${fbclid}.AQQCAQMC`, /IwAR|AQQC/],
  ['bare fbclid', fbclid, /IwAR/],
  ['fbclid in a longer one', `${fbclid}xyz`, /IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQ/],
  ['fbp', 'fb.1.1763640000999.1073741823', /1073741823/],
  ['number of fbp', '1073741823', /1073741823/],
  ['landing URL', 'https://shop.example/p?utm_source=facebook&fbclid=' + fbclid, /IwAR/],
  ['UTM', 'José Silva', /Silva/],
  ['UTM, as it stood', 'Jos%C3%A9+Silva', /Silva/],
  ['e-mail', 'maria.silva+1@mail.example.com.br', /maria|silva|example/],
  ['e-mail, percent-encoded', 'maria%40mail.example', /maria|mail%40|mail\./],
  ['IPv6', ipv6, /2804|5b80/],
  ['IPv6, expanded', '2804:014c:5b80:0000:0000:0000:0000:0001', /014c|5b80/],
  ['IPv6, upper case', '[2804:14C:5B80:0:0:0:0:1]:443', /14C|5B80/],
  ['IPv6, after a name', 'ip:2804:14C:5B80:0::1', /14C|5B80/],
  ["somebody else's IPv6", '2001:db8:1::beef', /2001|beef/],
  ['IPv4 in IPv6', '::ffff:177.10.20.30', /ffff|177/],
  ['IPv4', 'http://177.10.20.30/x', /177/],
  ['hash', hash, /62a14e/],
  ['hash, upper case', hash.toUpperCase(), /62A14E/],
];

await t.test('nothing that was sent comes back, in no writing', async (t) => {
  for (const [name, quoted, secret] of quotations) {
    for (const [how, kept] of writings(quoted)) {
      t.notMatch(kept, secret, `${name} (${how}): ${kept}`);
      t.match(kept, /\[(redacted|token|email|ip|hash)\]/, `${name} (${how}) is marked`);
    }
  }
});

await t.test('of all events of the call, in values and keys', async (t) => {
  const many = Array.from({ length: 500 }, (_, n) =>
    bodyOf(n, { client_user_agent: `Agent/${n} of many`, fbp: `fb.1.1763640000999.${n + 1e9}` }),
  );
  const sent = { bodies: many, token };
  for (const [, kept] of writings('Agent/499 of many', sent)) t.notMatch(kept, 'of many');
  for (const [, kept] of writings('1000000321', sent)) t.notMatch(kept, '1000000321');
  const nested = { error: { data: { [userAgent]: [{ [fbclid]: token }] } } };
  t.notMatch(bodyAfter(php(nested)), /Mozilla|IwAR|EAAB/);
});

await t.test('a value inside a longer one leaves no rest of it', async (t) => {
  const sent = {
    token,
    bodies: [
      bodyOf(1, { fbc: 'fb.1.1763640000123.IwARxyz1' }),
      bodyOf(2, { fbc: 'fb.1.1763640000123.IwARxyz12' }),
    ],
  };
  for (const [how, kept] of writings('fbc IwARxyz12', sent)) t.match(kept, 'fbc [redacted]', how);
  for (const [, kept] of writings('IwARxyz12', sent)) t.notMatch(kept, ']2');
});

await t.test('what names nobody stays', async (t) => {
  const words = [
    'Chrome/120.0.0.0 is a version',
    "param \"$['data'][0]['user_data']\" at 12:30:45 on 2026-01-02T03:04:05Z",
    'see https://developers.facebook.com/docs/graph-api::Errors',
    'Ceci est localisé, 100 % ✓',
  ];
  for (const word of words) t.equal(bodyAfter(word), word);
  const error = { error: { message: words[1], code: 100, error_subcode: 2_804_019 } };
  t.same(JSON.parse(bodyAfter(php(error))), error);
});

await t.test('a plain acceptance is let through; anything beside it is looked at', async (t) => {
  const plain = { events_received: 1, messages: [], fbtrace_id: 'AbC-d_1' };
  t.equal(bodyAfter(JSON.stringify(plain), { bodies: ['no JSON'], token }), JSON.stringify(plain));
  for (const more of [
    { messages: [userAgent] },
    { fbtrace_id: userAgent },
    { note: userAgent },
    { events_received: userAgent },
  ]) {
    t.notMatch(bodyAfter(php({ ...plain, ...more })), /Mozilla/);
  }
  const twice = `{"messages":["${fbclid}"],"events_received":1,"messages":[]}`;
  t.notMatch(bodyAfter(twice), /IwAR/);
});

await t.test("a visitor's own words do not change how an answer is read", async (t) => {
  const sent = {
    token,
    bodies: [bodyOf(1, { client_user_agent: 'error', fbp: 'events_received', fn: 'code' })],
  };
  const error = JSON.stringify({ error: { code: 190, message: 'error' } });
  t.equal(classify(redactedReply(answered(error), sent), 1).code, 190);
  const success = JSON.stringify({ events_received: 1, messages: ['a note'] });
  t.equal(classify(redactedReply(answered(success, 200), sent), 1).kind, 'accepted');
});

await t.test('what is cut is cut after it was redacted', async (t) => {
  for (let before = 560; before < 610; before += 7) {
    const message = `${'x'.repeat(before)} ${token} ${userAgent}`;
    const reply = answered(php({ error: { code: 100, message } }));
    const { reason } = classify(redactedReply(reply, { bodies, token }), 1);
    t.notMatch(reason, /EAAB|Mozilla/);
  }
  const long = `${'y '.repeat(1_995)}${percent(userAgent)}${userAgent}`;
  for (const body of [long, JSON.stringify({ error: long })]) {
    t.notMatch(bodyAfter(body), /Mozilla|Linux/);
    t.ok(bodyAfter(body).length < 4_100);
  }
});

await t.test('property: a text can be stored, and is cut between characters', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(20), (text, max) => {
      for (const given of [text, text.slice(1), `\0${text}\uD83D`]) {
        const kept = storable(given, max);
        if (kept.length > max || !kept.isWellFormed() || kept.includes('\0')) throw new Error(kept);
      }
    }),
  );
});

await t.test('property: no answer is judged otherwise for having been redacted', async () => {
  const key = fc.constantFrom('error', 'code', 'error_subcode', 'events_received', 'messages', 'x');
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(1, 100, 190, 4, 2 ** 40, null, true, 'toString', userAgent, token),
      fc.string({ unit: 'binary' }),
      fc.array(tie('tree')),
      fc.dictionary(fc.oneof(key, fc.string()), tie('tree')),
    ),
  }));
  fc.assert(
    fc.property(fc.constantFrom(200, 400, 500), fc.oneof(tree, fc.string()), (status, value) => {
      for (const body of [JSON.stringify(value), String(JSON.stringify(value)).slice(1)]) {
        const reply = answered(body, status);
        const { kind, code, subcode } = classify(reply, 1);
        const kept = classify(redactedReply(reply, { bodies, token }), 1);
        const isSame = kept.kind === kind && kept.code === code && kept.subcode === subcode;
        if (!isSame) throw new Error(`${kind} became ${kept.kind}`);
        if (/Mozilla|tok\/en/.test(JSON.stringify(kept))) throw new Error('something is left');
      }
    }),
  );
});
