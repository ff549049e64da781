/**
 * Goal: whatever dies, each customer gets one PIX and one delivery link, in order, and no secret
 * reaches the log. Method: the service as a process of its own, killed with SIGKILL again and
 * again while customers walk and Telegram answers 429, 500 and resets at random.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deriveSecret } from '@rastro/runtime';
import { eventually, sampleSecrets, testMasterKey } from '@rastro/testing';
import t from 'tap';
import { delivered, paid } from './payments.ts';
import { chargeOf, pressWhenShown, startWorld, type World } from './world.ts';
import { hostileText } from './world-catalog.ts';

const customers = Array.from({ length: 12 }, (_, index) => 7000 + index);
const kills = 3;
const patienceMs = 60_000;

function spawnService(world: World, log: string[]): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../src/main.ts')], {
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      LOG_LEVEL: 'trace',
      NATS_URL: world.natsUrl,
      POSTGRES_URL: world.postgresUrl,
      PUBLIC_ORIGIN: world.publicOrigin,
      RASTRO_MASTER_KEY: testMasterKey.toString('base64'),
      TELEGRAM_API_URL: `${world.sandbox.url}/telegram`,
      TELEGRAM_UPDATES: 'polling',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => log.push(bytes.toString()));
  }
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  // Not before all that it wrote has been read.
  const closed = once(child, 'close');
  child.kill(signal);
  await closed;
  return child.exitCode;
}

/** A customer who buys, and pays as soon as the charge is open. */
async function buy(world: World, user: number): Promise<void> {
  await world.start(user);
  await pressWhenShown(world, user, 'Saber mais', patienceMs);
  await pressWhenShown(world, user, 'Comprar', patienceMs);
  const charge = await chargeOf(world, user, patienceMs);
  await world.publish(paid(charge));
  await world.publish(delivered(charge, tokenOf(user)));
  // Not so many messages, but so many different ones: a step may come twice after a crash.
  const hasAll = async (): Promise<void> => assert.equal((await seenBy(world, user)).length, 5);
  await eventually(hasAll, { timeoutMs: patienceMs });
}

const tokenOf = (user: number): string => `${user}`.padEnd(32, 'D');

/** What a customer has seen, each thing once, in the order of its first appearance. */
async function seenBy(world: World, user: number): Promise<string[]> {
  const texts = (await world.said(user)).map(({ text, caption }) => text ?? caption ?? '');
  return [...new Set(texts)];
}

await t.test('killed again and again', { timeout: 110_000 }, async (t) => {
  const world = await startWorld();
  const log: string[] = [];
  let child = spawnService(world, log);
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) await end(child, 'SIGKILL');
    await world[Symbol.asyncDispose]();
  });
  const actions = [{ status: 429, retryAfterSeconds: 1 }, { status: 500 }, { reset: true }];
  for (const action of actions) {
    await world.control('faults', { api: 'telegram', probability: 0.07, action });
  }
  const walks = Promise.all(customers.map((user) => buy(world, user)));
  walks.catch(() => {});
  for (let count = 0; count < kills; count += 1) {
    await delay(1_500 + count * 300);
    await end(child, 'SIGKILL');
    child = spawnService(world, log);
  }
  await walks;
  for (const user of customers) {
    const charge = await chargeOf(world, user);
    const link = `${world.publicOrigin}/delivery/${tokenOf(user)}`;
    t.match(await seenBy(world, user), [
      hostileText,
      'Um e-book.',
      charge.pixCode,
      /^✅ Pagamento confirmado/,
      link,
    ]);
    t.equal((await seenBy(world, user)).length, 5, 'one PIX, one link, nothing else');
  }
  const checkouts = await world.recorded('CheckoutStarted');
  t.equal(checkouts.length, customers.length, 'one checkout for each press');
  // What a killed process had sent is recorded by the one that takes the chat over.
  const areRecorded = async (): Promise<void> => {
    const sent = await world.recorded('MessageSent');
    const deliveries = sent.filter(({ data }) => data.kind === 'delivery');
    assert.equal(deliveries.length, customers.length, 'each delivery is recorded once');
  };
  await eventually(areRecorded, { timeoutMs: patienceMs });

  t.equal(await end(child, 'SIGTERM'), 0, 'it drains and ends by itself');
  const text = log.join('');
  t.ok(text.includes('"msg":"ready"'));
  const secrets = [
    sampleSecrets.botToken,
    deriveSecret(testMasterKey, 'telegram-webhook/bot-a'),
    tokenOf(7000),
    '00020126',
  ];
  for (const secret of secrets) t.notOk(text.includes(secret), 'no secret in the log');
});
