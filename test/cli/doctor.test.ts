/**
 * Goal: `rastro doctor` finds nothing in a house that works, names each fault of one that does not
 * together with what mends it, and neither changes anything nor tells Meta unless asked to.
 * Method: the real command beside a whole house in one process; then faults of every room at once:
 * a right taken away, the dispatcher gone with its consumer, pools that each lack one thing.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyCatalog } from '@rastro/infra/catalog-client';
import { parseCatalogYaml } from '@rastro/infra/catalog-yaml';
import { durables } from '@rastro/infra/durables';
import { repository } from '@rastro/infra/services';
import type { CatalogItem } from '@rastro/events';
import { connectNats } from '@rastro/messaging';
import { eventually, putCatalog, sampleCatalog, testLog } from '@rastro/testing';
import t from 'tap';
import { runRastro } from '../support/rastro-process.ts';
import { startTestHouse } from '../support/test-house.ts';

interface Finding {
  readonly check: string;
  readonly subject: string;
  readonly status: string;
  readonly detail: string;
  readonly mend: string | null;
}

await using stack = new AsyncDisposableStack();
const { house, dataDir, publicOrigin, sandbox, sql } = stack.use(
  await startTestHouse({ mode: 'one-process' }),
);
const { servers, secrets, urls } = house;
const nats = stack.use(await connectNats({ url: servers.natsUrl, name: 'test', log: testLog() }));
const environment = { RASTRO_DATA_DIR: dataDir, PUBLIC_ORIGIN: publicOrigin };

async function rastro(args: readonly string[], changes: Record<string, string> = {}) {
  const process = runRastro(['infra/cli/main.ts', ...args], { ...environment, ...changes });
  const code = await process.exit();
  return { code, output: process.output() };
}

const doctor = (...args: string[]) => rastro(['doctor', ...args]);

const findingsIn = (output: string): Finding[] => JSON.parse(output) as Finding[];

const failedIn = (findings: readonly Finding[]): Finding[] =>
  findings.filter(({ status }) => status === 'failed');

/** Looked at already, whatever was found. */
const until = (check: () => Promise<boolean>): Promise<void> =>
  eventually(
    async () => {
      if (!(await check())) throw new Error('not yet');
    },
    { timeoutMs: 30_000 },
  );

const healthOf = async (botId: string): Promise<string | undefined> => {
  const [row] = await sql<{ health: string }[]>`
    select health from funnel.bot_health where bot_id = ${botId}`;
  return row?.health;
};

await t.test('a house that works', async (t) => {
  await until(async () => (await healthOf('bot-b')) === 'healthy');
  const { code, output } = await doctor();
  t.equal(code, 0, output);
  t.match(output, /^ok +bridge, pool promo: 2 healthy bots/m);
  t.match(output, /\n0 failed, 0 warnings, \d+ ok\.\n$/);
  t.same(await sandbox.graphRequests(), [], 'nobody has told Meta anything');
  const { state } = await nats.jsm.streams.info('TRAFFIC');
  t.equal(state.messages, 0, 'nobody has clicked');

  const known = [];
  for (const stream of ['TRAFFIC', 'COMMERCE', 'UPDATES', 'CATALOG']) {
    for await (const { config } of nats.jsm.consumers.list(stream)) {
      if (config.durable_name !== undefined) known.push(config.durable_name);
    }
  }
  t.same(known.toSorted(), durables.map(({ name }) => name).toSorted(), 'it asks about each');
});

await t.test('Meta is asked on request only, and only with a code', async (t) => {
  const [asked, without, unknown] = await Promise.all([
    doctor('--test-call', 'TEST12345', '--json'),
    doctor('--test-call'),
    doctor('--pool', 'nobodys', '--test-call', 'T1'),
  ]);
  t.equal(asked.code, 0, asked.output);
  const [call] = findingsIn(asked.output).filter(({ check }) => check === 'test call');
  t.match(call, { subject: 'pool promo', status: 'ok', detail: /Meta took the PageView/ });
  const requests = await sandbox.graphRequests();
  t.match(requests, [{ accepted: true, testEventCode: 'TEST12345', events: [{}] }]);
  for (const { code, output } of [without, unknown]) t.equal(code, 2, output);
  t.match(unknown.output, 'There is no pool nobodys');
});

/** As no file may say it, and sealed with another key: a stream that was restored, for instance. */
async function putStrangePool(): Promise<void> {
  const sample = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as CatalogItem<'pool'>;
  const id = 'no-pixel';
  const data = { ...sample, id, slug: id, meta: { ...sample.meta, pixelId: null } };
  await putCatalog(nats, 'demo', [{ kind: 'pool', id, data }]);
}

/** The demo's catalog with pools that each lack one thing, and a bot that Telegram refuses. */
async function brokenCatalog() {
  const file = join(repository, 'infra/sandbox/catalog.yaml');
  const text = await readFile(file, 'utf8');
  const bot = `bots:
  - { id: bot-c, username: receitas_c_bot, token: '7:AArefused', funnel: default, account: pix-sandbox }`;
  const pool = (id: string, meta: string, rest = ''): string => `
  - { id: ${id}, slug: ${id}, bots: [{ bot: ${id === 'sick' ? 'bot-c' : 'bot-a'} }], meta: { ${meta} }${rest} }`;
  const pools = [
    pool('no-purchase', 'pixelId: "1234567890", events: { purchase: false }'),
    pool('bad-token', 'pixelId: "777", accessToken: EAAwrongToken'),
    pool('sick', 'pixelId: "1234567890"'),
    pool('testing', 'pixelId: "1234567890", testEventCode: T1', ', consent: required'),
  ];
  const broken = `${text.replace(/^bots:/m, bot).trimEnd()}${pools.join('')}\n`;
  const sandboxUrl = { SANDBOX_URL: house.sandboxUrl ?? '' };
  return parseCatalogYaml({ text: broken, fileName: file, environment: sandboxUrl });
}

/** A frozen event that has been due for five minutes. */
async function putDue(pixelId: string): Promise<void> {
  const seconds = Math.floor(Date.now() / 1_000);
  const event = { event_name: 'PageView', event_time: seconds, event_id: pixelId, user_data: {} };
  await sql`
    insert into capi.pixels (workspace_id, pixel_id) values ('demo', ${pixelId})
    on conflict do nothing`;
  await sql`
    insert into capi.conversions (id, workspace_id, pixel_id, pool_id, event_name, event_id, state,
      due_at, event_time, body)
    values (gen_random_uuid(), 'demo', ${pixelId}, 'promo', 'PageView', ${pixelId}, 'due',
      now() - interval '5 min', ${seconds}, ${JSON.stringify(event)})`;
}

async function isParkedByMeta(pixelId: string): Promise<boolean> {
  const [row] = await sql<{ state: string }[]>`
    select state from capi.pixels where pixel_id = ${pixelId}`;
  return row?.state === 'parked';
}

await t.test('each fault is named with what mends it', async (t) => {
  const api = { url: urls.get('operator-console') ?? '', apiKey: secrets.apiKey };
  await applyCatalog(api, await brokenCatalog(), secrets);
  await putStrangePool();
  await putDue('777');
  await until(async () => (await healthOf('bot-c')) === 'unhealthy');
  await until(() => isParkedByMeta('777'));
  await house.running.get('capi-dispatcher')?.[Symbol.asyncDispose]();
  await nats.jsm.consumers.delete('COMMERCE', 'capi-dispatcher__commerce');
  await nats.jsm.streams.update('CATALOG', { max_bytes: 1_000_000 });
  await nats.js.publish('dead.somebody.Something', 'lost');
  await sql`revoke insert on capi.conversions from rastro_capi`;
  await putDue('1234567890');
  const { code, output } = await doctor('--test-call', 'TEST12345', '--json');
  t.equal(code, 1, output);
  t.notMatch(output, /EAA(wrong|some|Sandbox)|AArefused/, 'no token is printed');
  const findings = findingsIn(output);
  const named = failedIn(findings).map(({ check, subject }) => `${check}, ${subject}`);
  t.same(
    named.toSorted(),
    [
      'schema, capi',
      'ledger, capi-dispatcher',
      'stream, CATALOG',
      'dead letters, DEAD',
      'consumer, capi-dispatcher__commerce',
      'consumer, capi-dispatcher__traffic',
      'master key, catalog',
      'pixel id, pool no-pixel',
      'access token, pool no-pixel',
      'Purchase, pool no-purchase',
      'pixel, pool bad-token',
      'test call, pool bad-token',
      'bridge, pool sick',
    ].toSorted(),
  );
  const mends = (about: string): string | null =>
    findings.find(({ check, subject }) => `${check}, ${subject}` === about)?.mend ?? null;
  t.equal(mends('schema, capi'), 'pnpm rastro grant rastro_capi');
  t.match(mends('consumer, capi-dispatcher__traffic'), 'docker compose up -d capi-dispatcher');
  t.match(mends('pixel id, pool no-pixel'), /pools → no-pixel → meta.pixelId.*catalog apply/);
  t.match(mends('Purchase, pool no-purchase'), 'meta.events.purchase: true');
  t.match(mends('test call, pool bad-token'), 'pools → bad-token → meta.accessToken');
  t.match(mends('bridge, pool sick'), 'bots → bot-c → token');
  const details = failedIn(findings)
    .map(({ detail }) => detail)
    .join('\n');
  t.match(details, /lacks grant conversions \(insert\)/);
  t.match(details, /no bot is healthy: bot-c \(Telegram refuses its token/);
  t.match(details, /is parked since \S+ \(code 190.*Invalid OAuth/, 'what Meta said before');
  t.match(details, /Meta refuses token or pixel: code 190/, 'what Meta says now');
  const calls = (await sandbox.graphRequests()).filter(({ accepted }) => accepted);
  t.equal(calls.length, 2, 'one for each pixel and token, and the one before');
  const { config } = await nats.jsm.streams.info('CATALOG');
  t.equal(config.max_bytes, 1_000_000, 'it mends nothing by itself');
  const warned = findings.filter(({ status }) => status === 'warning');
  t.same(warned.map(({ check, subject }) => `${check}, ${subject}`).toSorted(), [
    'consent, pool testing',
    'testEventCode, pool testing',
  ]);
});

await t.test('what it says mends it; one pool alone; nothing running', async (t) => {
  const empty = await mkdtemp(join(tmpdir(), 'rastro-doctor-'));
  t.teardown(() => rm(empty, { recursive: true, force: true }));
  const granted = await rastro(['grant', 'rastro_capi']);
  t.equal(granted.code, 0, granted.output);
  const nowhere = { RASTRO_DATA_DIR: empty, PUBLIC_ORIGIN: 'http://127.0.0.1:9' };
  const [one, nothing] = await Promise.all([
    doctor('--pool', 'no-purchase', '--workspace', 'demo'),
    rastro(['doctor'], nowhere),
  ]);
  t.equal(one.code, 1, one.output);
  t.match(one.output, /^ok +schema, capi/m);
  t.match(one.output, /FAILED +Purchase, pool no-purchase: is switched off\n +→ in the catalog/);
  t.notMatch(one.output, /pool (promo|sick|no-pixel)/);
  t.equal(nothing.code, 1, nothing.output);
  t.match(nothing.output, /FAILED +Postgres, server: .*\n +→ npm start/);
  t.match(nothing.output, /FAILED +NATS, server:/);
  t.match(nothing.output, /FAILED +PUBLIC_ORIGIN, http:\/\/127\.0\.0\.1:9: does not answer/);
});
