/**
 * A Telegram that takes every call and keeps nothing, so that what is measured is not the stand-in.
 * Counts messages; says its address on stdout, and the count at `GET /count`.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let sent = 0;

/** The username of a bot is its id in the fleet, which its token begins with. */
function resultOf(token: string, method: string): unknown {
  const id = Number(token.split(':')[0]);
  if (method === 'getMe') {
    return { id, is_bot: true, first_name: 'Bench', username: `bench_${id % 1_000}_bot` };
  }
  if (method === 'getWebhookInfo') return { url: '', pending_update_count: 0 };
  if (!method.startsWith('send')) return true;
  sent += 1;
  return { message_id: sent, date: 1, chat: { id: 1, type: 'private' } };
}

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    const [, token = '', method = ''] = /^\/bot([^/]+)\/(\w+)/.exec(request.url ?? '') ?? [];
    const body =
      request.url === '/count' ? { sent } : { ok: true, result: resultOf(token, method) };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`http://127.0.0.1:${port}\n`);
});
