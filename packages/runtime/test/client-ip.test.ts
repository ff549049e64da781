/**
 * Goal: the visitor's address is the right-most of X-Forwarded-For that is not a trusted proxy, in
 * its plain form, and null when it is not public; nothing that a client writes changes it.
 * Method: properties over generated chains through a real server's `request.ip`, with the rule
 * built into the chain and IANA's registries written down a second time.
 */
import { once } from 'node:events';
import { get } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { createHttpServer, listen, publicIp } from '../src/index.ts';

// A balancer and a CDN with public addresses, besides the names.
const trustedProxies = ['loopback', 'uniquelocal', '198.41.128.0/17', '2606:4700::/32'];
const app = createHttpServer({ log: pino({ level: 'silent' }), trustedProxies });
app.get('/ip', async (request) => ({ ip: publicIp(request.ip) }));

async function ipOf(forwarded: string | undefined, remoteAddress = '127.0.0.1') {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  const response = await app.inject({ url: '/ip', remoteAddress, headers });
  return response.json<{ ip: string | null }>().ip;
}

const special = new BlockList();
for (const range of [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24',
  '192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24',
  '198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3',
].flatMap((line) => line.split(' '))) {
  const [address = '', length] = range.split('/');
  special.addSubnet(address, Number(length), 'ipv4');
}
const isPublicV4 = (address: string): boolean => !special.check(address, 'ipv4');
const isTrusted = (address: string): boolean =>
  /^198\.41\.(12[89]|1[3-9]\d|2\d\d)\./.test(address) || address.startsWith('2606:4700:');

const byte = fc.integer({ min: 0, max: 255 });
const anyV4 = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.'));
const publicV4 = anyV4.filter((address) => isPublicV4(address) && !isTrusted(address));
// Of Brazilian providers, written in full and in short, in both cases.
const hextet = fc.integer({ min: 1, max: 0xffff }).map((value) => value.toString(16));
const publicV6 = fc
  .tuple(fc.constantFrom('2804', '2800', '2001:1284'), hextet, hextet)
  .map(([block, a, b]) => `${block}:${a}::${b}`);
const uselessAddress = fc.oneof(
  fc.tuple(fc.integer({ min: 64, max: 127 }), byte, byte).map((rest) => `100.${rest.join('.')}`),
  fc.tuple(byte, byte).map((rest) => `169.254.${rest.join('.')}`),
  anyV4.filter((address) => /^(0|2[3-5]\d)\./.test(address)),
  fc.constantFrom('192.0.2.1', '198.18.0.1', '203.0.113.9', '192.0.0.8', '0.0.0.0', '::'),
  fc.constantFrom(
    'fe80::1',
    'fe80::1%eth0',
    '2804:14c::1%eth0',
    'ff02::1',
    '2001:db8::1',
    '100::1',
  ),
  fc.constantFrom('64:ff9b::8.8.8.8', '2002:808:808::1', '2001::1', '4000::1', '1:2:3:4:5:6:7:8'),
);
// What `inet_aton` reads as an address and a person does not; what is none at all.
const uselessText = fc.oneof(
  fc.constantFrom('1', '134744072', '0x8.8.8.8', '010.8.8.8', '8.8', '8.8.8.8.', '8.8.8.8:', '-'),
  fc.constantFrom('unknown', '_hidden', '"8.8.8.8"', '[8.8.8.8', '2804::1::2', '8.8.8.8:x', '%'),
  fc.constantFrom('8.8.8.8/32', '256.8.8.8', '[2804:14c::1', '[]', '[]:80', ':80', '[::1]x'),
);
const port = fc.integer({ min: 1, max: 65_535 });

/** An entry as a proxy may write it, with the address that is to come out. */
const visitors = fc.oneof(
  publicV4.map((address) => ({ entry: address, ip: address })),
  publicV4.map((address) => ({ entry: `::ffff:${address}`, ip: address })),
  publicV6.map((address) => ({ entry: address, ip: address })),
  publicV6.map((address) => ({ entry: address.toUpperCase(), ip: address })),
  fc.tuple(publicV4, port).map(([address, at]) => ({ entry: `${address}:${at}`, ip: address })),
  fc.tuple(publicV6, port).map(([address, at]) => ({ entry: `[${address}]:${at}`, ip: address })),
  publicV6.map((address) => ({ entry: `[${address}]`, ip: address })),
  fc.oneof(uselessAddress, uselessText).map((entry) => ({ entry, ip: null })),
);
const trustedHops = fc.oneof(
  fc.constantFrom('127.0.0.1', '::1', '10.1.2.3', '172.16.0.1', '192.168.7.7', 'fd00::7'),
  fc.constantFrom('198.41.128.1', '2606:4700::9', '::ffff:10.1.2.3', '::ffff:127.0.0.1'),
);
// Whatever a client may send along: forged addresses, of proxies too, empty entries, any text.
const printable = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
const forged = fc.oneof(
  fc.oneof(publicV4, publicV6, trustedHops, uselessAddress, uselessText),
  fc.constantFrom('', ' ', ',', ', ,'),
  fc.string({ unit: printable, maxLength: 40 }),
);
const separators = fc.constantFrom(',', ', ', ' , ', ',  ', ', ,');

await t.test('who came to the first trusted proxy, whatever was forged left of him', async (t) => {
  const chains = fc.record({
    left: fc.array(forged, { maxLength: 4 }),
    visitor: visitors,
    right: fc.array(trustedHops, { maxLength: 3 }),
    socket: trustedHops,
    separator: separators,
  });
  await fc.assert(
    fc.asyncProperty(chains, async ({ left, visitor, right, socket, separator }) => {
      const header = [...left, visitor.entry, ...right].join(separator);
      const found = await ipOf(header, socket);
      return found === visitor.ip;
    }),
    { numRuns: 1_500 },
  );
  t.pass('held');
});

await t.test(
  'an untrusted proxy ends the chain: it is the visitor, not who it names',
  async (t) => {
    const strangers = fc.oneof(publicV4, publicV6);
    const chains = fc.tuple(fc.array(forged, { maxLength: 3 }), strangers, strangers, trustedHops);
    await fc.assert(
      fc.asyncProperty(chains, async ([left, named, stranger, hop]) => {
        const header = [...left, named, stranger, hop].join(', ');
        const direct = await ipOf([...left, named].join(', '), stranger);
        return (await ipOf(header)) === stranger && direct === stranger;
      }),
      { numRuns: 500 },
    );
    t.pass('held');
  },
);

await t.test('whatever is sent, the answer is a plain public address or none', async (t) => {
  const texts = fc.array(fc.oneof(forged, anyV4), { maxLength: 6 }).map((all) => all.join(','));
  await fc.assert(
    fc.asyncProperty(texts, fc.oneof(anyV4, trustedHops), async (header, socket) => {
      const found = await ipOf(header, socket);
      if (found === null) return true;
      return isIP(found) === 4 ? isPublicV4(found) : /^[23][\da-f]{3}:[\da-f:]+$/.test(found);
    }),
    { numRuns: 500 },
  );
  t.pass('held');
});

await t.test('nobody but trusted machines: the farthest of them asked by itself', async (t) => {
  t.equal(await ipOf(undefined), null);
  t.equal(await ipOf(''), null);
  t.equal(await ipOf('10.0.0.9, 10.0.0.1'), null);
  t.equal(await ipOf('198.41.128.7, 10.0.0.1'), '198.41.128.7');
  t.equal(await ipOf(undefined, '177.10.20.30'), '177.10.20.30', 'without any proxy');
});

await t.test('a header in several lines is one chain', async (t) => {
  const url = await listen(app, { host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  const lines = ['6.6.6.6', '7.7.7.7, 177.10.20.30', '10.0.0.1'];
  const request = get(`${url}/ip`, { headers: { 'x-forwarded-for': lines } });
  const [response] = await once(request, 'response');
  t.same(JSON.parse(await text(response)), { ip: '177.10.20.30' });
});
