/** One call to Meta's Graph API, with every way it can end as a value. */
import { Agent, request } from 'undici';
import type { Reply } from '../core/outcome.ts';

export interface GraphOptions {
  readonly url: string;
  /** e.g. `v26.0`. */
  readonly version: string;
  readonly timeoutMs: number;
}

export interface Graph extends AsyncDisposable {
  /** `POST /{version}/{pixel}/events`; never throws. */
  send(call: { pixelId: string; token: string; body: string }): Promise<Reply>;
}

/** Errors that come before a byte of the request has left. */
const neverSent =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_.*|CERT_.*|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*)$/;

export function createGraph({ url, version, timeoutMs }: GraphOptions): Graph {
  const agent = new Agent({
    connections: 32,
    keepAliveTimeout: 30_000,
    connect: { timeout: Math.ceil(timeoutMs / 2) },
    maxResponseSize: 1_048_576,
  });
  return {
    async send({ pixelId, token, body }) {
      try {
        const response = await request(`${url}/${version}/${pixelId}/events`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body,
          dispatcher: agent,
          signal: AbortSignal.timeout(timeoutMs),
        });
        const answer = await response.body.text();
        const waitMs = waitOf(response.headers);
        return { kind: 'answered', status: response.statusCode, body: answer, waitMs };
      } catch (error) {
        return failureOf(error);
      }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

interface Failure {
  /** A number in a DOMException such as that of a timeout. */
  readonly code?: string | number;
  readonly name?: string;
  /** Several addresses of one host that all refused arrive as one AggregateError. */
  readonly errors?: readonly Failure[];
}

export function failureOf(error: unknown): Reply {
  const { code, name, errors } = error as Failure;
  const reason = [code, errors?.[0]?.code, name].find(isText) ?? 'unknown error';
  return { kind: neverSent.test(reason) ? 'unreachable' : 'lost', reason };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

const maxWaitMs = 6 * 3_600_000;

/** In percent: so near its limit, an ad account's next call is likely to be refused. */
const exhaustedFrom = 95;

/**
 * How long Meta asks to stay away. Samples of the usage headers disagree on their nesting, so a
 * field counts wherever it stands: `estimated_time_to_regain_access` (minutes), and of an ad account
 * that has used up its share `reset_time_duration` (seconds).
 */
export function waitOf(headers: Headers, nowMs = Date.now()): number | null {
  const minutes = numbersIn(
    headers['x-business-use-case-usage'],
    'estimated_time_to_regain_access',
  );
  const account = headers['x-ad-account-usage'];
  const isExhausted = numbersIn(account, 'acc_id_util_pct').some((used) => used >= exhaustedFrom);
  const seconds = isExhausted ? numbersIn(account, 'reset_time_duration') : [];
  const waits = [
    ...minutes.map((each) => each * 60_000),
    ...seconds.map((each) => each * 1_000),
    retryAfterMs(String(headers['retry-after'] ?? ''), nowMs),
  ];
  const longest = Math.max(0, ...waits.filter((ms) => Number.isFinite(ms)));
  return longest > 0 ? Math.min(longest, maxWaitMs) : null;
}

function numbersIn(header: string | string[] | undefined, field: string): number[] {
  const found = String(header ?? '').matchAll(
    new RegExp(`"${field}"\\s*:\\s*"?(\\d{1,12}(?:\\.\\d{1,12})?)`, 'g'),
  );
  return [...found].map(([, digits]) => Number(digits));
}

/** Seconds or a date. @see RFC 9110, section 10.2.3 */
function retryAfterMs(value: string, nowMs: number): number {
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1_000;
  return /GMT\s*$/.test(value) ? Date.parse(value) - nowMs : 0;
}
