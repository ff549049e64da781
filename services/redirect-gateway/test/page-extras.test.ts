/**
 * Goal: whoever asks too often is told so before anything else happens; scripts besides the Pixel
 * come only where a pool and its consent allow them, and no page lets in more than it needs.
 * Method: the real routes, pages and templates through Fastify's inject, without servers.
 */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import t from 'tap';
import { phone, samplePool, servedPages } from './served-pages.ts';

const headers = { 'user-agent': phone, 'accept-language': 'pt-BR,pt;q=0.9' };

await t.test(
  'too often: an honest page, no cookie, no event, whatever the gate says',
  async (t) => {
    const counted: string[] = [];
    const { app, events } = await servedPages({
      pools: [{ gate: { enabled: true, param: 'grim', value: 'secret' } }],
      parts: {
        waitOf: (request) => (request.ip === '177.10.20.30' ? 1_800 : 0),
        count: { click: () => {}, page: (result) => counted.push(result) },
      },
    });
    const get = (ip: string, language: string, method: 'GET' | 'HEAD' = 'GET') =>
      app.inject({
        method,
        url: '/go/promo',
        headers: { 'x-forwarded-for': ip, 'accept-language': language, 'user-agent': phone },
      });
    for (const [language, title] of [
      ['pt-BR', 'Muitos acessos'],
      ['en', 'Too many requests'],
      ['es', 'Demasiadas visitas'],
    ] as const) {
      const response = await get('177.10.20.30', language);
      t.equal(response.statusCode, 429);
      t.match(response.body, title);
      t.equal(response.headers['retry-after'], '1800');
      t.equal(response.headers['cache-control'], 'no-store');
      t.notOk(response.headers['set-cookie']);
    }
    t.equal((await get('177.10.20.30', 'pt', 'HEAD')).statusCode, 429);
    t.same(events, [], 'before the gate');
    t.same(new Set(counted), new Set(['limited']));
    t.equal((await get('177.10.20.31', 'pt')).statusCode, 403, 'others go on, to the gate');
  },
);

await t.test('a beacon too often: a problem document that says when', async (t) => {
  const { app, events } = await servedPages({
    parts: { beacon: { receive: async () => void t.fail('not received'), waitOf: () => 60 } },
  });
  const response = await app.inject({
    method: 'POST',
    url: '/api/tracking/cookies',
    payload: JSON.stringify({ tracking_token: 'a'.repeat(32) }),
  });
  t.equal(response.statusCode, 429);
  t.match(response.headers['content-type'], 'application/problem+json');
  t.equal(response.headers['retry-after'], '60');
  t.same(events, []);
});

await t.test(
  'the parameter builder: from here, for ever, and only where it is wanted',
  async (t) => {
    const asked = {
      pools: [{ consent: 'required' as const, utmify: { pixelId: '66d0fdb34f04' } }],
    };
    const pathIn = (html: string): string =>
      /"paramBuilder":{"url":"([^"]+)"/.exec(html)?.[1] ?? 'none';
    const { app } = await servedPages();
    const { body } = await app.inject({ url: '/go/promo', headers });
    const path = pathIn(body);
    t.match(path, /^\/go\/-\/param-builder\.[0-9a-f]{16}\.js$/);
    const bodies = new Set<string>();
    for (const [accepted, encoding, decode] of [
      ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
      ['gzip', 'gzip', gunzipSync],
      ['', undefined, (bytes: Buffer) => bytes],
    ] as const) {
      const file = await app.inject({ url: path, headers: { 'accept-encoding': accepted } });
      t.equal(file.statusCode, 200);
      t.match(file.headers, {
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
        vary: 'accept-encoding',
      });
      t.equal(file.headers['content-encoding'], encoding);
      t.notOk(file.headers['set-cookie']);
      t.comment(`${encoding ?? 'plain'}: ${file.rawPayload.length} bytes`);
      bodies.add(decode(file.rawPayload).toString());
    }
    t.equal(bodies.size, 1);
    t.match([...bodies][0], 'processAndCollectAllParams');
    t.equal((await app.inject({ url: '/go/-/param-builder.0000000000000000.js' })).statusCode, 404);

    const page = async (options: Parameters<typeof servedPages>[0]) =>
      (await servedPages(options)).app.inject({ url: '/go/promo', headers });
    const unasked = await page(asked);
    t.match(unasked.body, '"paramBuilder":null,"utmify":null', 'nobody was asked');
    const withoutPixel = { ...samplePool.meta, pixelId: null };
    t.match((await page({ pools: [{ meta: withoutPixel }] })).body, '"paramBuilder":null');
  },
);

await t.test('UTMify’s script: only pools that use it allow it', async (t) => {
  const pools = [
    { utmify: { pixelId: '66d0fdb34f04' }, meta: { ...samplePool.meta, enabled: false } },
    { id: 'two', slug: 'two' },
  ];
  const { app } = await servedPages({ pools });
  const policyOf = (response: { headers: Record<string, unknown> }) =>
    String(response.headers['content-security-policy']);
  const used = await app.inject({ url: '/go/promo', headers });
  const url = 'https://cdn.utmify.com.br/scripts/pixel/pixel.js';
  t.match(used.body, `"utmify":{"pixelId":"66d0fdb34f04","url":"${url}"}`);
  t.match(used.body, '"pixel":null', 'whatever the Pixel is set to');
  t.match(policyOf(used), /connect-src [^;]*https:\/\/\*\.utmify\.com\.br/);
  t.match(policyOf(used), /script-src [^;]*https:\/\/\*\.utmify\.com\.br/);
  const other = await app.inject({ url: '/go/two', headers });
  t.match(other.body, '"utmify":null');
  t.notMatch(policyOf(other), 'utmify');
  t.notMatch(policyOf(await app.inject({ url: '/go/none', headers })), 'utmify');

  const elsewhere = await servedPages({
    pools,
    parts: { utmifyScriptUrl: 'http://127.0.0.1:1/pixel.js' },
  });
  const served = await elsewhere.app.inject({ url: '/go/promo', headers });
  t.match(policyOf(served), /connect-src [^;]*http:\/\/127\.0\.0\.1:1/);
});

await t.test('no two pages share a nonce', async (t) => {
  const { app } = await servedPages();
  const nonces = new Set<string>();
  for (let visit = 0; visit < 300; visit += 1) {
    const { body, headers: got } = await app.inject({ url: '/go/none', headers });
    const style = /<style nonce="([0-9a-f]{32})">/.exec(body)?.[1] ?? 'none';
    t.ok(String(got['content-security-policy']).includes(`style-src 'nonce-${style}'`));
    nonces.add(style);
  }
  t.equal(nonces.size, 300);
});
