/** The real routes with plain functions for adapters: a pool or two, events kept in a list. */
import type { CatalogItem, RastroEvent } from '@rastro/events';
import { Catalog } from '@rastro/messaging';
import { createHttpServer, type HttpServer } from '@rastro/runtime';
import { sampleCatalog, testLog } from '@rastro/testing';
import { agentFacts } from '@rastro/traffic';
import { AddressCounts } from '../src/adapters/address-counts.ts';
import { cookieScope } from '../src/adapters/cookie-domain.ts';
import { hashes } from '../src/adapters/hashes.ts';
import { loadParamBuilder } from '../src/adapters/param-builder.ts';
import { Pools } from '../src/adapters/pools.ts';
import { RecentClicks } from '../src/adapters/recent-clicks.ts';
import { BeaconDesk, type BeaconDeskParts } from '../src/beacon-desk.ts';
import { ClickDesk } from '../src/click-desk.ts';
import { unlimited } from '../src/client-limit.ts';
import { addRoutes, type RouteParts } from '../src/routes.ts';

type Pool = CatalogItem<'pool'>;
type Bot = CatalogItem<'bot'>;

export const phone =
  'Mozilla/5.0 (Linux; Android 14; SM-A546E; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/490.0.0.0;]';

/** What its in-app browser sends when an ad is tapped. */
export const phoneHeaders = {
  'user-agent': phone,
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language': 'pt-BR,pt;q=0.9',
};

const sample = <T>(kind: string): T =>
  sampleCatalog().find((entry) => entry.kind === kind)?.data as T;
export const samplePool = sample<Pool>('pool');
export const sampleBot = sample<Bot>('bot');

export interface Served {
  readonly app: HttpServer;
  readonly events: RastroEvent[];
  readonly pools: Pools;
  readonly beacons: BeaconDesk;
}

const paramBuilder = await loadParamBuilder();

export async function servedPages(
  options: {
    readonly pools?: readonly Partial<Pool>[];
    readonly bots?: readonly Partial<Bot>[];
    readonly publicOrigin?: string;
    readonly parts?: Partial<RouteParts>;
    readonly beacons?: Partial<BeaconDeskParts>;
  } = {},
): Promise<Served> {
  const { publicOrigin = 'https://go.example.com', parts = {} } = options;
  const catalog = new Catalog();
  const entry = { workspaceId: 'demo', version: 1, changedAt: '2026-01-01T00:00:00.000Z' };
  for (const changes of options.pools ?? [{}]) {
    const data = { ...samplePool, ...changes };
    catalog.apply({ ...entry, kind: 'pool', id: data.id, data });
  }
  for (const changes of options.bots ?? [{}]) {
    const data = { ...sampleBot, ...changes };
    catalog.apply({ ...entry, kind: 'bot', id: data.id, data });
  }
  const pools = new Pools(catalog);
  pools.isComplete = true;
  const events: RastroEvent[] = [];
  const record = async (event: RastroEvent): Promise<void> => void events.push(event);
  const scope = cookieScope(publicOrigin);
  const recentClicks = new RecentClicks();
  const beacons = new BeaconDesk({
    recentClicks,
    pools,
    record,
    lookUp: async () => new Map(),
    onUnknown: () => {},
    ...options.beacons,
  });
  const app = createHttpServer({ log: testLog(), trustedProxies: ['loopback'] });
  await addRoutes(app, {
    log: testLog(),
    utmifyScriptUrl: 'https://cdn.utmify.com.br/scripts/pixel/pixel.js',
    pixelScriptUrl: 'https://connect.facebook.net/en_US/fbevents.js',
    telegramLinkUrl: 'https://t.me',
    cookieScope: scope,
    isSecure: publicOrigin.startsWith('https:'),
    pools,
    desk: new ClickDesk({
      pools,
      recentClicks,
      addressCounts: new AddressCounts(),
      agentFacts,
      site: { publicOrigin, subdomainIndex: scope.subdomainIndex },
      hashes,
      record,
    }),
    beacon: { receive: beacons.receive.bind(beacons), waitOf: unlimited },
    waitOf: unlimited,
    paramBuilder,
    count: { click: () => {}, page: () => {} },
    ...parts,
  });
  return { app, events, pools, beacons };
}
