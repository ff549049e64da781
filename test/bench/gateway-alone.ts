/** The gateway as a process of its own with NATS and Redis; nobody reads what it publishes. */
import { join } from 'node:path';
import { startServiceProcess } from '@rastro/infra/service-process';
import { connectNats } from '@rastro/messaging';
import { freePort } from '@rastro/servers';
import { putCatalog, sampleCatalog, startTestServers, testLog } from '@rastro/testing';

export interface GatewayAlone extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

export async function startGatewayAlone(): Promise<GatewayAlone> {
  await using stack = new AsyncDisposableStack();
  const log = testLog();
  const servers = stack.use(await startTestServers({ nats: true, redis: true }));
  await using nats = await connectNats({ url: servers.nats.url, name: 'bench', log });
  await putCatalog(nats, 'demo', sampleCatalog());
  const port = await freePort();
  const environment = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    LOG_LEVEL: 'error',
    PORT: String(port),
    RASTRO_DATA_DIR: join(servers.folder, 'data'),
    NATS_URL: servers.nats.url,
    REDIS_URL: servers.redis.url,
  };
  const name = 'redirect-gateway';
  const gateway = stack.use(startServiceProcess({ name, port, environment, log }));
  await gateway.ready();
  const { url, pid } = gateway;
  const owned = stack.move();
  return { url, pid, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
