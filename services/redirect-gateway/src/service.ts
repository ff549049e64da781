import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Catalog, followCatalog, followEvents, type Nats } from '@rastro/messaging';
import {
  addHealthRoutes,
  createHttpServer,
  createMetrics,
  listen,
  type Logger,
  type RunningService,
} from '@rastro/runtime';
import { AddressCounts } from './adapters/address-counts.ts';
import { rememberedAgentFacts } from './adapters/agent-memory.ts';
import { createSnapshotWriter, loadSnapshot } from './adapters/catalog-snapshot.ts';
import { startCarrier } from './adapters/carrier.ts';
import { cookieScope } from './adapters/cookie-domain.ts';
import { EventRecorder } from './adapters/event-recorder.ts';
import { hashes } from './adapters/hashes.ts';
import { linkNats } from './adapters/nats-link.ts';
import { loadParamBuilder } from './adapters/param-builder.ts';
import { Pools } from './adapters/pools.ts';
import { RecentClicks } from './adapters/recent-clicks.ts';
import { startDrain } from './adapters/spool-drain.ts';
import { Spool } from './adapters/spool.ts';
import { BeaconDesk } from './beacon-desk.ts';
import { ClickDesk } from './click-desk.ts';
import type { Config } from './config.ts';
import { handleBotHealth } from './handlers.ts';
import { createCounters } from './metrics.ts';
import { addRoutes } from './routes.ts';
import { connectSharedMemory } from './shared-memory.ts';

const service = 'redirect-gateway';
/** How long NATS has, before visitors are let in, to tell the catalog and which bots are ill. */
const firstNewsWaitMs = 2_000;
/** The same where a snapshot can answer: it may be old, but visitors do not wait for news. */
const newsWaitMs = 1_000;

/** Answers ad clicks from memory, with or without anything else running. */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  await using stack = new AsyncDisposableStack();
  const folder = join(config.dataDir, service);
  const metrics = createMetrics(service);

  const { pools, follow, caughtUp } = await rememberPools(stack, folder, log);
  const spool = stack.use(await Spool.open(join(folder, 'spool')));
  const onPublished = (events: number): void => count.published.inc(events);
  const link = stack.use(
    linkNats({
      url: config.natsUrl,
      name: service,
      replicas: config.natsReplicas,
      log,
      onLinked: async (nats, owned) => {
        const { carry } = owned.use(startCarrier({ natsUrl: config.natsUrl, name: service }));
        owned.use(startDrain({ spool, carry, log, onPublished }));
        await follow(nats, owned);
      },
    }),
  );
  const waitingBeacons = (): number => beacons.count;
  const count = createCounters(metrics, { spool, isLinked: link.isUp, waitingBeacons });
  const onDiskFailure = (): void => count.unspooled.inc();
  const recorder = stack.use(
    new EventRecorder({ spool, publish: link.publish, log, onDiskFailure }),
  );
  const record = recorder.record.bind(recorder);

  const shared = stack.use(connectSharedMemory(config, service, log));
  const recentClicks = new RecentClicks();
  const { lookUp } = shared;
  const onUnknown = (): void => count.unknownBeacons.inc();
  const beacons = stack.use(new BeaconDesk({ recentClicks, pools, lookUp, record, onUnknown }));
  const scope = cookieScope(config.publicOrigin);
  const site = { publicOrigin: config.publicOrigin, subdomainIndex: scope.subdomainIndex };
  const app = createHttpServer({ log, trustedProxies: config.trustedProxies });
  stack.defer(() => app.close());
  addHealthRoutes(app, { checks: { catalog: () => assertKnown(pools) }, metrics });
  await addRoutes(app, {
    log,
    pixelScriptUrl: config.pixelScriptUrl,
    utmifyScriptUrl: config.utmifyScriptUrl,
    paramBuilder: await loadParamBuilder(),
    telegramLinkUrl: config.telegramLinkUrl,
    cookieScope: scope,
    isSecure: config.publicOrigin.startsWith('https:'),
    pools,
    desk: new ClickDesk({
      pools,
      recentClicks,
      addressCounts: new AddressCounts(),
      agentFacts: rememberedAgentFacts(),
      site,
      hashes,
      record,
    }),
    waitOf: shared.clickWaitOf,
    beacon: { receive: beacons.receive.bind(beacons), waitOf: shared.beaconWaitOf },
    count: {
      click: (trafficClass) => count.clicks.inc({ class: trafficClass }),
      page: (result) => count.pages.inc({ result }),
    },
  });
  const waitMs = pools.isComplete ? newsWaitMs : firstNewsWaitMs;
  await Promise.race([caughtUp, delay(waitMs, undefined, { ref: false })]);
  const url = await listen(app, config);

  const owned = stack.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Pools from the disk at once, and from NATS, which the disk then follows. */
async function rememberPools(stack: AsyncDisposableStack, folder: string, log: Logger) {
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
  const writer = stack.use(createSnapshotWriter({ file, take, log }));

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
  return { pools, follow, caughtUp: caughtUp.promise };
}

/** Without a catalog every link is answered with "try again": another process should be asked. */
function assertKnown(pools: Pools): void {
  if (!pools.isComplete) throw new Error('neither a snapshot nor NATS has told the catalog yet');
}
