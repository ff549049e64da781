/**
 * Goal: what surely never left is told apart from what may have arrived, and a token stays out of
 * URLs. Method: a small HTTP server on loopback that answers, resets, or keeps silent.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import t from 'tap';
import { createGraph, waitOf } from '../../src/adapters/graph.ts';

await t.test('a call and every way it ends', async (t) => {
  let answer = (_request: IncomingMessage, response: ServerResponse): unknown => response.end();
  const server = createServer((request, response) => {
    request.resume().on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using graph = createGraph({ url, version: 'v26.0', timeoutMs: 400 });
  const send = () => graph.send({ pixelId: '42', token: 'EAAsecret', body: '{"data":[]}' });

  answer = (request, response) => {
    t.equal(request.url, '/v26.0/42/events');
    t.equal(request.headers.authorization, 'Bearer EAAsecret');
    const usage = { 42: [{ type: 'x', estimated_time_to_regain_access: 7 }] };
    response.setHeader('X-Business-Use-Case-Usage', JSON.stringify(usage)).end('{"a":1}');
  };
  t.same(await send(), { kind: 'answered', status: 200, body: '{"a":1}', waitMs: 420_000 });
  answer = (_request, response) => response.setHeader('retry-after', '3').writeHead(429).end();
  t.match(await send(), { status: 429, waitMs: 3_000 });
  answer = (_request, response) => response.end('{}');
  t.match(await send(), { waitMs: null });
  answer = (request) => request.socket.resetAndDestroy();
  t.match(await send(), { kind: 'lost' });
  answer = () => {};
  t.match(await send(), { kind: 'lost', reason: 'TimeoutError' });
  answer = (_request, response) => response.writeHead(200, { 'content-length': 99 }).write('{"e');
  t.match(await send(), { kind: 'lost' }, 'half an answer is none');

  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  t.same(await send(), { kind: 'unreachable', reason: 'ECONNREFUSED' });
  await using nowhere = createGraph({
    url: 'http://x.invalid',
    version: 'v26.0',
    timeoutMs: 2_000,
  });
  t.match(await nowhere.send({ pixelId: '1', token: 't', body: '' }), { kind: 'unreachable' });
});

await t.test('calls that hang delay no others, and connections are used again', async (t) => {
  let connections = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => (request.url?.includes('/hung') ? null : response.end('{}')));
  }).on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using graph = createGraph({ url, version: 'v26.0', timeoutMs: 600 });
  const send = (pixelId: string) => graph.send({ pixelId, token: 't', body: '{}' });
  const hung = Array.from({ length: 40 }, (_, index) => send(`hung${index}`));
  const started = performance.now();
  for (let count = 0; count < 5; count += 1) t.match(await send('7'), { kind: 'answered' });
  const tookMs = performance.now() - started;
  t.ok(tookMs < 400, `${Math.round(tookMs)} ms beside 40 calls that hang`);
  t.ok(connections < 45, `${connections} connections: about one for each call under way`);
  for (const reply of await Promise.all(hung)) {
    t.match(reply, { kind: 'lost', reason: 'TimeoutError' });
  }
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

await t.test('a call that ends before it leaves is unreachable, however it ends', async (t) => {
  let isSilent = false;
  const server = createTcpServer((socket) => {
    socket.on('error', () => {}).once('data', () => isSilent || socket.resetAndDestroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using graph = createGraph({ url, version: 'v26.0', timeoutMs: 600 });
  const send = (token = 't') => graph.send({ pixelId: '1', token, body: '{}' });
  t.match(await send(), { kind: 'unreachable', reason: 'ECONNRESET' }, 'reset during TLS');
  isSilent = true;
  const started = performance.now();
  for (const reply of await Promise.all([send(), send(), send()])) {
    t.match(reply, { kind: 'unreachable' }, 'TLS without an end');
  }
  t.ok(performance.now() - started < 1_500, 'none waits for the handshake of another');
  t.match(await send('no\nheader'), { kind: 'unreachable' });
  await new Promise((resolve) => server.close(resolve));
});

await t.test('how long Meta asks to stay away, wherever and however it says so', async (t) => {
  const adAccount = (usage: unknown) => waitOf({ 'x-ad-account-usage': JSON.stringify(usage) });
  t.equal(adAccount({ acc_id_util_pct: 100, reset_time_duration: 90 }), 90_000);
  t.equal(adAccount({ acc_id_util_pct: '99.4', reset_time_duration: '90' }), 90_000);
  t.equal(
    adAccount({ acc_id_util_pct: 9.67, reset_time_duration: 90 }),
    null,
    'far from the limit',
  );
  t.equal(adAccount({ reset_time_duration: 90 }), null);
  t.equal(adAccount([{ acc_id_util_pct: 100, reset_time_duration: -1 }]), null);
  t.equal(adAccount({ acc_id_util_pct: 100, reset_time_duration: 1e9 }), 6 * 3_600_000, 'bounded');
  t.equal(waitOf({ 'x-ad-account-usage': '{acc_id_util_pct' }), null);

  const nowMs = Date.parse('2026-10-01T12:00:00Z');
  const retryAfter = (value: string) => waitOf({ 'retry-after': value }, nowMs);
  t.equal(retryAfter('Thu, 01 Oct 2026 12:02:00 GMT'), 120_000);
  t.equal(retryAfter('Thu, 01 Oct 2026 11:00:00 GMT'), null, 'over');
  t.equal(retryAfter(' 7 '), 7_000);
  for (const value of ['', 'soon', '-3', '1.5', 'NaN']) t.equal(retryAfter(value), null, value);
});
