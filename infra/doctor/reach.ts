/** What has to answer before anything else makes sense. */
import { once } from 'node:events';
import { connectRedis, type Logger } from '@rastro/runtime';
import { request } from 'undici';
import {
  failed,
  type Finding,
  inTime,
  ok,
  patienceMs,
  startAgain,
  warning,
  wordsOf,
} from './finding.ts';

/** Redis is a cache: nobody waits for it. */
export async function lookAtRedis(url: string, log: Logger): Promise<Finding> {
  const about = { check: 'Redis', subject: new URL(url).host };
  const redis = connectRedis({ url, service: 'rastro doctor', log });
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(2_000) });
    await inTime(redis.ping(), 2_000);
    return ok(about, 'answers');
  } catch {
    const detail = 'does not answer; the rate limit counts in each gateway alone meanwhile';
    return warning(about, detail, startAgain('redis'));
  } finally {
    redis.disconnect();
  }
}

/** An address below /go that is no link: the gateway says so itself, and nobody has clicked. */
const noLink = '/go/-/doctor';

export interface OriginAnswer {
  readonly status: number;
  /** `x-robots-tag`, which the gateway puts on all its pages. */
  readonly robots: string;
}

export async function lookAtOrigin(origin: string): Promise<Finding> {
  try {
    const { statusCode, headers, body } = await request(`${origin}${noLink}`, {
      signal: AbortSignal.timeout(patienceMs),
    });
    await body.dump();
    return judgeOrigin(origin, { status: statusCode, robots: String(headers['x-robots-tag']) });
  } catch (error) {
    const about = { check: 'PUBLIC_ORIGIN', subject: origin };
    const detail = `does not answer: ${wordsOf(error)}`;
    return failed(about, detail, startAgain('redirect-gateway caddy'));
  }
}

export function judgeOrigin(origin: string, { status, robots }: OriginAnswer): Finding {
  const about = { check: 'PUBLIC_ORIGIN', subject: origin };
  if (status === 404 && robots.includes('noindex')) return ok(about, 'the gateway answers there');
  if (status >= 500) {
    return failed(
      about,
      `answers with ${status}: the edge does not reach the gateway`,
      startAgain('redirect-gateway'),
    );
  }
  const detail = `somebody else answers there (${status}), not the gateway`;
  const mend = `let ${new URL(origin).host} lead to the edge (port 8080 of npm start, Caddy of docker compose), or set PUBLIC_ORIGIN to where it is`;
  return failed(about, detail, mend);
}

/** Gateways and Telegram push over https only. */
export function judgeWebhooks(origin: string, isSandbox: boolean): Finding {
  const about = { check: 'webhooks', subject: origin };
  if (origin.startsWith('https:')) return ok(about, 'is https, as gateways and Telegram want it');
  if (isSandbox) return ok(about, "the sandbox's gateways and Telegram reach it");
  const detail =
    'gateways push to https only: payments are found by asking, minutes later; Telegram is polled';
  return warning(about, detail, 'set PUBLIC_ORIGIN to an https address, and start again');
}
