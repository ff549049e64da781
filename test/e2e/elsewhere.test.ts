/**
 * Goal: with SANDBOX=off and every address given, the same journey goes to those addresses and
 * nowhere else. Method: servers and stand-ins that the house did not start; each of its processes
 * notes every connection that it tries.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyCatalog } from '@rastro/infra/catalog-client';
import { parseCatalogYaml } from '@rastro/infra/catalog-yaml';
import { repository } from '@rastro/infra/services';
import { worldOf } from '@rastro/infra/house-sandbox';
import { startSandbox } from '@rastro/sandbox';
import { freePort } from '@rastro/servers';
import { eventually, startTestServers } from '@rastro/testing';
import t from 'tap';
import { walk } from '../support/journey.ts';
import { sandboxClient } from '../support/sandbox-client.ts';
import { startTestHouse } from '../support/test-house.ts';

await t.test('a journey through addresses that were given', async (t) => {
  await using servers = await startTestServers({ nats: true, postgres: true, redis: true });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const catalogFile = join(repository, 'infra/sandbox/catalog.yaml');
  const catalog = parseCatalogYaml({
    text: readFileSync(catalogFile, 'utf8'),
    fileName: catalogFile,
    environment: { SANDBOX_URL: url },
  });
  const publicOrigin = `http://localhost:${await freePort()}`;
  const vendors = { port, publicOrigin, world: worldOf(catalog, publicOrigin) };
  await using _vendors = await startSandbox(vendors);
  const connections = join(servers.folder, 'connections');
  writeFileSync(connections, '');
  await using world = await startTestHouse({
    mode: 'processes',
    environment: {
      SANDBOX: 'off',
      PUBLIC_ORIGIN: publicOrigin,
      NATS_URL: servers.nats.url,
      POSTGRES_URL: servers.postgres.url,
      REDIS_URL: servers.redis.url,
      META_GRAPH_URL: `${url}/graph`,
      META_PIXEL_SCRIPT_URL: `${url}/pixel/fbevents.js`,
      TELEGRAM_API_URL: `${url}/telegram`,
      TELEGRAM_LINK_URL: `${url}/t.me`,
      MERCADOPAGO_API_URL: url,
      PUSHINPAY_API_URL: url,
      WOOVI_API_URL: url,
      ABACATEPAY_API_URL: url,
      // Webhooks also work without a public address here, so both ways in are walked.
      TELEGRAM_UPDATES: 'webhook',
      NODE_OPTIONS: `--import=${join(import.meta.dirname, '../support/record-connections.ts')}`,
      RASTRO_CONNECTIONS_FILE: connections,
    },
  });
  const { house } = world;
  assert.equal(house.sandboxUrl, null);
  const api = { url: house.publicOrigin, apiKey: house.secrets.apiKey };
  await applyCatalog(api, catalog, house.secrets);
  const sandbox = sandboxClient(url);
  const journey = await walk({ publicOrigin, sandbox, timeoutMs: 60_000 });
  await eventually(
    async () => {
      for (const eventId of [`evt_${journey.trackingToken}`, `purchase_${journey.paymentId}`]) {
        const [group] = await sandbox.events(eventId);
        assert.equal(group?.server.length, 1, eventId);
      }
    },
    { timeoutMs: 30_000 },
  );

  const noted = [...new Set(readFileSync(connections, 'utf8').split('\n').filter(Boolean))];
  const given = [servers.nats, servers.postgres, servers.redis].map(
    (server) => `connect 127.0.0.1:${server.port}`,
  );
  const allowed = new Set([...given, `connect 127.0.0.1:${port}`]);
  for (const address of allowed) t.ok(noted.includes(address), `${address} was used`);
  t.same(
    noted.filter((line) => !allowed.has(line) && line !== 'lookup 127.0.0.1'),
    [],
    'and nothing else',
  );
  t.notOk(
    house.servers.own.nats ?? house.servers.own.postgres ?? house.servers.own.redis,
    'no server was started',
  );
});
