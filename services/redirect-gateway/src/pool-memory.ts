/** The pools as they are known right now: from the disk at once, from NATS as it tells. */
import { join } from 'node:path';
import { Catalog, followCatalog, followEvents, type Nats } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';
import { createSnapshotWriter, loadSnapshot } from './adapters/catalog-snapshot.ts';
import { Pools } from './adapters/pools.ts';
import { handleBotHealth } from './handlers.ts';

export interface PoolMemory extends AsyncDisposable {
  readonly pools: Pools;
  /** Follows NATS from now on; what it adds to `owned` ends that. The disk follows too. */
  readonly follow: (nats: Nats, owned: AsyncDisposableStack) => Promise<void>;
  /** Resolves once NATS has told everything that it knew. */
  readonly caughtUp: Promise<void>;
}

export async function rememberPools(folder: string, log: Logger): Promise<PoolMemory> {
  const file = join(folder, 'catalog.json');
  const catalog = new Catalog();
  const pools = new Pools(catalog);
  const snapshot = await loadSnapshot(file, log);
  for (const entry of snapshot?.entries ?? []) catalog.apply(entry);
  for (const report of snapshot?.botHealth ?? []) pools.report(report);
  pools.isComplete = snapshot !== undefined;
  const take = () => ({
    entries: catalog.entries().filter(({ kind }) => kind === 'pool' || kind === 'bot'),
    botHealth: pools.health,
  });
  const writer = createSnapshotWriter({ file, take, log });

  const caughtUp = Promise.withResolvers<void>();
  async function follow(nats: Nats, owned: AsyncDisposableStack): Promise<void> {
    const onChange = (): void => {
      pools.refresh();
      // Half a catalog on disk would pass for a whole one.
      if (pools.isComplete) writer.touch();
    };
    const parts = { report: pools.report.bind(pools), onChange };
    const onEvent = handleBotHealth.bind(null, parts);
    const types = ['BotHealthChanged'] as const;
    // Before the catalog: a bot that is known, but not how it is, would pass for healthy.
    owned.use(await followEvents(nats, { stream: 'COMMERCE', types, onEvent }));
    owned.use(await followCatalog(nats, { catalog, onChange }));
    pools.isComplete = true;
    writer.touch();
    caughtUp.resolve();
  }
  return {
    pools,
    follow,
    caughtUp: caughtUp.promise,
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

/** Without a catalog every link is answered with "try again": another process should be asked. */
export function assertKnown(pools: Pools): void {
  if (!pools.isComplete) throw new Error('neither a snapshot nor NATS has told the catalog yet');
}
