/**
 * Goal: whatever goes wrong, a caller gets a problem document and never our insides; logs hold no
 * secret. Method: a server with routes that fail in every way, its log read back.
 */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import Type from 'typebox';
import {
  addHealthRoutes,
  createHttpServer,
  createLogger,
  createMetrics,
  jsonForScript,
  Problem,
  publicIp,
  requireApiKey,
} from '../src/index.ts';

function createServer() {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const app = createHttpServer({
    log: pino({ level: 'trace' }, sink),
    trustedProxies: ['loopback'],
    bodyLimit: 100,
  });
  app.get('/boom', async () => {
    throw new Error('password=hunter2');
  });
  app.get('/teapot', async () => {
    throw new Problem(418, 'Teapot', 'Short and stout.', { errors: [] });
  });
  app.post(
    '/strict',
    { schema: { body: Type.Object({ n: Type.Integer() }) } },
    async ({ body }) => body.n + 1,
  );
  app.get('/secret/:token', async () => 'ok');
  app.get('/ip', async (request) => ({ ip: publicIp(request.ip) }));
  app.get('/key', { onRequest: requireApiKey('the-right-key-here') }, async () => 'in');
  return { app, lines };
}

await t.test('every failure is a problem document without our insides', async (t) => {
  const { app } = createServer();
  const cases = [
    [{ url: '/boom' }, 500, /Internal error/],
    [{ url: '/teapot' }, 418, /Short and stout/],
    [{ url: '/nowhere' }, 404, /nothing at this address/],
    [{ url: '/secret/%ZZ' }, 400, /Invalid request/],
    [{ url: '/strict', method: 'POST', payload: { n: 'x' } }, 400, /"field":"\/n"/],
    [
      {
        url: '/strict',
        method: 'POST',
        payload: '{',
        headers: { 'content-type': 'application/json' },
      },
      400,
      /Invalid/,
    ],
    [
      { url: '/strict', method: 'POST', payload: { n: 1, pad: 'x'.repeat(200) } },
      413,
      /Body too large/,
    ],
    [
      { url: '/strict', method: 'POST', payload: 'x', headers: { 'content-type': 'text/x' } },
      415,
      /media type/,
    ],
    [{ url: '/key' }, 401, /RASTRO_API_KEY/],
    [
      { url: '/key', headers: { authorization: 'Bearer the-wrong-key-here' } },
      401,
      /RASTRO_API_KEY/,
    ],
    [{ url: '/key', headers: { authorization: 'Basic x' } }, 401, /RASTRO_API_KEY/],
  ] as const;
  for (const [request, status, text] of cases) {
    const response = await app.inject(request);
    t.equal(response.statusCode, status, request.url);
    t.match(response.headers['content-type'], /application\/problem\+json/);
    t.match(response.body, text);
    t.notMatch(response.body, /hunter2|node_modules|\.ts:/);
  }
  const allowed = await app.inject({
    url: '/key',
    headers: { authorization: 'bearer the-right-key-here' },
  });
  t.equal(allowed.body, 'in');
});

await t.test('the log of a request names its route, never its URL', async (t) => {
  const { app, lines } = createServer();
  await app.inject({ url: '/secret/tok123?fbclid=abc' });
  t.match(lines.join(''), /"route":"\/secret\/:token"/);
  t.notMatch(lines.join(''), /tok123|abc/);
});

await t.test('only a trusted proxy can say who the visitor is', async (t) => {
  const { app } = createServer();
  const ipOf = async (forwarded: string, remoteAddress = '127.0.0.1') =>
    (
      await app.inject({ url: '/ip', remoteAddress, headers: { 'x-forwarded-for': forwarded } })
    ).json<{ ip: string }>().ip;
  t.equal(await ipOf('177.10.20.30'), '177.10.20.30');
  t.equal(await ipOf('6.6.6.6, 177.10.20.30'), '177.10.20.30');
  t.equal(await ipOf('177.10.20.30, 127.0.0.1'), '177.10.20.30');
  t.equal(await ipOf('::ffff:177.10.20.30'), '177.10.20.30');
  t.equal(await ipOf('2804:14c::1'), '2804:14c::1');
  t.equal(await ipOf('177.10.20.30', '8.8.8.8'), '8.8.8.8');
  for (const useless of ['10.0.0.1', '100.64.1.1', '192.168.0.1', '169.254.1.1', 'junk', '']) {
    t.equal(await ipOf(useless), null, useless);
  }
});

await t.test('readiness has a line per dependency', async (t) => {
  const { app } = createServer();
  const checks = {
    redis: async () => {},
    postgres: () => Promise.reject(new Error('connection refused')),
  };
  addHealthRoutes(app, { checks, metrics: createMetrics('test') });
  const response = await app.inject('/readyz');
  t.equal(response.statusCode, 503);
  t.equal(response.body, 'redis: ok\npostgres: failed (connection refused)\n');
  t.equal((await app.inject('/healthz')).statusCode, 200);
  t.match((await app.inject('/metrics')).headers['content-type'], /text\/plain/);
});

await t.test('secrets are left out of the log, also inside objects', (t) => {
  const written: string[] = [];
  const log = createLogger({
    service: 'x',
    level: 'info',
    stream: { write: (line) => void written.push(line) },
  });
  log.info(
    {
      accessToken: 'EAA1',
      bot: { token: '123:abc' },
      request: { headers: { authorization: 'Bearer z9' } },
      payer: { cpf: '123.456.789-09' },
    },
    'm',
  );
  t.notMatch(written.join(''), /EAA1|123:abc|z9|456/);
  t.match(written.join(''), /redacted/);
  t.end();
});

await t.test('data in a script element cannot leave it', (t) => {
  const hostile = { a: '</script><script>alert(1)</script>', b: '<!--', c: '\u2028 & "' };
  const text = jsonForScript(hostile);
  t.notMatch(text, /[<>&\u2028]/);
  t.same(JSON.parse(text), hostile);
  t.end();
});
