/**
 * Goal: who has nothing but credentials sells from the click to the delivery link with a bot of his
 * own, also when it is killed, and reaches nothing of another workspace.
 * Method: the whole house and the example, started as its README says, with credentials that the
 * command made; a neighbour's credentials then try everything that the first may do, and more.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { applyCatalog } from '@rastro/infra/catalog-client';
import { parseCatalogYaml } from '@rastro/infra/catalog-yaml';
import { worldOf } from '@rastro/infra/house-sandbox';
import { connectNats } from '@rastro/messaging';
import { newId } from '@rastro/runtime';
import { eventually, testLog } from '@rastro/testing';
import t from 'tap';
import { type Journey, walk } from '../support/journey.ts';
import { type RastroProcess, runRastro } from '../support/rastro-process.ts';
import { startTestHouse } from '../support/test-house.ts';

await using world = await startTestHouse({ mode: 'one-process' });
const { house, sandbox, sql, dataDir, publicOrigin } = world;
const natsUrl = new URL(house.servers.natsUrl);

/** A shop whose bot is run elsewhere; every id is made of the workspace's name. */
const catalogOf = (name: string, number: number) =>
  parseCatalogYaml({
    fileName: `${name}.yaml`,
    environment: {},
    text: `
workspace: ${name}
accounts:
  - id: pix-${name}
    kind: standard-webhooks
    apiUrl: ${house.sandboxUrl}
    credentials: { apiKey: key-of-${name}, webhookSecret: whsec_c2FuZGJveC13ZWJob29rLXNlY3JldC0zMi1ieXRlcyE= }
products:
  - { id: curso-${name}, name: 'Curso <1>', priceCents: 4990, currency: BRL, accessUrl: 'https://example.com' }
funnels:
  - { id: funil-${name}, steps: [{ id: welcome, text: Oi, buttons: [{ label: Comprar, buy: curso-${name} }] }] }
bots:
  - id: bot-${name}
    username: ${name}_bot
    token: '700000010${number}:AAsandboxBotTokenOfItsOwn000000000${number}'
    funnel: funil-${name}
    account: pix-${name}
    runtime: external
pools:
  - id: curso-${name}
    slug: curso-${name}
    bots: [{ bot: bot-${name} }]
    meta: { enabled: true, pixelId: '987654321${number}', accessToken: EAATokenOf${name} }
`,
  });

const shops = [catalogOf('loja', 1), catalogOf('vizinha', 2)];
const drafts = shops.flatMap((shop) => shop.drafts);
await sandbox.putWorld(worldOf({ workspaceId: 'both', drafts }, publicOrigin));
for (const shop of shops) {
  await applyCatalog({ url: publicOrigin, apiKey: house.secrets.apiKey }, shop, house.secrets);
}

async function credentials(...args: string[]) {
  const all = ['infra/cli/main.ts', 'nats', 'credentials', ...args];
  const command = runRastro(all, { RASTRO_DATA_DIR: dataDir });
  const code = await command.exit();
  return { code, output: command.output() };
}

interface Made {
  readonly publicKey: string;
  readonly seedFile: string;
}

async function makeCredentials(workspace: string): Promise<Made> {
  const { code, output } = await credentials(workspace, '--json');
  assert.equal(code, 0, output);
  const made = JSON.parse(output) as Made;
  await (await connectWith(made)).close();
  return made;
}

/** The command does not hear when the server has read what it wrote. */
function connectWith({ seedFile }: Made): Promise<NatsConnection> {
  const authenticator = nkeyAuthenticator(readFileSync(seedFile));
  const servers = natsUrl.host;
  return eventually(() => connect({ servers, authenticator, reconnect: false }));
}

const loja = await makeCredentials('loja');

function startBot(): RastroProcess {
  return runRastro(['examples/external-bot/bot.js'], {
    NATS_URL: `nats://${natsUrl.host}`,
    NATS_SEED_FILE: loja.seedFile,
    RASTRO_WORKSPACE: 'loja',
    BOT_ID: 'bot-loja',
    BOT_TOKEN: '7000000101:AAsandboxBotTokenOfItsOwn0000000001',
    PRODUCT_ID: 'curso-loja',
    PUBLIC_ORIGIN: publicOrigin,
    TELEGRAM_API_URL: `${house.sandboxUrl}/telegram`,
    STATE_FILE: join(dataDir, 'bot-state.json'),
  });
}

let kills = 0;
const leastKills = 3;

/**
 * Kills it again and again while customers walk; resolves with the one that lives. What it held
 * comes again after 30 s, so there is an end to it.
 */
async function killWhile(isWalking: () => boolean): Promise<RastroProcess> {
  const lives = [900, 400, 1_300, 600, 1_000];
  for (; ; kills += 1) {
    const bot = startBot();
    await bot.says(/is at work/);
    const lifeMs = lives[kills];
    if (lifeMs === undefined) return bot;
    await delay(lifeMs);
    if (!isWalking()) return bot;
    bot.child.kill('SIGKILL');
    await bot.exit();
  }
}

/** However long its starts take, it is killed so often while there is somebody to serve. */
const killedOften = (): Promise<void> =>
  eventually(() => assert.ok(kills >= leastKills), { timeoutMs: 60_000 });

async function checkTraces({ trackingToken, paymentId, telegramUserId }: Journey): Promise<void> {
  await eventually(
    async () => {
      const [purchase, ...others] = await sandbox.events(`purchase_${paymentId}`);
      assert.equal(purchase?.server.length, 1, 'one Purchase at Meta');
      assert.deepEqual(others, []);
      const rows = await sql<{ type: string; times: number }[]>`
        select type, count(*)::int as times from tracking.event_log
        where tracking_token = ${trackingToken} and workspace_id = 'loja' group by type`;
      const times = Object.fromEntries(rows.map((row) => [row.type, row.times]));
      const once = ['ClickTracked', 'CheckoutStarted', 'PaymentCreated', 'PaymentPaid'];
      for (const type of [...once, 'DeliveryIssued', 'DeliveryViewed']) {
        assert.equal(times[type], 1, `${type} of ${telegramUserId}`);
      }
      // A START that came again after a crash is a START.
      assert.ok((times['FunnelStarted'] ?? 0) >= 1);
      assert.ok((times['FunnelStepReached'] ?? 0) >= 1);
      assert.equal(times['ConversionAccepted'], 2);
      assert.equal(times['MessageSent'], undefined, 'bot-funnel is silent');
    },
    { timeoutMs: 30_000, intervalMs: 200 },
  );
}

await t.test('twelve customers buy of a bot that is killed meanwhile', async (t) => {
  t.equal(statSync(loja.seedFile).mode & 0o777, 0o600, 'only its owner reads the seed');
  let isWalking = true;
  const killing = killWhile(() => isWalking);
  const shop = { publicOrigin, sandbox, slug: 'curso-loja', timeoutMs: 60_000 };
  const walking = Array.from({ length: 12 }, async (_, index) => {
    await (index === 11 ? killedOften() : delay(index * 500));
    return walk(shop);
  });
  const journeys = await Promise.all(walking).finally(() => (isWalking = false));
  const bot = await killing;
  t.ok(kills >= leastKills, `killed ${kills} times`);
  t.teardown(() => bot.child.kill('SIGTERM'));
  for (const journey of journeys) await checkTraces(journey);
  t.equal((await sandbox.charges()).length, 12, 'one charge for one press');
  t.same(await sql`select * from funnel.messages where bot_id = 'bot-loja'`, []);
  await using own = await connectNats({ url: natsUrl.href, name: 'test', log: testLog() });
  await eventually(
    async () => {
      const info = await own.jsm.consumers.info('COMMERCE', 'external__loja');
      assert.deepEqual([info.num_pending, info.num_ack_pending], [0, 0], 'all was acknowledged');
    },
    { timeoutMs: 40_000, intervalMs: 200 },
  );
  for (const { username, telegramUserId } of journeys) {
    const messages = await sandbox.messages(username, telegramUserId);
    const said = messages.filter(({ from }) => from.is_bot).map(({ text = '' }) => text);
    t.ok(
      said.some((text) => /Pagamento confirmado/.test(text)),
      'thanks',
    );
    t.ok(
      said.some((text) => text.startsWith('Curso <1>: http')),
      'the link, its product escaped',
    );
  }
});

await t.test('a neighbour sees and does nothing of it', async (t) => {
  const neighbour = await makeCredentials('vizinha');
  const nats = await connectWith(neighbour);
  t.teardown(() => nats.close());
  const js = jetstream(nats, { domain: 'rastro' });
  const asked = async (subject: string, body: object): Promise<unknown> =>
    (await nats.request(subject, JSON.stringify(body), { timeout: 15_000 })).json();
  const heard: string[] = [];
  for (const subject of ['events.>', '>', '_INBOX.>', '$JS.>']) {
    nats.subscribe(subject, {
      callback: (error, message) => void (error ?? heard.push(message.subject)),
    });
  }

  const order = {
    checkoutId: newId(),
    productId: 'curso-loja',
    poolId: null,
    leadId: null,
    telegramUserId: 7,
    trackingToken: null,
  };
  for (const [subject, body] of [
    ['payments.create', { ...order, botId: 'bot-loja' }],
    ['payments.revalidate', { paymentId: newId() }],
    ['funnel.start', { botId: 'bot-loja', telegramUserId: 7 }],
    ['funnel.step', { botId: 'bot-loja', telegramUserId: 7, stepId: 'welcome' }],
  ] as const) {
    const asLoja = await asked(subject, { ...body, workspaceId: 'loja' });
    t.match(asLoja, { ok: false, error: { code: 'refused' } }, `${subject} for loja`);
    const asItself = await asked(subject, { ...body, workspaceId: 'vizinha' });
    t.match(asItself, { ok: false, error: { code: 'not_found' } }, `${subject} of what is not its`);
  }

  const recorded = () => sql`
    select count(*) from tracking.event_log where workspace_id in ('loja', 'vizinha')`;
  const before = await recorded();
  await t.rejects(js.publish('events.loja.payment.PaymentPaid', '{}'), /Permissions/);
  for (const subject of [
    'workspace.loja.payments.create',
    'tracking.get',
    'payments.reconcile',
    'catalog.loja.bot.bot-loja',
  ]) {
    await t.rejects(asked(subject, {}), /Permissions/, subject);
  }
  await t.rejects(js.consumers.get('COMMERCE', 'external__loja'), /Permissions/);
  const manager = await jetstreamManager(nats, { checkAPI: false, domain: 'rastro' });
  const spy = { durable_name: 'spy', deliver_subject: 'spy' };
  await t.rejects(manager.consumers.add('COMMERCE', spy), /Permissions/);
  await t.rejects(manager.streams.getMessage('COMMERCE', { seq: 1 }), /Permissions/);
  await t.rejects(manager.streams.delete('COMMERCE'), /Permissions/);

  const mine = await js.consumers.get('COMMERCE', 'external__vizinha');
  t.equal((await mine.info()).num_pending, 0, 'its own durable has nothing of loja');
  t.equal(await mine.next({ expires: 1_000 }), null);
  t.same(await recorded(), before, 'and nothing was recorded');
  t.ok(
    heard.every((subject) => subject.startsWith('_INBOX.')),
    'heard are its own replies',
  );
});

await t.test('the command lists, gives a second key, and revokes', async (t) => {
  const second = await makeCredentials('vizinha');
  const { code, output } = await credentials('--json');
  t.equal(code, 0);
  const listed = JSON.parse(output) as { workspace: string; publicKey: string }[];
  t.same(
    listed.map(({ workspace }) => workspace),
    ['loja', 'vizinha', 'vizinha'],
  );
  t.notMatch(output, /\bS[A-Z0-9]{20,}/, 'no seed is shown');
  const nats = await connectWith(second);
  const kept = await connectWith(loja);
  t.teardown(() => kept.close());
  t.match(await credentials('vizinha', '--revoke'), { code: 0, output: /2 credentials.*revoked/ });
  await eventually(() => assert.ok(nats.isClosed()), { timeoutMs: 30_000 });
  t.throws(() => statSync(second.seedFile), 'its seed is gone');
  t.notOk(kept.isClosed(), 'others stay');
  t.match(await credentials('vizinha', '--revoke'), { code: 1, output: /none/ });
  t.equal((await credentials('Not a name')).code, 2);
  const elsewhere = join(dataDir, 'elsewhere');
  t.match(await credentials('loja', '--server-folder', elsewhere), {
    code: 0,
    output: /SIGHUP, twice[\s\S]*NATS_SEED_FILE=.*loja-/,
  });
  t.match(readFileSync(join(elsewhere, 'workspaces.conf'), 'utf8'), /^"WORKSPACE_loja" \{/m);
});
