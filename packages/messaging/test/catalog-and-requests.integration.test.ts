/**
 * Goal: services see the same catalog and can ask each other, also across a restart of NATS.
 * Method: a real NATS server, killed and started again; both sides of each request.
 */
import assert from 'node:assert/strict';
import { paymentsRevalidate } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { eventually, putCatalog, sampleCatalog, startTestServers } from '@rastro/testing';
import t from 'tap';
import { ask, Catalog, followCatalog, serveRequests } from '../src/index.ts';
import { connectedTo } from './connected.ts';

const servers = await startTestServers({ nats: true });
t.teardown(() => servers[Symbol.asyncDispose]());

const connected = connectedTo(servers);

await t.test(
  'the catalog is complete once followed, follows changes and forgets what was removed',
  async (t) => {
    const nats = await connected(t);
    await putCatalog(nats, 'demo', sampleCatalog());
    const catalog = new Catalog();
    const following = await followCatalog(nats, { catalog });
    t.teardown(() => following[Symbol.asyncDispose]());
    t.equal(catalog.get('pool', 'promo')?.item.slug, 'promo');
    t.equal(catalog.itemsOf('bot', 'demo').length, 1);
    t.same(catalog.itemsOf('bot', 'other'), [], "nobody sees another workspace's");
    await putCatalog(nats, 'demo', [{ kind: 'bot', id: 'bot-a', data: null, version: 2 }]);
    await eventually(() => assert.deepEqual(catalog.itemsOf('bot', 'demo'), []));
    await servers.nats.kill();
    await servers.nats.start();
    const [product] = sampleCatalog().filter(({ kind }) => kind === 'product');
    if (!product) throw new Error('no sample product');
    await eventually(() => putCatalog(nats, 'demo', [{ ...product, id: 'late', version: 1 }]), {
      timeoutMs: 40_000,
    });
    await eventually(() => assert.ok(catalog.get('product', 'late')), { timeoutMs: 60_000 });
  },
);

await t.test(
  'requests are checked, answered, refused in words, and time out as a result',
  async (t) => {
    const nats = await connected(t);
    const other = await connected(t);
    const request = { workspaceId: 'demo', paymentId: newId() };
    t.match(await ask(nats.connection, paymentsRevalidate, request, 500), {
      ok: false,
      error: { code: 'unavailable' },
    });
    await using _server = await serveRequests(nats, {
      definition: paymentsRevalidate,
      service: 'test',
      handle: async ({ paymentId }) => {
        if (paymentId === request.paymentId) throw new Error('secret detail');
        return { ok: false, error: { code: 'not_found', message: 'no such payment' } };
      },
    });
    // By another connection, and right away: whoever serves is known by now.
    t.match(await ask(other.connection, paymentsRevalidate, { ...request, paymentId: 'x' }), {
      error: { code: 'invalid_request', message: /paymentId/ },
    });
    const failed = await ask(nats.connection, paymentsRevalidate, request);
    t.match(failed, { error: { code: 'unavailable' } });
    t.notMatch(JSON.stringify(failed), /secret detail/);
    t.match(await ask(nats.connection, paymentsRevalidate, { ...request, paymentId: newId() }), {
      error: { code: 'not_found' },
    });
  },
);

await t.test('what the server says of the asker counts, not what he says of himself', async (t) => {
  const nats = await connected(t);
  await using _server = await serveRequests(nats, {
    definition: paymentsRevalidate,
    service: 'test',
    handle: async () => ({ ok: false, error: { code: 'not_found', message: 'was asked' } }),
  });
  const askAs = async (subject: string): Promise<unknown> => {
    const body = JSON.stringify({ workspaceId: 'demo', paymentId: newId() });
    return (await nats.connection.request(subject, body, { timeout: 10_000 })).json();
  };
  const refused = { error: { code: 'refused', message: /workspace other/ } };
  t.match(await askAs('workspace.other.payments.revalidate'), refused);
  t.match(await askAs('workspace.demo.payments.revalidate'), { error: { code: 'not_found' } });
});
