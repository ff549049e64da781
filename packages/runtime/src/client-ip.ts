/** The visitor's address, as Meta wants it: public, and never wrapped. */
import ipaddr from 'ipaddr.js';

/**
 * `::ffff:1.2.3.4` becomes `1.2.3.4`; private, CGNAT (100.64/10), loopback and other addresses
 * that say nothing about the visitor become null.
 * @param address what Fastify found behind the trusted proxies (`request.ip`).
 */
export function publicIp(address: string | undefined): string | null {
  if (!address || !ipaddr.isValid(address)) return null;
  const parsed = ipaddr.process(address);
  return parsed.range() === 'unicast' ? parsed.toString() : null;
}
