/**
 * Goal: what a visitor, a bot, a beacon and an attacker get over HTTP, and what is told of it.
 * Method: the real routes, pages and templates through Fastify's inject, without servers; the
 * events are checked with their own schema.
 */
import { gzipSync } from 'node:zlib';
import { decodeEvent, type RastroEvent } from '@rastro/events';
import { burstClicks } from '@rastro/traffic';
import t from 'tap';
import { phone, phoneHeaders as headers, samplePool, servedPages } from './served-pages.ts';

const tokenOf = (html: string): string => /\?start=([0-9a-f]{32})/.exec(html)?.[1] ?? '';
const click = (events: RastroEvent[]) =>
  events.find((event) => event.type === 'ClickTracked') as RastroEvent<'ClickTracked'>;
const cookiesOf = (response: { cookies: { name: string; value: string }[] }) =>
  Object.fromEntries(response.cookies.map(({ name, value }) => [name, value]));

await t.test('a click: page, cookies, headers and event agree', async (t) => {
  const { app, events } = await servedPages();
  const forwarded = { 'x-forwarded-for': '177.10.20.30' };
  const url = '/go/promo?fbclid=AbC-_1&utm_source=FB';
  const response = await app.inject({ url, headers: { ...headers, ...forwarded } });
  t.equal(response.statusCode, 200);
  const { data, correlationid } = click(events);
  const token = tokenOf(response.body);
  t.equal(data.trackingToken, token);
  t.equal(correlationid, token);
  t.ok(decodeEvent(click(events)).ok);
  t.match(data, { botId: 'bot-a', clientIp: '177.10.20.30', language: 'pt-BR', fbclid: 'AbC-_1' });
  t.equal(data.landingUrl, `https://go.example.com${url}`);
  t.match(response.body, `https://t.me/demo_a_bot?start=${token}`);
  t.match(response.body, 'lang="pt-BR"');
  t.match(response.headers, {
    'content-type': /^text\/html/,
    'cache-control': 'no-store',
    'x-robots-tag': /noindex/,
    'referrer-policy': 'strict-origin-when-cross-origin',
  });
  const policy = String(response.headers['content-security-policy']);
  const nonce = /'nonce-([0-9a-f]{32})';style/.exec(policy)?.[1];
  t.match(response.body, `<script nonce="${nonce}">`);
  t.notMatch(policy, /unsafe/);

  const cookies = response.cookies as { name: string; [attribute: string]: unknown }[];
  const named = (name: string) => cookies.find((cookie) => cookie.name === name);
  const lasting = {
    path: '/',
    maxAge: 90 * 86_400,
    domain: 'example.com',
    secure: true,
    sameSite: 'Lax',
  };
  t.match(named('_fbp'), { ...lasting, value: data.fbp });
  t.match(named('_fbc'), { ...lasting, value: data.fbc });
  t.match(named('rastro_vid'), { ...lasting, httpOnly: true, value: data.visitorId });
  t.notOk(named('_fbp')?.['httpOnly'], 'the Pixel has to read it');
});

await t.test(
  'who comes back is known: same visitor, same bot, same fbp, same click time',
  async (t) => {
    const bots = ['bot-a', 'bot-b'].map((id) => ({ id, username: `${id.replace('-', '_')}_bot` }));
    const members = bots.map(({ id: bot }) => ({ bot, weight: 1, priority: 0 }));
    const { app, events, pools } = await servedPages({ pools: [{ bots: members }], bots });
    const first = await app.inject({ url: '/go/promo?fbclid=one', headers });
    const cookies = cookiesOf(first);
    for (let visit = 0; visit < 3; visit += 1)
      await app.inject({ url: '/go/promo?fbclid=one', headers, cookies });
    const seen = (key: 'botId' | 'visitorId' | 'fbp' | 'fbc') =>
      new Set(events.map((event) => (event as RastroEvent<'ClickTracked'>).data[key])).size;
    t.same([seen('botId'), seen('visitorId'), seen('fbp'), seen('fbc')], [1, 1, 1, 1]);
    t.equal(new Set(events.map(({ correlationid }) => correlationid)).size, 4, 'a token a click');

    const changedAt = '2026-01-01T00:00:00.000Z';
    pools.report({ botId: click(events).data.botId, health: 'unhealthy', changedAt });
    events.length = 0;
    await app.inject({ url: '/go/promo', headers, cookies });
    t.not(click(events).data.botId, cookies['rastro_bot_promo'], 'a bot out of order is left');
  },
);

await t.test('the same page for everybody, in a class of its own', async (t) => {
  const { app, events } = await servedPages();
  const visitors: [Record<string, string>, string, string[]][] = [
    [headers, 'human', []],
    [{ ...headers, 'user-agent': 'Googlebot/2.1' }, 'bot', ['known_bot_agent']],
    [{ ...headers, 'user-agent': 'facebookexternalhit/1.1' }, 'preview', ['link_preview_agent']],
    [{ ...headers, 'x-purpose': 'preview' }, 'preview', ['purpose_preview']],
    [{ ...headers, 'sec-purpose': 'prefetch;prerender' }, 'prefetch', ['purpose_prefetch']],
    [{ 'user-agent': phone }, 'unknown', ['missing_headers', 'accept_without_html']],
    [{ ...headers, 'sec-fetch-dest': 'iframe' }, 'unknown', ['not_a_navigation']],
  ];
  const pages = [];
  for (const [shown] of visitors) {
    const { body } = await app.inject({ url: '/go/promo', headers: shown });
    pages.push(body.replaceAll(/[0-9a-f]{64}|[0-9a-f]{32}/g, '#'));
  }
  t.equal(new Set(pages).size, 1);
  const head = await app.inject({ method: 'HEAD', url: '/go/promo', headers });
  t.equal(head.statusCode, 200);
  t.equal(head.body, '');
  const classes = (events as RastroEvent<'ClickTracked'>[]).map(({ data }) => [
    data.trafficClass,
    data.classReasons,
  ]);
  const expected = visitors.map(([, trafficClass, reasons]) => [trafficClass, reasons]);
  t.same(classes, [...expected, ['bot', ['head_request']]]);
});

await t.test(
  'a burst from one public address is no crowd of people, and gets the page',
  async (t) => {
    const { app, events } = await servedPages();
    const classesFrom = async (address: string): Promise<string[]> => {
      events.length = 0;
      for (let at = 0; at <= burstClicks; at += 1) {
        const forwarded = { ...headers, 'x-forwarded-for': address };
        const { statusCode } = await app.inject({ url: '/go/promo', headers: forwarded });
        if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
      }
      return events.map((event) => (event as RastroEvent<'ClickTracked'>).data.trafficClass);
    };
    const people = Array<string>(burstClicks).fill('human');
    t.same(await classesFrom('177.10.20.30'), [...people, 'unknown']);
    t.same(await classesFrom('10.0.0.1'), [...people, 'human'], 'a proxy that nobody named');
  },
);

await t.test(
  'no bot, no pool, no gate parameter: honest pages in the visitor’s language',
  async (t) => {
    const gate = { enabled: true, param: 'grim', value: 'secret' };
    const { app, events, pools } = await servedPages({
      pools: [
        { gate },
        { id: 'empty', slug: 'empty', bots: [{ bot: 'gone', weight: 1, priority: 0 }] },
        { id: 'else', slug: 'else', bots: [], fallbackUrl: 'https://example.com/fim' },
      ],
    });
    const get = (url: string, language = 'pt') =>
      app.inject({ url, headers: { 'user-agent': phone, 'accept-language': language } });

    const refused = await get('/go/promo?grim=wrong');
    t.equal(refused.statusCode, 403);
    t.match(refused.body, 'Abra pelo anúncio');
    t.notOk(refused.headers['set-cookie'], 'before any cookie');
    t.match(events, [
      { type: 'ClickRefused', data: { reason: 'gate_parameter_wrong', slug: 'promo' } },
    ]);
    t.equal((await get('/go/promo?grim=secret')).statusCode, 200);

    const missing = await get('/go/nothing', 'es-419,es;q=0.9');
    t.equal(missing.statusCode, 404);
    t.match(missing.body, 'Enlace no encontrado');
    t.match((await get('/go/nothing', 'en-US')).body, 'Link not found');
    t.match((await get('/go/nothing', 'de')).body, 'Link não encontrado', 'Portuguese by default');
    t.equal((await get(`/go/${'x'.repeat(500)}`)).statusCode, 404);

    const unavailable = await get('/go/empty');
    t.equal(unavailable.statusCode, 503);
    t.ok(unavailable.headers['retry-after']);
    const elsewhere = await get('/go/else');
    t.equal(elsewhere.statusCode, 302);
    t.equal(elsewhere.headers.location, 'https://example.com/fim');

    pools.isComplete = false;
    t.equal((await get('/go/nothing')).statusCode, 503, 'nobody knows yet what there is');
  },
);

await t.test('hostile input breaks out of nothing', async (t) => {
  const { app } = await servedPages();
  const attack = `"'></script><script>alert(1)</script><!--`;
  const encoded = encodeURIComponent(attack);
  const urls = [
    `/go/promo?fbclid=${encoded}&utm_source=${encoded}&${encoded}=${encoded}`,
    `/go/promo?fbclid=${attack.replaceAll(' ', '')}`,
    `/go/${encoded}`,
  ];
  for (const url of urls) {
    const hostile = { 'user-agent': attack, referer: attack, 'accept-language': attack };
    const cookies = { rastro_vid: encoded, _fbp: encoded, rastro_bot_promo: encoded };
    const { body, headers: got } = await app.inject({ url, headers: hostile, cookies });
    t.notMatch(body, 'alert(1)', url);
    const scripts = body.match(/<script/g)?.length ?? 0;
    t.ok(scripts === 2 || scripts === 0);
    t.notMatch(JSON.stringify(got), '<script');
  }
  const named = await servedPages({
    pools: [{ slug: 'promo' }],
    bots: [{ username: '"><b>x</b>' }],
  });
  const { body } = await named.app.inject({ url: '/go/promo', headers });
  t.notMatch(body, '<b>x');
});

await t.test('without consent no Pixel and no cookies of Meta', async (t) => {
  const { app, events } = await servedPages({ pools: [{ consent: 'required' }] });
  const response = await app.inject({ url: '/go/promo?fbclid=one', headers });
  t.equal(click(events).data.consent, 'unknown');
  t.match(response.body, '"pixel":null');
  t.same(Object.keys(cookiesOf(response)), ['rastro_vid', 'rastro_bot_promo']);
});

await t.test(
  'the page is at most 6 KB on the wire, and leads on even where it cannot be made',
  async (t) => {
    // With everything on, and an address and a click id as long as they come.
    const { app } = await servedPages({
      pools: [{ utmify: { pixelId: '66d0fdb34f04fa44c5955f2c' } }],
    });
    for (const language of ['pt', 'en', 'es']) {
      const { body } = await app.inject({
        url: `/go/promo?fbclid=IwAR${'x'.repeat(200)}`,
        headers: {
          ...headers,
          'accept-language': language,
          'x-forwarded-for': '2804:14c:5b41:8a2f:91c4:7d3e:f0a1:6b52',
        },
      });
      t.match(body, /"ipv6":"2804:.*"utmify":{/);
      const bytes = gzipSync(body).length;
      t.ok(bytes <= 6_144, `${language}: ${bytes} bytes`);
    }
    const broken = await servedPages({
      parts: {
        count: {
          page: () => {},
          click: () => {
            throw new Error('any');
          },
        },
      },
    });
    const response = await broken.app.inject({ url: '/go/promo', headers });
    t.equal(response.statusCode, 302);
    const token = click(broken.events).data.trackingToken;
    t.equal(response.headers.location, `https://t.me/demo_a_bot?start=${token}`);
  },
);

await t.test('the beacon: any form a browser sends, nothing else', async (t) => {
  const { app, events } = await servedPages({
    pools: [{}, { ...samplePool, id: 'two', slug: 'two' }],
  });
  const token = tokenOf((await app.inject({ url: '/go/promo', headers })).body);
  events.length = 0;
  const body = {
    tracking_token: token,
    _fbp: 'fb.1.1762902353123.1',
    _fbc: 'junk',
    _fbi: '177.10.20.30.AQQAAQMC',
    slug: 'promo',
  };
  const post = (payload: string, type = 'text/plain') =>
    app.inject({
      method: 'POST',
      url: '/api/tracking/cookies',
      payload,
      headers: { 'content-type': type, 'user-agent': phone },
    });
  const json = JSON.stringify(body);
  for (const type of ['text/plain', 'application/json', 'application/x-www-form-urlencoded', 'x/y'])
    t.equal((await post(json, type)).statusCode, 204, type);
  const form = new URLSearchParams({ ...body, page_type: 'delivery' }).toString();
  t.equal((await post(form, 'application/x-www-form-urlencoded')).statusCode, 204);
  const [first] = events;
  t.match(first, {
    type: 'BrowserSignalsCaptured',
    workspaceid: 'demo',
    data: { fbp: body._fbp, fbc: null, fbi: '177.10.20.30', pageType: 'bridge', userAgent: phone },
  });
  t.match(events.at(-1), { data: { pageType: 'delivery' } });
  t.ok(events.every((event) => decodeEvent(event).ok));

  const known = events.length;
  const refusals = [
    '',
    '{',
    '[]',
    'null',
    '"x"',
    '{"tracking_token":"x"}',
    'a=b',
    JSON.stringify({ ...body, page_type: 'x' }),
  ];
  for (const text of refusals) {
    const refused = await post(text);
    t.equal(refused.statusCode, 400, text);
    t.match(refused.headers['content-type'], 'application/problem+json');
  }
  const large = await post(JSON.stringify({ ...body, more: 'x'.repeat(4_096) }));
  t.equal(large.statusCode, 413);
  t.equal(events.length, known, 'nothing of it is stored');
});
