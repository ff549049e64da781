/**
 * Visitors at a constant rate, whatever the answers do: an open loop, as ads are. A visitor who has
 * to wait because others are slow counts his waiting too.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { phoneUserAgent } from '@rastro/testing';
import { Pool } from 'undici';

export interface ClickLoad {
  /** Of the gateway or of the edge, e.g. `http://127.0.0.1:8101`. */
  readonly origin: string;
  readonly slug?: string;
  readonly perSecond: number;
  readonly durationMs: number;
  /** Visitors served at the same time; who comes on top of that waits. */
  readonly connections?: number;
  /** How long a visitor who gets no answer at all keeps reloading; 0 for a single try. */
  readonly reloadForMs?: number;
  /** Of the n-th visitor, who comes back with it. */
  readonly cookieOf?: (visitor: number) => string | undefined;
}

/** One visitor. Times are `performance.now()`. */
export interface Click {
  /** When he should have been sent, by the rate. */
  readonly dueMs: number;
  /** When the try that was answered, or the last one, was handed to a connection. */
  readonly sentMs: number;
  /** From `dueMs` to the end of the page. */
  readonly latencyMs: number;
  /** Null when nobody answered. */
  readonly status: number | null;
  /** Of the link to the bot; null where the answer has none. */
  readonly username: string | null;
  readonly trackingToken: string | null;
  readonly reloads: number;
}

const tickMs = 1;
const answerWithinMs = 15_000;
const reloadAfterMs = 200;

/** Resolves once every visitor was answered or has given up. */
export async function clickSteadily(load: ClickLoad): Promise<Click[]> {
  const { perSecond, durationMs, connections = 256 } = load;
  const timeouts = { headersTimeout: answerWithinMs, bodyTimeout: answerWithinMs };
  const pool = new Pool(load.origin, { connections, ...timeouts });
  const total = Math.round((perSecond * durationMs) / 1_000);
  const run = randomUUID().slice(0, 8);
  const clicks: Promise<Click>[] = [];
  const startedMs = performance.now();
  try {
    while (clicks.length < total) {
      const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1_000) + 1;
      while (clicks.length < Math.min(due, total)) {
        const dueMs = startedMs + (clicks.length * 1_000) / perSecond;
        clicks.push(click(pool, load, { run, visitor: clicks.length, dueMs }));
      }
      await delay(tickMs);
    }
    return await Promise.all(clicks);
  } finally {
    await pool.destroy();
  }
}

interface Visitor {
  readonly run: string;
  readonly visitor: number;
  readonly dueMs: number;
}

async function click(pool: Pool, load: ClickLoad, who: Visitor): Promise<Click> {
  const { slug = 'promo', reloadForMs = 0 } = load;
  const path = `/go/${slug}?fbclid=IwAR-${who.run}_${who.visitor}&utm_source=FB`;
  const headers = headersOf(who.visitor, load.cookieOf?.(who.visitor));
  for (let reloads = 0; ; reloads += 1) {
    const sentMs = performance.now();
    const answer = await open(pool, path, headers);
    const nowMs = performance.now();
    const mayReload = nowMs + reloadAfterMs < who.dueMs + reloadForMs;
    if (answer.status === null && mayReload) await delay(reloadAfterMs);
    else return { dueMs: who.dueMs, sentMs, latencyMs: nowMs - who.dueMs, reloads, ...answer };
  }
}

type Answer = Pick<Click, 'status' | 'username' | 'trackingToken'>;

const nobody: Answer = { status: null, username: null, trackingToken: null };

/** A page that breaks off half-way is no answer. */
async function open(pool: Pool, path: string, headers: string[]): Promise<Answer> {
  try {
    const { statusCode, body } = await pool.request({ method: 'GET', path, headers });
    const link = /\/([A-Za-z]\w+)\?start=([0-9a-f]{32})/.exec(await body.text());
    return { status: statusCode, username: link?.[1] ?? null, trackingToken: link?.[2] ?? null };
  } catch {
    return nobody;
  }
}

/** A real phone's, each visitor with an address of his own. */
export function visitorHeaders(visitor: number): Record<string, string> {
  return {
    'user-agent': phoneUserAgent,
    accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'accept-language': 'pt-BR,pt;q=0.9',
    'x-forwarded-for': `177.${(visitor >> 16) & 255}.${(visitor >> 8) & 255}.${visitor & 255}`,
  };
}

/** Flat, as undici takes them fastest. */
function headersOf(visitor: number, cookie: string | undefined): string[] {
  const headers = Object.entries(visitorHeaders(visitor)).flat();
  if (cookie !== undefined) headers.push('cookie', cookie);
  return headers;
}

/** Tokens of the visitors who got the page. */
export function answeredTokens(clicks: readonly Click[]): string[] {
  return clicks.flatMap(({ status, trackingToken }) =>
    status === 200 && trackingToken !== null ? [trackingToken] : [],
  );
}

/** Milliseconds; of all visitors, answered or not. */
export function latencies(clicks: readonly Pick<Click, 'latencyMs'>[]) {
  const sorted = Float64Array.from(clicks, ({ latencyMs }) => latencyMs).sort();
  const at = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}
