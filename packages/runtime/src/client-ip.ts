/** The visitor's address, as Meta wants it: public, and never wrapped. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

// Some balancers add the port: `177.10.20.30:5060`, `[2804:14c::1]:5060`.
const withPort = /^(?:(\d+(?:\.\d+){3})|\[([\da-f:.]+)\])(?::\d{1,5})?$/i;

/**
 * `::ffff:1.2.3.4` becomes `1.2.3.4`, a port goes; private, CGNAT (100.64/10), loopback and other
 * addresses that say nothing about the visitor become null, and so does text that is no address.
 * @param address what Fastify found behind the trusted proxies (`request.ip`): the right-most of
 * X-Forwarded-For that is not itself a trusted proxy. What a client wrote stands left of that.
 */
export function publicIp(address: string | undefined): string | null {
  const [, v4, v6] = withPort.exec(address ?? '') ?? [];
  const plain = v4 ?? v6 ?? address ?? '';
  // ipaddr.js alone would read `1`, `0x8.8.8.8` and `010.8.8.8` as addresses too.
  if (isIP(plain) === 0) return null;
  const parsed = ipaddr.process(plain);
  if (parsed.range() !== 'unicast') return null;
  return parsed instanceof ipaddr.IPv6 && !isGlobal(parsed) ? null : parsed.toString();
}

/** All that was ever given out is in 2000::/3, and a zone has a meaning on its own machine alone. */
const isGlobal = (address: ipaddr.IPv6): boolean =>
  (address.parts[0] ?? 0) >> 13 === 1 && address.zoneId === undefined;

/**
 * Whom an address stands for where visitors are counted: IPv4 itself, of IPv6 the /64, since a
 * single phone has a whole one to choose from. Null where the address is no public one.
 */
export function clientNetwork(address: string | undefined): string | null {
  const ip = publicIp(address);
  if (ip === null || !ip.includes(':')) return ip;
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${ip}/64`).toString()}/64`;
}

const keptBits = { ipv4: 24, ipv6: 48 } as const;

/**
 * The network that an address is of, so that it still tells about where and no longer about whom:
 * `177.10.20.30` becomes `177.10.20.0` (/24), `2804:14c:1:2::3` becomes `2804:14c:1::` (/48).
 * Null for what is no address. Truncating again changes nothing.
 */
export function truncatedIp(address: string): string | null {
  if (!ipaddr.isValid(address)) return null;
  const parsed = ipaddr.process(address);
  const kept = keptBits[parsed.kind()] / 8;
  return ipaddr
    .fromByteArray(parsed.toByteArray().map((byte, i) => (i < kept ? byte : 0)))
    .toString();
}
