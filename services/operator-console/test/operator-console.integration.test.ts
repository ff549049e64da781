/**
 * Goal: what is applied reaches everybody, once, without its secrets ever leaving sealed storage;
 * what is wrong changes nothing.
 * Method: the service with real Postgres and NATS, over HTTP.
 */
import assert from 'node:assert/strict';
import { Catalog, connectNats, followCatalog } from '@rastro/messaging';
import {
  eventually,
  migratedDatabase,
  sampleCatalog,
  startTestServers,
  testLog,
} from '@rastro/testing';
import { join } from 'node:path';
import t from 'tap';
import { readConfig } from '../src/config.ts';
import { startService } from '../src/service.ts';

const servers = await startTestServers({ nats: true, postgres: true });
const folders = [{ name: 'service', path: join(import.meta.dirname, '../migrations') }];
const database = await migratedDatabase(servers, { schema: 'catalog', folders });
const apiKey = 'a-key-of-at-least-16';
const environment = {
  PORT: '0',
  NATS_URL: servers.nats.url,
  POSTGRES_URL: database.url,
  RASTRO_API_KEY: apiKey,
};
const start = () => startService(readConfig(environment), testLog());
let service = await start();
const nats = await connectNats({ url: servers.nats.url, name: 'test', log: testLog() });
t.teardown(async () => {
  await service[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});

const entries = sampleCatalog().map(({ kind, id, data }) => ({ kind, id, data }));

async function call(method: string, path: string, body?: unknown, key = apiKey) {
  const response = await fetch(`${service.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return {
    status: response.status,
    text: await response.text(),
    type: response.headers.get('content-type'),
  };
}

await t.test('a catalog is applied, followed, and applying it again changes nothing', async (t) => {
  const first = await call('PUT', '/api/v1/catalog/demo', { entries });
  t.equal(first.status, 200, first.text);
  t.equal((JSON.parse(first.text) as { changes: [] }).changes.length, entries.length);
  const catalog = new Catalog();
  const following = await followCatalog(nats, { catalog });
  t.teardown(() => following[Symbol.asyncDispose]());
  await eventually(() => assert.equal(catalog.list('pool').length, 1));
  t.match((await call('PUT', '/api/v1/catalog/demo', { entries })).text, /"changes":\[\]/);
});

await t.test('secrets are not shown, not even sealed', async (t) => {
  const { text } = await call('GET', '/api/v1/catalog/demo');
  t.match(text, /"token":"\[sealed\]"/);
  t.notMatch(text, /enc:v1:/);
});

await t.test(
  'a plain secret is refused: it would have travelled and been stored readable',
  async (t) => {
    const plain = entries.map((entry) =>
      entry.kind === 'bot' ? { ...entry, data: { ...entry.data, token: '123:plain' } } : entry,
    );
    const { status, text, type } = await call('PUT', '/api/v1/catalog/demo', { entries: plain });
    t.equal(status, 400);
    t.match(type, /application\/problem\+json/);
    t.match(text, /bot bot-a/);
    t.notMatch(text, /123:plain/);
  },
);

await t.test('a dry run, a broken reference and a taken id change nothing', async (t) => {
  const renamed = entries.map((entry) =>
    entry.kind === 'product' ? { ...entry, data: { ...entry.data, name: 'Other' } } : entry,
  );
  t.match(
    (await call('PUT', '/api/v1/catalog/demo?dryRun=true', { entries: renamed })).text,
    /"updated"/,
  );
  const onlyPool = entries.filter(({ kind }) => kind === 'pool');
  t.equal(
    (await call('PUT', '/api/v1/catalog/demo?prune=true', { entries: onlyPool })).status,
    400,
  );
  t.equal((await call('PUT', '/api/v1/catalog/other', { entries })).status, 409);
  t.match((await call('PUT', '/api/v1/catalog/demo', { entries })).text, /"changes":\[\]/);
});

await t.test('without the key nothing is answered; junk is a 4xx problem', async (t) => {
  t.equal(
    (await call('GET', '/api/v1/catalog/demo', undefined, 'wrong-key-of-16-chars')).status,
    401,
  );
  t.equal((await call('GET', '/api/v1/openapi.json', undefined, '')).status, 401);
  t.equal((await call('PUT', '/api/v1/catalog/demo', { entries: 'x' })).status, 400);
  t.equal((await call('PUT', '/api/v1/catalog/..%2f', { entries: [] })).status, 400);
  t.equal((await call('GET', '/nowhere')).status, 404);
  t.match((await call('GET', '/api/v1/openapi.json')).text, /"openapi":"3.1.0"/);
});

await t.test('it says whether it is ready, and of what', async (t) => {
  const { status, text } = await call('GET', '/readyz');
  t.equal(status, 200);
  t.match(text, /postgres: ok\nnats: ok/);
  t.equal((await call('GET', '/metrics')).status, 200);
});

await t.test('a lost stream is filled again at the next start', async (t) => {
  await nats.jsm.streams.delete('CATALOG');
  await service[Symbol.asyncDispose]();
  service = await start();
  await eventually(async () => {
    const { state } = await nats.jsm.streams.info('CATALOG');
    assert.equal(state.messages, entries.length);
  });
  t.pass('all entries are there');
});
