/**
 * Goal: a data folder from before there were accounts loses nothing, and accounts are added to a
 * running server without anybody noticing. Method: a server as it was configured then, then ours on
 * its folder; a steady publisher and consumer while the configuration is read again.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, nkeyAuthenticator, nkeys } from '@nats-io/transport-node';
import t from 'tap';
import { findBinary, freePort, reloadNats, startNats, workspacesFile } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'rastro-accounts-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function connectAs(url: string): Promise<NatsConnection> {
  const { host: servers, username: user, password: pass } = new URL(url);
  return connect({ servers, user, pass, reconnect: false });
}

/** A server that has little of the machine reads its configuration some time after it was told. */
async function withPatience<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 50; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
      await delay(200);
    }
  }
}

/** Three messages, the first of them handled, on a server without accounts. */
async function keepSomething(dataDir: string): Promise<void> {
  const store = join(dataDir, 'store');
  const config = join(dataDir, 'old.conf');
  mkdirSync(dataDir);
  writeFileSync(config, `jetstream { store_dir: "${store}", sync_interval: always }`);
  const port = await freePort();
  const old = spawn(findBinary('nats-server'), ['-c', config, '-a', '127.0.0.1', '-p', `${port}`]);
  const exited = once(old, 'exit');
  try {
    const servers = `127.0.0.1:${port}`;
    const nats = await connect({ servers, waitOnFirstConnect: true, reconnectTimeWait: 50 });
    const manager = await jetstreamManager(nats);
    await manager.streams.add({ name: 'KEPT', subjects: ['kept.>'] });
    await manager.consumers.add('KEPT', { durable_name: 'reader', ack_policy: 'explicit' });
    for (const msgID of ['one', 'two', 'three']) {
      await jetstream(nats).publish(`kept.${msgID}`, msgID, { msgID });
    }
    const first = await (await jetstream(nats).consumers.get('KEPT', 'reader')).next();
    assert.ok(await first?.ackAck());
    await nats.close();
  } finally {
    old.kill('SIGTERM');
    await exited;
  }
  assert.deepEqual(readdirSync(join(store, 'jetstream')), ['$G'], 'the global account');
}

await t.test('what was kept before there were accounts is found again', async (t) => {
  const dataDir = join(folder, 'before');
  await keepSomething(dataDir);
  await using server = await startNats({ dataDir });
  for (const start of ['first', 'second']) {
    const nats = await connectAs(server.url);
    const { state } = await (await jetstreamManager(nats)).streams.info('KEPT');
    t.equal(state.messages, 3, `${start} start`);
    const { duplicate } = await jetstream(nats).publish('kept.one', 'one', { msgID: 'one' });
    t.ok(duplicate, 'the ids that were seen are known');
    const reader = await (await jetstreamManager(nats)).consumers.info('KEPT', 'reader');
    t.equal(reader.ack_floor.stream_seq, 1, 'the durable stands where it stood');
    t.equal(reader.num_pending, 2);
    await nats.close();
    await server.stop();
    await server.start();
  }
});

await t.test('an account comes and goes while messages travel', async (t) => {
  const dataDir = join(folder, 'reload');
  t.notOk(await reloadNats(dataDir), 'nothing runs there');
  await using server = await startNats({ dataDir });
  const own = await connectAs(server.url);
  await (await jetstreamManager(own)).streams.add({ name: 'KEPT', subjects: ['kept.>'] });
  own.subscribe('workspace.*.payments.create', {
    callback: (_error, message) => void message.respond(message.subject),
  });
  let isOver = false;
  let published = 0;
  const publishing = (async () => {
    for (; !isOver; published += 1) await jetstream(own).publish('kept.one', String(published));
  })();

  const pair = nkeys.createUser();
  const from = 'workspace.demo.payments.create';
  const account = `WORKSPACE_demo {
    users: [{ nkey: ${pair.getPublicKey()} }]
    imports: [{ service: { account: RASTRO, subject: "${from}" }, to: "payments.create" }]
  }`;
  writeFileSync(join(dataDir, workspacesFile), account);
  t.ok(await reloadNats(dataDir));
  const servers = `127.0.0.1:${server.port}`;
  const authenticator = nkeyAuthenticator(pair.getSeed());
  const connectTenant = () => connect({ servers, authenticator, reconnect: false });
  const tenant = await withPatience(connectTenant);
  const answer = await withPatience(() => tenant.request('payments.create'));
  t.equal(answer.string(), from, 'it says who asks');

  writeFileSync(join(dataDir, workspacesFile), '');
  t.ok(await reloadNats(dataDir));
  await tenant.closed();
  t.ok(tenant.isClosed(), 'it is out');
  await t.rejects(connectTenant(), /Authorization/);

  isOver = true;
  await publishing;
  t.notOk(own.isClosed(), 'our own connection was not touched');
  const { state } = await (await jetstreamManager(own)).streams.info('KEPT');
  t.equal(state.messages, published);
  t.comment(`${published} messages meanwhile`);
  await own.close();
});
