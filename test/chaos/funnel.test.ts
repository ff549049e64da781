/**
 * Goal: with Telegram failing at random and bot-funnel killed every 10 s, each of 2,000 customers
 * who pays gets one delivery link, nobody two PIX codes for one press, all in order.
 * Method: bot-funnel as a process of its own between private servers and the sandbox's Telegram,
 * which answers 429, 403, 500 and resets before and after the call; the test plays the customers
 * and payment-confirmer. The seed is printed: RASTRO_SEED=<n> runs the same crowd again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CatalogItem, DataOf, RastroEvent } from '@rastro/events';
import { startServiceProcess } from '@rastro/infra/service-process';
import { services } from '@rastro/infra/services';
import { connectNats, listDeadLetters, publishEvent, subscribe } from '@rastro/messaging';
import { sealSecret } from '@rastro/runtime';
import { startSandbox } from '@rastro/sandbox';
import { freePort } from '@rastro/servers';
import {
  migratedDatabase,
  putCatalog,
  type SampleEntry,
  sampleCatalog,
  startTestServers,
  testLog,
  testMasterKey,
} from '@rastro/testing';
import fc from 'fast-check';
import t from 'tap';
import {
  answerPayments,
  delivered,
  type Gateway,
  paid,
} from '../../services/bot-funnel/test/payments.ts';
import { type Customer, type CrowdOptions, walk, wordsOf } from '../support/customer-crowd.ts';
import { sandboxClient } from '../support/sandbox-client.ts';

const crowd = 2_000;
const arrivalMs = 60_000;
const killMs = 10_000;
/** Long enough for all who walk at an ordinary pace; on a busy machine the rest goes on in peace. */
const killForMs = 100_000;
const withinMs = 220_000;

const seed = Number(process.env['RASTRO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`RASTRO_SEED=${seed}`);

const bots = Array.from({ length: 40 }, (_, index) => ({
  token: `${2000 + index}:secret`,
  username: `shop_${index}_bot`,
}));

/** 3 % are told to wait, 6 % fail in three ways, and 3 in 1,000 are refused as if blocked. */
const rules = [
  { probability: 0.03, action: { status: 429, retryAfterSeconds: 1 } },
  { probability: 0.02, action: { status: 500 } },
  { probability: 0.02, action: { reset: true } },
  { probability: 0.02, action: { acceptThenDrop: true } },
  { probability: 0.003, match: { method: 'sendMessage' }, action: { status: 403 } },
].map((rule) => ({ api: 'telegram', ...rule }));

function catalog(): SampleEntry[] {
  const [sample] = sampleCatalog().filter((entry) => entry.kind === 'bot');
  const own = bots.map(({ username, token }): SampleEntry => {
    const sealed = sealSecret(testMasterKey, `bot/${username}/token`, token);
    const data = { ...(sample as SampleEntry<'bot'>).data, id: username, username, token: sealed };
    return { kind: 'bot', id: username, data: data as SampleEntry<'bot'>['data'] };
  });
  const rest = sampleCatalog().filter(({ kind }) => kind !== 'bot' && kind !== 'pool');
  return [...rest, ...own];
}

const customers: Customer[] = fc
  .sample(fc.record({ startsMs: fc.nat(arrivalMs), fate: fc.nat(99), awayMs: fc.nat(6_000) }), {
    seed,
    numRuns: crowd,
  })
  .map(({ startsMs, fate, awayMs }, index) => ({
    userId: 10_000 + index,
    bot: bots[index % bots.length]?.username ?? '',
    startsMs,
    blocksForMs: fate < 5 ? awayMs : null,
  }));

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
const log = testLog();
const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log }));
await putCatalog(nats, 'demo', catalog());
const wanted = services.find(({ name }) => name === 'bot-funnel')?.database;
if (!wanted) throw new Error('bot-funnel has no database');
const database = stack.use(await migratedDatabase(servers, wanted));
const port = await freePort();
const publicOrigin = `http://127.0.0.1:${port}`;
const sandbox = stack.use(
  await startSandbox({
    port: 0,
    publicOrigin,
    world: { bots, pixels: [], pixAccounts: [] },
    seed,
  }),
);
const products = sampleCatalog().flatMap(({ kind, data }) =>
  kind === 'product' && data !== null ? [data as CatalogItem<'product'>] : [],
);
const gateway: Gateway = { asked: [], gatewayIsDown: false, products, pixExpiryMs: 1_800_000 };
stack.use(await answerPayments(nats, gateway));
const charges = new Map<number, DataOf<'PaymentCreated'>>();
stack.use(
  await subscribe(nats, {
    service: 'test',
    purpose: 'charges',
    stream: 'COMMERCE',
    types: ['PaymentCreated'],
    async handle({ data }: RastroEvent<'PaymentCreated'>) {
      charges.set(data.telegramUserId ?? 0, data);
      return 'ack';
    },
  }),
);
const service = stack.use(
  startServiceProcess({
    name: 'bot-funnel',
    port,
    log,
    environment: {
      PATH: process.env['PATH'],
      PORT: String(port),
      // What a service says of an outage is what is to be expected here.
      LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'fatal',
      NATS_URL: servers.nats.url,
      POSTGRES_URL: database.url,
      PUBLIC_ORIGIN: publicOrigin,
      RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
      TELEGRAM_API_URL: `${sandbox.url}/telegram`,
      TELEGRAM_UPDATES: 'webhook',
    },
  }),
);
await service.ready();

const client = sandboxClient(sandbox.url);
const tokenOf = (userId: number): string => `${userId}`.padEnd(32, 'D');
const linkOf = (userId: number): string => `${publicOrigin}/delivery/${tokenOf(userId)}`;
const options: CrowdOptions = {
  client,
  linkOf,
  chargeOf: (userId) => charges.get(userId),
  async pay(charge) {
    await publishEvent(nats, paid(charge));
    await publishEvent(nats, delivered(charge, tokenOf(charge.telegramUserId ?? 0)));
  },
  async block({ bot, userId }, isBlocked) {
    const action = isBlocked ? 'block' : 'unblock';
    const path = `${sandbox.url}/control/telegram/chats/${bot}/${userId}/${action}`;
    await fetch(path, { method: 'POST', signal: AbortSignal.timeout(10_000) });
  },
};

let kills = 0;
async function killAgainAndAgain(over: AbortSignal): Promise<void> {
  while (kills < killForMs / killMs) {
    await delay(killMs, undefined, { signal: over }).catch(() => {});
    if (over.aborted) return;
    await service.kill();
    kills += 1;
  }
}

const percentile = (sorted: readonly number[], part: number): string =>
  `${((sorted[Math.floor(sorted.length * part)] ?? Number.NaN) / 1_000).toFixed(1)} s`;

await t.test('2,000 customers buy', { timeout: withinMs + 40_000 }, async (t) => {
  for (const rule of rules) await client.addFault(rule);
  const startedMs = performance.now();
  const over = new AbortController();
  const killing = killAgainAndAgain(over.signal);
  const deadlineMs = startedMs + withinMs;
  const walks = await Promise.all(customers.map((one) => walk(options, one, deadlineMs)));
  const tookMs = performance.now() - startedMs;
  over.abort();
  await killing;
  const waiting = walks.filter((one) => one.tookMs === null);
  t.same(
    waiting.slice(0, 5).map(({ customer, at }) => ({ ...customer, at })),
    [],
    'everybody got his link',
  );
  let placeholders = 0;
  const problems: string[] = [];
  for (const { userId, bot } of customers) {
    const texts = (await client.messages(bot, userId))
      .filter(({ from }) => from.is_bot)
      .map(wordsOf);
    placeholders += texts.filter((text) => /^(?:⏳ Gerando|📦 Preparando)/.test(text)).length;
    const code = charges.get(userId)?.pixCode ?? '?';
    const count = (part: string): number => texts.filter((text) => text.includes(part)).length;
    if (count(code) !== 1) problems.push(`${userId}: ${count(code)} PIX codes`);
    if (count(linkOf(userId)) !== 1) problems.push(`${userId}: ${count(linkOf(userId))} links`);
    const order = ['Olá!', code, '✅ Pagamento confirmado', linkOf(userId)].map((part) =>
      texts.findIndex((text) => text.includes(part)),
    );
    const isInOrder = order.every((place, index) => place > (order[index - 1] ?? -1));
    if (!isInOrder) problems.push(`${userId}: said in the order ${order.join(', ')}`);
  }
  t.same(problems.slice(0, 10), [], 'one code and one link each, in order');
  t.equal(
    new Set(gateway.asked.map(({ checkoutId }) => checkoutId)).size,
    crowd,
    'one checkout each',
  );
  t.same(await listDeadLetters(nats), [], 'nothing was given up');
  const times = walks.flatMap((one) => one.tookMs ?? []).toSorted((a, b) => a - b);
  t.comment(
    `${times.length} of ${crowd} customers in ${(tookMs / 1_000).toFixed(0)} s, ${kills} kills; ` +
      `START to link p50 ${percentile(times, 0.5)}, p99 ${percentile(times, 0.99)}, ` +
      `max ${percentile(times, 0.9999)}; ${placeholders} orphaned placeholders`,
  );
});
