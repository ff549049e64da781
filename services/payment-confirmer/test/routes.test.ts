/**
 * Goal: webhooks come in whatever their content type claims, and a stranger's cannot flood the log
 * with alarms, although each is counted.
 * Method: the routes on a real port before a gateway that says what the test wants; raw sockets for
 * headers that no client would send.
 */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { mock } from 'node:test';
import { createHttpServer, createLogger } from '@rastro/runtime';
import t from 'tap';
import type { Account } from '../src/adapters/gateways.ts';
import { createPaymentMetrics } from '../src/adapters/metrics.ts';
import type { Gateway, WebhookDelivery, WebhookVerdict } from '../src/core/gateway.ts';
import { addRoutes } from '../src/routes.ts';

const lines: string[] = [];
const log = createLogger({ level: 'debug', stream: { write: (line) => void lines.push(line) } });
const metrics = createPaymentMetrics('payment-confirmer');
const app = createHttpServer({ log, trustedProxies: [] });
t.teardown(() => app.close());

const forged = { outcome: 'forged', problem: 'the secret is wrong' } as const;
let verdict: WebhookVerdict = forged;
const deliveries: WebhookDelivery[] = [];
const gatewayOf = (isFinal: boolean): Gateway => ({
  kind: 'test',
  silentOn: {},
  requeryIntervalMs: 0,
  checkoutNotice: null,
  ...(isFinal ? { isRefusalFinal: true } : {}),
  createCharge: async () => ({ ok: false, reason: 'not here' }),
  getCharge: async () => null,
  refund: async () => {
    throw new Error('not here');
  },
  verifyWebhook: async (delivery) => {
    deliveries.push(delivery);
    return verdict;
  },
});
await addRoutes(app, {
  chooseGateway: (accountId) => ({
    ok: true,
    gateway: gatewayOf(accountId.startsWith('final')),
    account: {} as Account,
    workspaceId: 'demo',
  }),
  store: async () => true,
  askSoon: async () => false,
  wake: () => undefined,
  metrics,
  log,
});
await app.listen({ port: 0, host: '127.0.0.1' });
const { port } = app.server.address() as AddressInfo;

/** Posts with a content type as it is; resolves with the status. */
async function post(accountId: string, contentType: string | null, body = '{}'): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  const head = [
    `POST /webhooks/${accountId} HTTP/1.1`,
    'host: x',
    'connection: close',
    ...(contentType === null ? [] : [`content-type: ${contentType}`]),
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'close');
  return Number(Buffer.concat(chunks).toString().split(' ')[1]);
}

const levelsOf = () =>
  lines
    .map((line) => JSON.parse(line) as { level: number; msg: string })
    .filter(({ msg }) => msg === 'a webhook was refused')
    .map(({ level }) => level);

await t.test('any content type, and none', async (t) => {
  verdict = { outcome: 'verified', hint: hintOf('w1') };
  const types = ['application/json', 'json', '', ' ', 'text', 'a/b/c', ';', 'x; charset=???', null];
  for (const type of types) {
    t.equal(await post('shop', type, '{"a":1}'), 200, `content type ${type}`);
    t.equal(Buffer.from(deliveries.at(-1)?.body ?? []).toString(), '{"a":1}');
  }
  t.equal(await post('shop', 'json', 'x'.repeat(65_537)), 413);
});

await t.test('a stranger raises one alarm a minute for each account', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  verdict = forged;
  lines.length = 0;
  for (let count = 0; count < 20; count += 1) t.equal(await post('final-one', 'json'), 401);
  t.same(levelsOf(), [50, ...Array.from({ length: 19 }, () => 20)]);
  t.equal(await post('final-two', 'json'), 401);
  t.equal(levelsOf().at(-1), 50, 'of another account');
  verdict = { outcome: 'malformed', problem: 'the body is not JSON' };
  t.equal(await post('final-one', 'json'), 400);
  t.equal(levelsOf().at(-1), 40, 'what was proven is not lost among them');
  mock.timers.setTime(Date.now() + 60_000);
  t.equal(await post('final-one', 'json'), 400);
  t.equal(levelsOf().at(-1), 50);
  verdict = forged;
  t.equal(await post('shop', 'json'), 401);
  t.equal(levelsOf().at(-1), 40, 'it comes again by itself');
  const counted = await metrics.registry.metrics();
  t.match(counted, /rastro_webhooks_total\{kind="test",outcome="forged"[^}]*\} 22/);
});

function hintOf(webhookId: string) {
  const nothing = { chargeId: null, reference: null, amountCents: null, currency: null };
  return { webhookId, type: 'ping', isAboutCharge: false, ...nothing, claim: null, record: {} };
}
