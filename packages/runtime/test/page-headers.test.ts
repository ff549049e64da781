/**
 * Goal: headers that are prepared once are those that @fastify/helmet would send each time, and a
 * page is allowed no more than what it loads.
 * Method: both for the same page, side by side, with their nonces taken out.
 */
import fastifyHelmet from '@fastify/helmet';
import fastify from 'fastify';
import t from 'tap';
import { newPageNonces, pixelPageHeaders, preparedPageHeaders } from '../src/index.ts';

const page = {
  pixelScriptUrl: 'https://connect.facebook.net/en_US/fbevents.js',
  referrerPolicy: 'strict-origin-when-cross-origin',
} as const;
const everything = {
  ...page,
  hasParamBuilder: true,
  utmifyScriptUrl: 'https://cdn.utmify.com.br/scripts/pixel/pixel.js',
};

const withoutNonces = (policy: unknown): string =>
  String(policy).replaceAll(/nonce-[0-9a-f]{32}/g, 'nonce');

await t.test('the same headers as @fastify/helmet, name by name', async (t) => {
  for (const options of [page, everything]) {
    const app = fastify();
    await app.register(fastifyHelmet, pixelPageHeaders(options));
    app.get('/', async (_request, reply) => reply.code(204).send());
    const { headers } = await app.inject('/');
    const { date: _date, connection: _connection, ...theirs } = headers;
    const ours = { ...preparedPageHeaders(options)(newPageNonces()) };
    for (const headersOf of [theirs, ours] as Record<string, unknown>[])
      headersOf['content-security-policy'] = withoutNonces(headersOf['content-security-policy']);
    t.same(ours, theirs);
  }
});

await t.test('the nonces of a page are its own, one for scripts and one for styles', async (t) => {
  const headersOf = preparedPageHeaders(page);
  const seen = new Set<string>();
  for (let at = 0; at < 1_000; at += 1) {
    const { script, style } = newPageNonces();
    seen.add(script).add(style);
    const policy = headersOf({ script, style })['content-security-policy'] ?? '';
    t.ok(policy.includes(`'nonce-${script}';style-src 'nonce-${style}';`));
  }
  t.equal(seen.size, 2_000);
  t.ok(
    [...seen].every((nonce) => /^[0-9a-f]{32}$/.test(nonce)),
    '128 bits',
  );
});

await t.test('a page that loads less allows less', async (t) => {
  const policyOf = (options: Parameters<typeof preparedPageHeaders>[0]): string =>
    preparedPageHeaders(options)({ script: 's', style: 't' })['content-security-policy'] ?? '';
  t.notMatch(policyOf(page), /utmify|properties:|script-src [^;]*'self'/);
  t.match(policyOf(everything), /script-src [^;]*'self'[^;]*https:\/\/\*\.utmify\.com\.br/);
  t.match(policyOf(everything), /connect-src 'self' properties: [^;]*https:\/\/\*\.utmify/);
  t.notMatch(policyOf(everything), /unsafe|script-src [^;]*properties:/);
  t.notMatch(policyOf({ ...page, utmifyScriptUrl: 'https://notutmify.com.br/x.js' }), /\*\./);
});
