/** One call to Meta's Graph API, with every way it can end as a value. */
import { Agent, type Dispatcher, request } from 'undici';
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

/**
 * As many connections as calls under way, kept for the next ones. The lanes bound them: each makes
 * one call at a time, so a limit here would only let pixels that hang hold up those that do not.
 * Nor do calls share one (HTTP/2): when it breaks, the outcome of every call on it is unknown.
 */
export function createGraph({ url, version, timeoutMs }: GraphOptions): Graph {
  const agent = new Agent({
    allowH2: false,
    keepAliveTimeout: 30_000,
    connect: { timeout: Math.ceil(timeoutMs / 2) },
    maxResponseSize: 1_048_576,
  });
  return {
    async send({ pixelId, token, body }) {
      let hasLeft = false;
      try {
        const response = await request(`${url}/${version}/${pixelId}/events`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body,
          dispatcher: agent.compose(departure(() => (hasLeft = true))),
          signal: AbortSignal.timeout(timeoutMs),
        });
        const answer = await response.body.text();
        const waitMs = waitOf(response.headers);
        return { kind: 'answered', status: response.statusCode, body: answer, waitMs };
      } catch (error) {
        return failureOf(error, hasLeft);
      }
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/** Tells of the moment before the first byte is written to a connection that stands. */
function departure(onLeaving: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const start = handler.onRequestStart?.bind(handler);
    handler.onRequestStart = (controller, context: unknown) => {
      start?.(controller, context);
      if (!controller.aborted) onLeaving();
    };
    return dispatch(options, handler);
  };
}

interface Failure {
  /** A number in a DOMException such as that of a timeout. */
  readonly code?: string | number;
  readonly name?: string;
  /** Several addresses of one host that all refused arrive as one AggregateError. */
  readonly errors?: readonly Failure[];
}

/** @param hasLeft whether a byte of the request may have; where it does not matter, it may. */
export function failureOf(error: unknown, hasLeft = true): Reply {
  const { code, name, errors } = error as Failure;
  const reason = [code, errors?.[0]?.code, name].find(isText) ?? 'unknown error';
  return { kind: hasLeft ? 'lost' : 'unreachable', reason };
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
