import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
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
import { cookieScope } from './adapters/cookie-domain.ts';
import { hashes } from './adapters/hashes.ts';
import { loadParamBuilder } from './adapters/param-builder.ts';
import { RecentClicks } from './adapters/recent-clicks.ts';
import { BeaconDesk } from './beacon-desk.ts';
import { ClickDesk } from './click-desk.ts';
import { openClickLog } from './click-log.ts';
import type { Config } from './config.ts';
import { addGauges, createCounters } from './metrics.ts';
import { assertKnown, rememberPools } from './pool-memory.ts';
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

  const count = createCounters(metrics);

  const { pools, follow, caughtUp } = stack.use(await rememberPools(folder, log));
  const { natsUrl, natsReplicas } = config;
  const clickLog = stack.use(
    await openClickLog({ folder, natsUrl, natsReplicas, service, log, count, onLinked: follow }),
  );
  const { record } = clickLog;

  const shared = stack.use(connectSharedMemory(config, service, log));
  const recentClicks = new RecentClicks();
  const { lookUp } = shared;
  const onUnknown = (): void => count.unknownBeacons.inc();
  const beacons = stack.use(new BeaconDesk({ recentClicks, pools, lookUp, record, onUnknown }));
  addGauges(metrics, { ...clickLog, waitingBeacons: () => beacons.count });
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
