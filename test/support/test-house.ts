/** A whole house for one test: its own data folder, its own ports, gone afterwards. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type House, startHouse } from '@rastro/infra/house';
import { readHouseConfig } from '@rastro/infra/config';
import { silentProgress } from '@rastro/infra/progress';
import { connectPostgres, type Environment, type Sql } from '@rastro/runtime';
import { freePort } from '@rastro/servers';
import { testLog } from '@rastro/testing';
import { type SandboxClient, sandboxClient } from './sandbox-client.ts';

export interface TestHouse extends AsyncDisposable {
  readonly house: House;
  readonly publicOrigin: string;
  readonly sandbox: SandboxClient;
  readonly dataDir: string;
  /** Reads every schema. */
  readonly sql: Sql;
}

export async function startTestHouse(options: {
  mode: 'one-process' | 'processes';
  environment?: Environment;
}): Promise<TestHouse> {
  await using stack = new AsyncDisposableStack();
  const dataDir = join(tmpdir(), `rastro-house-${randomUUID().slice(0, 8)}`);
  await mkdir(dataDir, { mode: 0o755 });
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const log = testLog();
  const config = readHouseConfig({
    PATH: process.env['PATH'],
    PUBLIC_ORIGIN: `http://localhost:${await freePort()}`,
    RASTRO_DATA_DIR: dataDir,
    LOG_LEVEL: process.env['RASTRO_TEST_LOG'] ?? 'error',
    ...options.environment,
  });
  const house = stack.use(
    await startHouse({ config, mode: options.mode, log, progress: silentProgress }),
  );
  const { publicOrigin, sandboxUrl, servers } = house;
  const sql = connectPostgres({ url: servers.postgresUrl, schema: 'public', service: 'test' });
  stack.defer(() => sql.end({ timeout: 1 }));
  const owned = stack.move();
  return {
    house,
    publicOrigin,
    sandbox: sandboxClient(sandboxUrl ?? ''),
    dataDir,
    sql,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
