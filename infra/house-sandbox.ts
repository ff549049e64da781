/** The sandbox with the world that the demo's catalog speaks of. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogFile } from '@rastro/operator-console/catalog-file';
import type { Logger } from '@rastro/runtime';
import { type Sandbox, type SandboxWorld, startSandbox } from '@rastro/sandbox';
import { freePort, isPortFree } from '@rastro/servers';
import { parseCatalogYaml } from './catalog-yaml.ts';
import type { HouseConfig } from './config.ts';

const usualPort = 9300;
const catalogPath = join(import.meta.dirname, 'sandbox/catalog.yaml');

export interface HouseSandbox {
  readonly sandbox: Sandbox;
  /** What the demo sells, to be applied once the console runs. */
  readonly catalog: CatalogFile;
}

/** @throws {CatalogFileError} when somebody edited the demo's catalog into something wrong. */
export async function startHouseSandbox(
  config: HouseConfig,
  options: { publicOrigin: string; log: Logger },
): Promise<HouseSandbox> {
  const port = (await isPortFree(usualPort)) ? usualPort : await freePort();
  try {
    return await startOn(port, config, options);
  } catch (error) {
    // Another house took it in between.
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return startOn(await freePort(), config, options);
  }
}

async function startOn(
  port: number,
  config: HouseConfig,
  { publicOrigin, log }: { publicOrigin: string; log: Logger },
): Promise<HouseSandbox> {
  const catalog = parseCatalogYaml({
    text: readFileSync(catalogPath, 'utf8'),
    fileName: catalogPath,
    environment: { ...config.environment, SANDBOX_URL: `http://127.0.0.1:${port}` },
  });
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port,
    publicOrigin,
    world: worldOf(catalog, publicOrigin),
    journalFile: join(config.dataDir, 'sandbox.ndjson'),
    log,
  });
  return { sandbox, catalog };
}

type AccountDraft = Extract<CatalogFile['drafts'][number], { kind: 'account' }>['data'];

/** The generic gateway calls its key `apiKey`, all others `accessToken`. */
function pixAccountOf(
  { id: name, kind, credentials }: AccountDraft,
  publicOrigin: string,
): SandboxWorld['pixAccounts'][number] {
  const { apiKey, accessToken, webhookSecret } = credentials;
  const secret = webhookSecret === undefined ? {} : { webhookSecret };
  const webhookUrl = `${publicOrigin}/webhooks/${name}`;
  return { kind, apiKey: apiKey ?? accessToken ?? '', ...secret, webhookUrl, name };
}

/**
 * Every account that the catalog names exists in the sandbox, and no other.
 * @param publicOrigin where their webhooks go
 */
export function worldOf({ drafts }: CatalogFile, publicOrigin: string): SandboxWorld {
  const world: Required<SandboxWorld> = { bots: [], pixels: [], pixAccounts: [], pools: [] };
  for (const { kind, data } of drafts) {
    if (kind === 'bot' && data.token !== undefined) {
      world.bots.push({ token: data.token, username: data.username });
    }
    if (kind === 'account') world.pixAccounts.push(pixAccountOf(data, publicOrigin));
    if (kind === 'pool') {
      world.pools.push({ slug: data.slug });
      const { pixelId, accessToken } = data.meta;
      if (pixelId !== null && accessToken !== null) world.pixels.push({ id: pixelId, accessToken });
    }
  }
  return world;
}
