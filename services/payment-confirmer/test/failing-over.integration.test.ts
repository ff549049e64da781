/**
 * Goal: a gateway that is down costs no sale: the next account's code is shown, one a checkout.
 * Method: two accounts whose gateways fail, refuse or hang one by one; processes at once, and one
 * that is killed after the second gateway has answered and before it can commit.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mock } from 'node:test';
import { createLogger, newId } from '@rastro/runtime';
import { eventually, sampleSecrets } from '@rastro/testing';
import t from 'tap';
import { defaultFailover } from '../src/core/failover.ts';
import { boughtAtLast, patient } from './arrivals.ts';
import { startProcess } from './stand-ins.ts';
import { botId, eventOf, hurried, metricsOf, startTwoAccounts } from './two-accounts.ts';
import { bought, buy, chargeAtBank, chargesOf, secondSecrets, sees, start } from './world.ts';

let strike: 'POST' | null = null;
let child: ChildProcess | undefined;
const accounts = await startTwoAccounts(async ({ method }) => {
  if (method !== strike || !child) return;
  strike = null;
  child.kill('SIGKILL');
  await once(child, 'exit');
});
t.teardown(() => accounts[Symbol.asyncDispose]());
const { world, first, second, settle } = accounts;

/** Also after the caller's time, on a busy machine; the process that follows needs its port. */
const killed = () =>
  eventually(() => {
    if (strike !== null || child?.signalCode === null) throw new Error('not killed yet');
  }, patient);

await t.test('the first account makes no charge, so the second does', async (t) => {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', stream: { write: (line) => void lines.push(line) } });
  await using service = await start(world, {}, log);
  for (const [mode, outcome] of [
    [503, 'unavailable'],
    [429, 'unavailable'],
    [401, 'refused'],
    [403, 'refused'],
    [422, 'refused'],
  ] as const) {
    first.setMode(mode);
    lines.length = 0;
    const { paymentId, pixCode } = await bought(world, { botId });
    const charges = await chargesOf(world, paymentId);
    t.same(
      charges.map((charge) => charge.pix_code),
      [pixCode],
      `after ${mode}`,
    );
    await sees(world, paymentId, 'PaymentCreated');
    t.match(eventOf(world, paymentId, 'PaymentCreated'), {
      data: { accountId: 'pix-second', gateway: 'standard-webhooks', checkoutNotice: 'pix-second' },
    });
    const failures = lines.filter((line) => line.includes('made no charge'));
    t.equal(failures.length, 1, 'one line an attempt');
    const line = { paymentId, accountId: 'pix-sandbox', outcome, next: 'pix-second' };
    t.match(JSON.parse(failures[0] ?? ''), { ...line, reason: new RegExp(`${mode}`) });
    if (mode !== 503) continue;
    // Its webhooks and what is asked about it go to the account that made it.
    const [charge] = charges;
    if (charge) await chargeAtBank(world, charge, 'pay');
    await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
    t.match(eventOf(world, paymentId, 'PaymentPaid'), { data: { accountId: 'pix-second' } });
  }
  settle();
  for (const strange of ['bot-nowhere', 'bot-unreadable', 'bot-strange']) {
    const { paymentId } = await bought(world, { botId: strange });
    await sees(world, paymentId, 'PaymentCreated');
    t.match(
      eventOf(world, paymentId, 'PaymentCreated'),
      { data: { accountId: 'pix-second' } },
      strange,
    );
  }
  const text = lines.join('');
  for (const secret of [...Object.values(sampleSecrets), ...Object.values(secondSecrets)]) {
    t.notOk(text.includes(secret), 'no secret in the log');
  }
  const counted = await metricsOf(service.url);
  t.match(counted, /rastro_charge_attempts_total\{[^}]*outcome="refused"[^}]*\} 3/);
  t.match(counted, /rastro_charge_attempts_total\{[^}]*outcome="opened"[^}]*\} 8/);
});

await t.test('no account makes one: worth another try or not', async (t) => {
  await using _service = await start(world);
  const checkoutId = newId();
  const code = async (one: number, two: number) => {
    first.setMode(one);
    second.setMode(two);
    const reply = await buy(world, { botId, checkoutId });
    return reply.ok ? 'ok' : reply.error.code;
  };
  t.equal(await code(422, 401), 'refused');
  t.equal(await code(503, 422), 'unavailable');
  t.equal(await code(422, 503), 'unavailable');
  t.equal(await code(503, 503), 'unavailable');
  settle();
  const { paymentId } = await bought(world, { botId, checkoutId });
  t.equal((await chargesOf(world, paymentId)).length, 1);
  await sees(world, paymentId, 'PaymentCreated');
});

await t.test('the first account hangs: an answer before the caller gives up', async (t) => {
  await using _service = await start(world);
  first.setMode('hang');
  const startedAt = performance.now();
  const checkoutId = newId();
  const shown = await bought(world, { botId, checkoutId });
  const tookMs = performance.now() - startedAt;
  t.ok(tookMs < defaultFailover.budgetMs, `${Math.round(tookMs)} ms`);
  settle();
  t.same(await bought(world, { botId, checkoutId }), shown, 'that account stays');
  t.equal((await chargesOf(world, shown.paymentId)).length, 1);
});

await t.test('two processes at once, while the first account comes and goes', async (t) => {
  await using _one = await start(world, { failover: hurried });
  await using _two = await start(world, { failover: hurried, port: 0 });
  const checkoutIds = Array.from({ length: 12 }, newId);
  const shown = new Map(checkoutIds.map((checkoutId) => [checkoutId, new Set<string>()]));
  const show = async (checkoutId: string) => {
    const { pixCode } = await boughtAtLast(world, { botId, checkoutId });
    shown.get(checkoutId)?.add(pixCode);
  };
  // Whose turn the others meet is chance: these two need either account for certain.
  const [ofSecond = '', ofFirst = '', ...others] = checkoutIds;
  first.setMode('swallow');
  await show(ofSecond);
  first.setMode('pass');
  await show(ofFirst);
  let turn = 0;
  first.setMode(() => (['swallow', 'pass', 503, 'pass', 'hang'] as const)[turn++ % 5] ?? 'pass');
  await Promise.all([...others, ...others, ...others].map(show));
  settle();
  const accountIds = new Set<unknown>();
  let made = 0;
  for (const checkoutId of checkoutIds) {
    const { paymentId, pixCode } = await bought(world, { botId, checkoutId });
    t.same([...(shown.get(checkoutId) ?? [])], [pixCode], 'one code, whoever asked');
    await sees(world, paymentId, 'PaymentCreated');
    const created = eventOf(world, paymentId, 'PaymentCreated');
    t.match(created, { data: { pixCode } });
    accountIds.add((created?.data as { accountId?: string } | undefined)?.accountId);
    made += (await chargesOf(world, paymentId)).length;
  }
  t.same(accountIds, new Set(['pix-sandbox', 'pix-second']), 'either was needed');
  t.ok(made > checkoutIds.length, `${made} charges were made, so some had to stay hidden`);
});

await t.test('an account that fails in a row rests, and comes back by a probe', async (t) => {
  const failover = { ...defaultFailover, failuresUntilRest: 2 };
  await using _service = await start(world, { failover });
  // A rest ends when the test says so, however long the requests take.
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.teardown(() => mock.timers.reset());
  const asked = async () => {
    const before = first.creations();
    await bought(world, { botId });
    return first.creations() - before;
  };
  first.setMode(503);
  t.same([await asked(), await asked(), await asked(), await asked()], [1, 1, 0, 0]);
  // Where there is nothing else, it is asked all the same.
  t.match(await buy(world, { botId: 'bot-a' }), { ok: false, error: { code: 'unavailable' } });
  second.setMode(503);
  const before = first.creations();
  t.match(await buy(world, { botId }), { ok: false, error: { code: 'unavailable' } });
  t.equal(first.creations() - before, 1, 'the last resort');
  settle();
  mock.timers.tick(failover.restMs - 1);
  t.equal(await asked(), 0, 'it still rests');
  mock.timers.tick(1);
  t.same([await asked(), await asked()], [1, 1], 'it is back');
});

await t.test('SIGKILL after the second account has answered and before the commit', async (t) => {
  child = await startProcess(world);
  t.teardown(() => child?.kill('SIGKILL'));
  for (const afterwards of [503, 'pass'] as const) {
    first.setMode(503);
    strike = 'POST';
    const checkoutId = newId();
    t.match(await buy(world, { botId, checkoutId }, 3_000), { ok: false });
    await killed();
    first.setMode(afterwards);
    child = await startProcess(world);
    const { paymentId, pixCode } = await bought(world, { botId, checkoutId });
    const charges = await chargesOf(world, paymentId);
    t.equal(charges.length, afterwards === 503 ? 1 : 2);
    await sees(world, paymentId, 'PaymentCreated');
    const accountId = afterwards === 503 ? 'pix-second' : 'pix-sandbox';
    t.match(eventOf(world, paymentId, 'PaymentCreated'), { data: { accountId, pixCode } });
    const stray = charges.find((charge) => charge.pix_code !== pixCode);
    if (!stray) continue;
    // The process that was killed asked the second account; that is remembered.
    await chargeAtBank(world, stray, 'pay');
    await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
    t.match(eventOf(world, paymentId, 'PaymentPaid'), { data: { accountId: 'pix-second' } });
  }
});
