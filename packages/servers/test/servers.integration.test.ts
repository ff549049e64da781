/**
 * Goal: the private servers keep what they acknowledged, stay private, and never outlive us.
 * Method: real servers in fresh folders on free ports; their own clients look from outside; a
 * process of its own is killed to see what it leaves behind.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import t from 'tap';
import { type ServerProcess, startNats, startPostgres, startRedis } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'rastro-servers-'));
chmodSync(folder, 0o755);
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
// Not a checkout below /root: there PostgreSQL runs under another name for our own user.
const isOpenCheckout = spawnSync('env', [...asNobody, 'cat', import.meta.filename]).status === 0;

await t.test('NATS keeps acknowledged messages over a kill and a stop', async (t) => {
  await using server = await startNats({ dataDir: join(folder, 'nats') });
  await withNats(server, async (nats) => {
    const manager = await jetstreamManager(nats);
    await manager.streams.add({ name: 'KEPT', subjects: ['kept.>'] });
    await jetstream(nats).publish('kept.one', 'first');
  });
  await server.kill();
  await server.start();
  await withNats(server, (nats) => jetstream(nats).publish('kept.two', 'second'));
  await server.stop();
  await server.start();
  await withNats(server, async (nats) => {
    const { state } = await (await jetstreamManager(nats)).streams.info('KEPT');
    t.equal(state.messages, 2);
    t.equal(nats.info?.max_payload, 1024 * 1024);
  });
});

await t.test('PostgreSQL keeps committed rows over a kill and a stop', async (t) => {
  await using server = await startPostgres({ dataDir: join(folder, 'postgres') });
  await withPostgres(server, async (sql) => {
    await sql`create table kept (id int)`;
    await sql`insert into kept values (1)`;
  });
  await server.kill();
  await server.start();
  await withPostgres(server, (sql) => sql`insert into kept values (2)`);
  await server.stop();
  await server.start();
  await withPostgres(server, async (sql) => {
    t.same(await sql`select id from kept order by id`, [{ id: 1 }, { id: 2 }]);
    t.same(await sql`show fsync`, [{ fsync: 'on' }]);
    t.same(await sql`select current_database() as name`, [{ name: 'rastro' }]);
    t.same(await sql`select lower('Ç') as small`, [{ small: 'ç' }], 'the locale knows letters');
  });
});

await t.test('Redis answers again after a kill, without its keys', async (t) => {
  await using server = await startRedis({ dataDir: join(folder, 'redis') });
  const redis = new Redis(server.url);
  t.teardown(() => redis.disconnect());
  redis.on('error', () => {}); // while it is down
  await redis.set('key', 'value');
  await server.kill();
  await server.start();
  t.equal(await redis.get('key'), null);
});

await t.test('a second start finds the data, the password and the port again', async (t) => {
  const dataDir = join(folder, 'again');
  const first = await startNats({ dataDir });
  await first.stop();
  await using second = await startNats({ dataDir });
  t.equal(second.url, first.url);
});

await t.test('nobody else gets in', async (t) => {
  const dataDir = join(folder, 'private');
  await using server = await startPostgres({ dataDir, durable: false });
  const wrong = server.url.replace(/:[^:@]*@/, ':wrong@');
  await t.rejects(
    withPostgres({ url: wrong }, (sql) => sql`select 1`),
    { code: '28P01' },
  );
  t.equal(statSync(join(dataDir, 'credentials.json')).mode & 0o777, 0o600);
  t.equal(statSync(join(dataDir, 'cluster')).mode & 0o777, 0o700);

  await t.rejects(startPostgres({ dataDir, password: 'another' }), {
    code: 'SERVER_DATA_UNUSABLE',
  });
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal);
  if (outside === undefined) return;
  const elsewhere = server.url.replace('127.0.0.1', outside.address);
  await t.rejects(
    withPostgres({ url: elsewhere }, (sql) => sql`select 1`),
    {
      code: 'ECONNREFUSED',
    },
  );
});

await t.test('a taken port and data in use are said plainly', async (t) => {
  const stranger = createServer().listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  const { port } = stranger.address() as AddressInfo;
  for (const start of [startNats, startPostgres, startRedis]) {
    await t.rejects(start({ dataDir: join(folder, `port-${start.name}`), port }), {
      code: 'SERVER_PORT_TAKEN',
      message: new RegExp(`port ${port}`),
    });
  }
  stranger.close();

  const dataDir = join(folder, 'shared');
  await using server = await startRedis({ dataDir });
  await t.rejects(startRedis({ dataDir }), {
    code: 'SERVER_DATA_IN_USE',
    message: new RegExp(`process ${server.pid}, port ${server.port}`),
  });
});

await t.test('servers die with their parent, and their data is free again', async (t) => {
  const dataDir = join(folder, 'orphans');
  const parent = startParent(dataDir, ['nats', 'postgres', 'redis']);
  const servers = await parent.servers;
  t.equal(servers.length, 3);
  for (const { pid, name } of servers) {
    t.ok(isRunning(pid), `${name} runs`);
    t.equal(sessionOf(pid), pid, `${name} does not get the terminal's Ctrl-C`);
  }
  parent.process.kill('SIGKILL');
  await once(parent.process, 'exit');

  // At once, while PostgreSQL may still be closing its files.
  await using database = await startPostgres({ dataDir: join(dataDir, 'postgres') });
  await withPostgres(database, (sql) => sql`select 1`);
  for (const { pid, name } of servers) t.ok(await isSoonGone(pid), `${name} is gone`);
});

await t.test('root starts PostgreSQL as another user', { skip: !isRoot }, async (t) => {
  await using open = await startPostgres({ dataDir: join(folder, 'postgres'), durable: false });
  if (isOpenCheckout) t.not(userOf(open.pid), 0, 'nobody, where the folder can be reached');

  const closed = join(folder, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const server = await startPostgres({ dataDir: join(closed, 'postgres'), durable: false });
  await withPostgres(server, (sql) => sql`create table kept ()`);
  await server.stop();
  chmodSync(closed, 0o755);
  await using again = await startPostgres({ dataDir: join(closed, 'postgres'), durable: false });
  await withPostgres(again, (sql) => sql`select from kept`);
  if (isOpenCheckout) t.not(userOf(again.pid), 0, 'the data follows when the folder is opened');
});

const canBecomeOrdinary = isRoot && isOpenCheckout;
await t.test('an ordinary user starts all three', { skip: !canBecomeOrdinary }, async (t) => {
  const dataDir = join(folder, 'ordinary');
  mkdirSync(dataDir, { mode: 0o777 });
  chmodSync(dataDir, 0o777);
  const parent = startParent(dataDir, ['nats', 'postgres', 'redis'], asNobody);
  const servers = await parent.servers;
  t.same(
    servers.map(({ pid }) => userOf(pid)),
    [65534, 65534, 65534],
  );
  parent.process.kill('SIGKILL');
  await once(parent.process, 'exit');
  for (const { pid, name } of servers) t.ok(await isSoonGone(pid), `${name} is gone`);
});

/** PostgreSQL first writes what it has, which takes its time on a busy disk. */
async function isSoonGone(pid: number): Promise<boolean> {
  for (let wait = 0; wait < 600 && isRunning(pid); wait += 1) await delay(50);
  return !isRunning(pid);
}

async function withNats(
  server: ServerProcess,
  use: (nats: Awaited<ReturnType<typeof connectNats>>) => Promise<unknown>,
): Promise<void> {
  const { username: user, password: pass, host: servers } = new URL(server.url);
  const nats = await connectNats({ servers, user, pass, reconnect: false });
  try {
    await use(nats);
  } finally {
    await nats.close();
  }
}

async function withPostgres(
  server: { url: string },
  use: (sql: postgres.Sql) => Promise<unknown>,
): Promise<void> {
  const sql = postgres(server.url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    await use(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

interface StartedServer {
  name: string;
  pid: number;
  url: string;
}

function startParent(dataDir: string, names: string[], runAs: string[] = []) {
  const script = join(import.meta.dirname, 'parent.ts');
  const command = [...runAs, process.execPath, script, dataDir, ...names];
  const child = spawn('env', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  return { process: child, servers: readServers(child) };
}

async function readServers(child: ChildProcess): Promise<StartedServer[]> {
  for await (const chunk of child.stdout ?? []) return JSON.parse(String(chunk));
  throw new Error('the parent process ended before its servers were ready');
}

function isRunning(pid: number): boolean {
  const fields = statOf(pid);
  return fields !== undefined && fields[0] !== 'Z';
}

function sessionOf(pid: number): number {
  return Number(statOf(pid)?.[3]);
}

function userOf(pid: number): number {
  return statSync(`/proc/${pid}`).uid;
}

/** The fields of /proc/PID/stat from the state on. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
