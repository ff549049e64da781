/**
 * Goal: people in in-app browsers are people, programs are told from them with the reason, and a
 * class depends on nothing but the request's traits.
 * Method: a table of requests as real clients send them; then any traits at all.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  agentFacts,
  burstClicks,
  type ClassReason,
  classify,
  type Headers,
  headerTraits,
  type RequestTraits,
  type TrafficClass,
} from '../src/index.ts';

const webkitAccept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const chromeAccept =
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7';
const webkit = { accept: webkitAccept, 'accept-language': 'pt-BR,pt;q=0.9' };
const chrome = { accept: chromeAccept, 'accept-language': 'pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7' };
const opened = {
  'sec-fetch-site': 'none',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-user': '?1',
  'sec-fetch-dest': 'document',
};

const androidView = (version: number) =>
  `Mozilla/5.0 (Linux; Android 14; SM-A546E Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/${version}.0.6723.86 Mobile Safari/537.36`;
const iosView =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83';
const agents = {
  facebookAndroid: `${androidView(130)} [FB_IAB/FB4A;FBAV/489.0.0.66.81;IABMV/1;]`,
  facebookAndroidOld: `${androidView(74)} [FB_IAB/FB4A;FBAV/250.0.0.14.241;]`,
  facebookLite: `${androidView(130)} [FBAN/EMA;FBLC/pt_BR;FBAV/425.0.0.9.115;FBCX/modulariab;]`,
  messenger: `${androidView(130)} [FB_IAB/Orca-Android;FBAV/484.0.0.62.108;]`,
  instagramAndroid: `${androidView(130)} Instagram 355.1.0.44.103 Android (34/14; 450dpi; 1080x2340; samsung; SM-A546E; a54x; s5e8835; pt_BR; 655812439; IABMV/1)`,
  facebookIos: `${iosView} [FBAN/FBIOS;FBAV/490.0.0.36.112;FBBV/663221515;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/18.1;FBSS/3;FBID/phone;FBLC/pt_BR;FBOP/5;FBRV/666420921;IABMV/1]`,
  instagramIos: `${iosView} Instagram 354.0.0.29.82 (iPhone14,7; iOS 18_1; pt_BR; pt; scale=3.00; 1170x2532; 654111336; IABMV/1)`,
  safari:
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
  chrome:
    'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36',
  samsung:
    'Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36',
  firefox: 'Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0',
  androidBrowser:
    'Mozilla/5.0 (Linux; U; Android 4.4.2; pt-br; SM-G900 Build/KOT49H) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30',
};

const classOf = (headers: Headers, method = 'GET', recentFromAddress = 1) =>
  classify({ ...headerTraits(method, headers), recentFromAddress });

await t.test('people, as in-app browsers and phones send them', async (t) => {
  const people: [string, Headers][] = [
    ['Facebook, Android', { 'user-agent': agents.facebookAndroid, ...chrome, ...opened }],
    [
      'Facebook, Android, with client hints and its own name',
      {
        'user-agent': agents.facebookAndroid,
        ...chrome,
        ...opened,
        'sec-ch-ua': '"Android WebView";v="130", "Chromium";v="130", "Not?A_Brand";v="99"',
        'x-requested-with': 'com.facebook.katana',
      },
    ],
    [
      'an old web view, before Sec-Fetch',
      {
        'user-agent': agents.facebookAndroidOld,
        ...webkit,
        'x-requested-with': 'com.facebook.lite',
      },
    ],
    ['Facebook Lite', { 'user-agent': agents.facebookLite, ...chrome }],
    ['Messenger', { 'user-agent': agents.messenger, ...chrome, ...opened }],
    ['Instagram, Android', { 'user-agent': agents.instagramAndroid, ...chrome, ...opened }],
    ['over http nobody sends Sec-Fetch', { 'user-agent': agents.instagramAndroid, ...chrome }],
    ['Facebook, iOS', { 'user-agent': agents.facebookIos, ...webkit }],
    ['Facebook, iOS, new', { 'user-agent': agents.facebookIos, ...webkit, ...opened }],
    ['Instagram, iOS', { 'user-agent': agents.instagramIos, ...webkit }],
    ['Safari', { 'user-agent': agents.safari, ...webkit, ...opened }],
    ['Chrome', { 'user-agent': agents.chrome, ...chrome, ...opened }],
    ['Samsung Internet', { 'user-agent': agents.samsung, ...chrome, ...opened }],
    ['Firefox', { 'user-agent': agents.firefox, ...webkit, ...opened }],
    ['an app that fetches the page itself', { 'user-agent': agents.chrome, accept: chromeAccept }],
    ['Firefox without a language', { 'user-agent': agents.firefox, accept: webkitAccept }],
    [
      'a phone of 2014',
      {
        'user-agent': agents.androidBrowser,
        accept: 'application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,*/*;q=0.5',
        'accept-language': 'pt-BR, en-US',
      },
    ],
  ];
  for (const [who, headers] of people)
    t.same(classOf(headers), { trafficClass: 'human', classReasons: [] }, who);
});

const phone = { 'user-agent': agents.facebookAndroid, ...chrome };
const agent = (name: string, rest: Headers = { accept: '*/*' }) => ({
  'user-agent': name,
  ...rest,
});
type Case = [string, Headers, TrafficClass, ClassReason[]];

await t.test('programs that say so, with every reason', async (t) => {
  const cases: Case[] = [
    ['curl', agent('curl/8.5.0'), 'bot', ['known_bot_agent']],
    ['requests', agent('python-requests/2.32.3'), 'bot', ['known_bot_agent']],
    ['undici', agent('node', {}), 'bot', ['known_bot_agent', 'missing_headers']],
    [
      'Googlebot',
      agent('Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', chrome),
      'bot',
      ['known_bot_agent'],
    ],
    [
      'Googlebot as a phone',
      agent(`${agents.chrome} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)`, {
        accept: webkitAccept,
      }),
      'bot',
      ['known_bot_agent'],
    ],
    ['Meta’s crawler', agent('meta-externalagent/1.1'), 'bot', ['known_bot_agent']],
    [
      'headless Chrome',
      agent(agents.chrome.replace('Chrome', 'HeadlessChrome'), chrome),
      'bot',
      ['known_bot_agent'],
    ],
    [
      'Facebook’s preview',
      agent('facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)'),
      'preview',
      ['link_preview_agent'],
    ],
    ['Telegram', agent('TelegramBot (like TwitterBot)'), 'preview', ['link_preview_agent']],
    [
      'WhatsApp',
      agent('WhatsApp/2.24.20.89 A', {}),
      'preview',
      ['link_preview_agent', 'missing_headers'],
    ],
    [
      'Facebook’s app before the tap',
      { ...phone, 'x-purpose': 'preview' },
      'preview',
      ['purpose_preview'],
    ],
    [
      'Chrome’s prefetch',
      { ...phone, 'sec-purpose': 'prefetch;anonymous-client-ip' },
      'prefetch',
      ['purpose_prefetch'],
    ],
    [
      'Chrome’s prerender',
      { ...phone, 'sec-purpose': 'prefetch;prerender' },
      'prefetch',
      ['purpose_prefetch'],
    ],
    ['Firefox’s prefetch', { ...phone, 'x-moz': 'prefetch' }, 'prefetch', ['purpose_prefetch']],
    [
      'a link’s prefetch, which is a fetch',
      { ...phone, purpose: 'prefetch', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'empty' },
      'prefetch',
      ['purpose_prefetch', 'not_a_navigation'],
    ],
  ];
  for (const [who, headers, trafficClass, classReasons] of cases)
    t.same(classOf(headers), { trafficClass, classReasons }, who);
  t.same(classOf(phone, 'HEAD'), { trafficClass: 'bot', classReasons: ['head_request'] });
});

await t.test('what no browser sends', async (t) => {
  const cases: Case[] = [
    ['nobody', {}, 'unknown', ['no_user_agent', 'missing_headers']],
    ['no user agent', { ...chrome }, 'unknown', ['no_user_agent']],
    ['an empty user agent', { ...chrome, 'user-agent': '' }, 'unknown', ['no_user_agent']],
    [
      'a phone’s name and nothing else',
      agent(agents.chrome, {}),
      'unknown',
      ['missing_headers', 'accept_without_html'],
    ],
    [
      'an old Firefox’s name and nothing else',
      agent(agents.firefox, {}),
      'unknown',
      ['missing_headers'],
    ],
    [
      'a library under Chrome’s name',
      agent(agents.chrome, { accept: '*/*', 'accept-language': 'pt' }),
      'unknown',
      ['accept_without_html'],
    ],
    [
      'a library under the name of Instagram on iOS',
      agent(agents.instagramIos),
      'unknown',
      ['accept_without_html'],
    ],
    [
      'a frame',
      { ...phone, ...opened, 'sec-fetch-dest': 'iframe' },
      'unknown',
      ['not_a_navigation'],
    ],
    ['a script', { ...phone, 'sec-fetch-dest': 'empty' }, 'unknown', ['not_a_navigation']],
  ];
  for (const [who, headers, trafficClass, classReasons] of cases)
    t.same(classOf(headers), { trafficClass, classReasons }, who);
  t.equal(classOf(phone, 'GET', burstClicks).trafficClass, 'human', 'a carrier’s NAT');
  const burst = { trafficClass: 'unknown', classReasons: ['address_burst'] };
  t.same(classOf(phone, 'GET', burstClicks + 1), burst);
});

await t.test('hostile headers are bounded', async (t) => {
  const long = `\u0000${'x'.repeat(5_000)}\ud83d`;
  const names = [
    'user-agent',
    'accept',
    'sec-purpose',
    'purpose',
    'sec-fetch-mode',
    'sec-fetch-dest',
  ];
  const headers = Object.fromEntries(names.map((name) => [name, [long, long]]));
  const traits = headerTraits('GET', headers);
  t.equal(traits.userAgent?.length, 1_024);
  t.ok(JSON.stringify(traits).length < 2_048);
  t.notMatch(JSON.stringify(traits), /\\u0000|\\ud83d/);
});

const text = fc.oneof(
  fc.constantFrom(...Object.values(agents), 'text/html', '*/*', 'navigate', 'document', 'prefetch'),
  fc.string({ maxLength: 100 }),
);
const anyTraits: fc.Arbitrary<RequestTraits> = fc.record({
  method: fc.constantFrom('GET', 'HEAD'),
  userAgent: fc.option(text),
  purpose: fc.option(text),
  accept: fc.option(text),
  hasLanguage: fc.boolean(),
  fetchSite: fc.option(text),
  fetchMode: fc.option(text),
  fetchDest: fc.option(text),
  hasClientHints: fc.boolean(),
  requestedWith: fc.option(text),
  recentFromAddress: fc.nat({ max: 2 * burstClicks }),
});

await t.test('the same traits, the same class, whenever and whatever came before', async (t) => {
  fc.assert(
    fc.property(anyTraits, fc.array(anyTraits, { maxLength: 5 }), (traits, others) => {
      const drawn = classify(traits);
      for (const other of others) classify(other);
      const later = classify(JSON.parse(JSON.stringify(traits)) as RequestTraits, agentFacts);
      const isHuman = drawn.trafficClass === 'human';
      return (
        JSON.stringify(later) === JSON.stringify(drawn) &&
        isHuman === (drawn.classReasons.length === 0)
      );
    }),
    { numRuns: 1_000 },
  );
  t.pass('held');
});
