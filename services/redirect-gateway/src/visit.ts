/** From an HTTP request to what the core knows of a visit. */
import { publicIp } from '@rastro/runtime';
import { headerTraits } from '@rastro/traffic';
import type { FastifyRequest } from 'fastify';
import type { Visit } from './core/click.ts';
import type { Query } from './core/link-parameters.ts';

/** @param ip the request's own, which takes a while to find: ask for it once. */
export function visitOf(request: FastifyRequest, ip: string): Visit {
  const { method, url, headers, cookies } = request;
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
