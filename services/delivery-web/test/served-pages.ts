/** The real routes with plain functions for adapters: one known token, views kept in a list. */
import type { DataOf } from '@rastro/events';
import { Counter, createHttpServer, createMetrics, type HttpServer } from '@rastro/runtime';
import { sampleCatalog, testLog } from '@rastro/testing';
import type { Delivery } from '../src/core/page.ts';
import type { Pool } from '../src/core/pool.ts';
import { addRoutes, type RouteParts } from '../src/routes.ts';
import { sampleDelivery } from './sample-delivery.ts';

export const knownToken = 'q0Fz8sQ1mXbH2yT7cVn4LkPw9RdEuGiA';

export async function servedPages(
  delivery: Partial<Delivery> = {},
  parts: Partial<RouteParts> = {},
): Promise<{ app: HttpServer; views: DataOf<'DeliveryViewed'>[] }> {
  const promo = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as Pool;
  const views: DataOf<'DeliveryViewed'>[] = [];
  const { log = testLog() } = parts;
  const app = createHttpServer({ log, trustedProxies: ['loopback'] });
  const registers = [createMetrics('test')];
  await addRoutes(app, {
    log,
    publicOrigin: 'https://go.example.com',
    pixelScriptUrl: 'https://connect.facebook.net/en_US/fbevents.js',
    findDelivery: async (token) =>
      token === knownToken ? { ...sampleDelivery, ...delivery } : undefined,
    offerFor: () => ({ pools: [promo], accessUrl: undefined, accessAfterRefund: 'ends' }),
    revalidate: async () => 'unconfirmed',
    recordView: async (view) => void views.push(view),
    pages: new Counter({ name: 'pages', help: 'pages', labelNames: ['result'], registers }),
    ...parts,
  });
  return { app, views };
}
