/**
 * Goal: what `npm start` runs starts, says where to click, weighs little, ends at Ctrl-C without
 * leaving a process behind, and finds its data again; whatever is wrong is said in words.
 * Method: the real process from outside: its output, its children in /proc, its exit codes.
 */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@rastro/servers';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { isAlive, processTree, residentMb } from '../support/processes.ts';
import { runRastro, type RastroProcess } from '../support/rastro-process.ts';

const folder = await mkdtemp(join(tmpdir(), 'rastro-start-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
await chmod(folder, 0o755);
const environment = {
  RASTRO_DATA_DIR: join(folder, 'data'),
  PUBLIC_ORIGIN: `http://localhost:${await freePort()}`,
  LOG_LEVEL: 'warn',
};
const cli = 'infra/cli/main.ts';
const idleAfterMs = 20_000;

async function start(): Promise<{ rastro: RastroProcess; seconds: number }> {
  const since = performance.now();
  const rastro = runRastro(['infra/all-in-one.ts'], environment);
  await rastro.says(/Rastro is ready/);
  return { rastro, seconds: (performance.now() - since) / 1_000 };
}

/** Ctrl-C in a terminal reaches the process that runs in front. */
async function interrupt(rastro: RastroProcess): Promise<number | null> {
  rastro.child.kill('SIGINT');
  return rastro.exit();
}

async function rastroSays(args: readonly string[], more: Record<string, string> = {}) {
  const process = runRastro([cli, ...args], { ...environment, ...more });
  const code = await process.exit();
  return { code, output: process.output(), result: process.result() };
}

await t.test('start, weigh, stop, start again', async (t) => {
  const first = await start();
  t.match(first.rastro.output(), /start here {7}http:\/\/127\.0\.0\.1:\d+\//);
  const family = processTree(first.rastro.pid);
  t.ok(family.some(({ name }) => name.startsWith('nats-server')));
  // Idle connections close after a while.
  await new Promise((resolve) => setTimeout(resolve, idleAfterMs));
  const weights = processTree(first.rastro.pid).map(({ pid }) => residentMb(pid));
  const rss = weights.reduce((sum, weight) => sum + weight.rss, 0);
  const pss = weights.reduce((sum, weight) => sum + weight.pss, 0);
  t.comment(
    `first start ${first.seconds.toFixed(1)} s; idle: ${rss.toFixed(0)} MB resident, ${pss.toFixed(0)} MB with shared pages counted once`,
  );
  t.ok(pss < 600, 'all-in-one and the three servers stay below 600 MB');

  const twin = runRastro(['infra/all-in-one.ts'], environment);
  t.equal(await twin.exit(), 1);
  t.match(twin.output(), /already runs with this data folder/);

  t.equal(await interrupt(first.rastro), 0);
  await eventually(
    () => {
      const left = family.filter(({ pid }) => isAlive(pid));
      if (left.length > 0) {
        throw new Error(`still there: ${left.map(({ name }) => name).join(', ')}`);
      }
    },
    { timeoutMs: 30_000 },
  );
  t.match(first.rastro.output(), /Stopped\. Everything is kept/);

  const second = await start();
  t.teardown(() => interrupt(second.rastro));
  t.comment(`second start ${second.seconds.toFixed(1)} s`);
  const shown = await rastroSays(['catalog', 'show', 'demo', '--json']);
  t.equal(shown.code, 0, shown.output);
  const entries = JSON.parse(shown.result) as { version: number; kind: string }[];
  t.equal(entries.filter(({ kind }) => kind === 'bot').length, 2);
  t.ok(
    entries.every(({ kind, version }) => version === 1 || kind === 'account'),
    'nothing was applied twice',
  );
  t.notMatch(shown.output, /enc:v1:|whsec_|EAA/);

  const bad = join(folder, 'bad.yaml');
  await writeFile(
    bad,
    'workspace: demo\nproducts:\n  - id: ebook\n    name: X\n    priceCents: "10"\n    currency: BRL\nbots:\n  - { id: b, username: some_bot, token: "${NO_SUCH_TOKEN}", funnel: f, account: a }\n',
  );
  const refused = await rastroSays(['catalog', 'apply', bad]);
  t.equal(refused.code, 2);
  t.match(refused.output, /bad\.yaml:8: the variable NO_SUCH_TOKEN is not set/);
  const wrong = await rastroSays(['catalog', 'apply', bad], { NO_SUCH_TOKEN: '1:x' });
  t.equal(wrong.code, 2);
  t.match(wrong.output, /nothing was changed/);
  t.match(wrong.output, /bad\.yaml:5: products\.0\.priceCents/);
  const again = await rastroSays(['catalog', 'show', 'demo', '--json']);
  t.equal(again.result, shown.result, 'nothing was changed');
  const dead = await rastroSays(['dead', 'list']);
  t.equal(dead.code, 0, dead.output);
  t.equal((await rastroSays(['dead', 'replay'])).code, 2, 'misuse');
  t.equal((await rastroSays(['no-such-command'])).code, 2, 'misuse');
});

await t.test('a wrong environment is told whole, before anything is started', async (t) => {
  const rastro = runRastro(['infra/all-in-one.ts'], {
    ...environment,
    SANDBOX: 'maybe',
    NATS_URL: 'localhost',
    PUBLIC_ORIGIN: 'example.com',
  });
  t.equal(await rastro.exit(), 2);
  for (const name of ['SANDBOX', 'NATS_URL', 'PUBLIC_ORIGIN']) t.match(rastro.output(), name);
  t.notMatch(rastro.output(), /at .*\.ts:/);
});

await t.test(
  'a port that somebody chose and somebody else has is named with its variable',
  async (t) => {
    const port = await freePort();
    const squatter = createServer().listen(port, '127.0.0.1');
    t.teardown(() => squatter.close());
    const rastro = runRastro(['infra/all-in-one.ts'], {
      ...environment,
      RASTRO_DATA_DIR: join(folder, 'other'),
      PUBLIC_ORIGIN: `http://localhost:${port}`,
    });
    t.equal(await rastro.exit(), 1);
    t.match(rastro.output(), new RegExp(`Port ${port} is taken.*PUBLIC_ORIGIN`));
  },
);
