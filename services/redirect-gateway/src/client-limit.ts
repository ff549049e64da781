/** Whether a client has asked too often, by the address that its request came with. */
import type { Logger } from '@rastro/runtime';
import type { FastifyRequest } from 'fastify';

/**
 * Seconds that the client has to wait; 0 lets it in.
 * @param ip the request's own, which takes a while to find: ask for it once.
 */
export type WaitOf = (request: FastifyRequest, ip: string) => number;

export const unlimited: WaitOf = () => 0;

/**
 * @param take counts the address and says how many seconds it has to wait.
 * @param warnIfDisbelieved of {@link createProxyWarning}.
 */
export function clientLimit(
  take: (address: string) => number,
  warnIfDisbelieved: (request: FastifyRequest, ip: string) => void,
): WaitOf {
  return (request, ip) => {
    warnIfDisbelieved(request, ip);
    return take(ip);
  };
}

/** Behind a proxy that is not believed all visitors have the proxy's address: told once. */
export function createProxyWarning(log: Logger) {
  let isTold = false;
  return (request: FastifyRequest, ip: string): void => {
    if (isTold || request.headers['x-forwarded-for'] === undefined) return;
    // Only then can the header have been left aside; what follows costs more.
    if (ip !== request.socket.remoteAddress || request.ips?.length !== 1) return;
    isTold = true;
    log.warn(
      'X-Forwarded-For is not believed, since who sent it is not in TRUSTED_PROXIES: if that is ' +
        'your own proxy, add it, or all visitors pass for one',
    );
  };
}
