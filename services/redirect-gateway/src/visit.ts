/** From an HTTP request to what the core knows of a visit. */
import { publicIp } from '@rastro/runtime';
import { headerTraits } from '@rastro/traffic';
import type { FastifyRequest } from 'fastify';
import type { Visit } from './core/click.ts';
import type { Query } from './core/link-parameters.ts';

export function visitOf(request: FastifyRequest): Visit {
  const { method, url, headers, ip, cookies } = request;
  return {
    traits: headerTraits(method, headers),
    url,
    query: request.query as Query,
    referrer: headers.referer ?? null,
    clientIp: publicIp(ip),
    language: headers['accept-language']?.split(/[,;]/)[0]?.trim() ?? null,
    cookies,
  };
}
