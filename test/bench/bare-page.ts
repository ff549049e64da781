/**
 * The yardstick: bare Fastify that renders the bridge page from the gateway's own template, with
 * data that the gateway made once, and does nothing else. Says its address on stdout.
 */
import fastifyView from '@fastify/view';
import { sampleCatalog } from '@rastro/testing';
import { Eta } from 'eta';
import fastify from 'fastify';
import { botLinks } from '../../services/redirect-gateway/src/core/bridge.ts';
import {
  type BridgeParts,
  createPages,
  viewsFolder,
} from '../../services/redirect-gateway/src/pages.ts';

const trackingToken = '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c';

/** What the gateway gives its template for a click of the sample's pool. */
async function bridgeData(): Promise<object> {
  const pages = createPages({
    pixelScriptUrl: 'https://connect.facebook.net/en_US/fbevents.js',
    utmifyScriptUrl: 'https://cdn.utmify.com.br/scripts/pixel/pixel.js',
    paramBuilder: { path: `/go/-/param-builder.${'0'.repeat(16)}.js` },
    cookieScope: { domain: 'example.com', subdomainIndex: 1 },
    isSecure: true,
  });
  const pool = sampleCatalog().find(({ kind }) => kind === 'pool')?.data;
  const page = {
    visit: { clientIp: '177.10.20.30' },
    pool: { workspaceId: 'demo', version: 1, item: pool },
    click: {
      username: 'demo_a_bot',
      identity: {
        trackingToken,
        rootEventId: `evt_${trackingToken}`,
        externalIds: ['a'.repeat(64), 'b'.repeat(64)],
      },
    },
    links: botLinks('https://t.me', 'demo_a_bot', trackingToken),
  } as unknown as BridgeParts;
  let given: object = {};
  const request = { headers: {}, languages: () => 'pt' };
  const reply = {
    headers: () => {},
    viewAsync: async (_template: string, data: object) => {
      given = data;
      return '';
    },
  };
  await pages.bridge(request as never, reply as never, page);
  return given;
}

const data = await bridgeData();
const app = fastify();
await app.register(fastifyView, {
  engine: { eta: new Eta() },
  root: viewsFolder,
  viewExt: 'eta',
  production: true,
});
app.get('/go/:slug', async (_request, reply) => reply.viewAsync('bridge', data));
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
