/** From an HTTP request to what the core knows of a visit. */
import { publicIp } from '@rastro/runtime';
import type { FastifyRequest } from 'fastify';
import { isbot } from 'isbot';
import type { Visit } from './core/click.ts';
import type { Query } from './core/link-parameters.ts';

const purposeHeaders = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'];

export function visitOf(request: FastifyRequest): Visit {
  const { method, url, headers, ip, cookies } = request;
  const userAgent = headers['user-agent'] || null;
  const purpose = purposeHeaders.map((name) => headers[name]).find((value) => value !== undefined);
  return {
    method,
    url,
    query: request.query as Query,
    userAgent,
    isKnownBot: isbot(userAgent),
    purpose: purpose?.toString() ?? null,
    referrer: headers.referer ?? null,
    clientIp: publicIp(ip),
    language: headers['accept-language']?.split(/[,;]/)[0]?.trim() ?? null,
    cookies,
  };
}
