/** How every gateway is spoken to: bounded in time and size, and never following redirects. */
import { type Decoder, parseJson } from '@rastro/events';
import { Agent, type Dispatcher, request } from 'undici';

/** No usable answer could be had; the outcome of what was asked is unknown. */
export class GatewayError extends Error {
  readonly code = 'GATEWAY_UNAVAILABLE';

  constructor(what: string, cause?: unknown) {
    super(what, cause === undefined ? {} : { cause });
    this.name = 'GatewayError';
  }
}

// Below the ten seconds that whoever asks us about a charge waits.
const maxTimeoutMs = 8_000;
const maxAnswerBytes = 262_144;

/** One pool of connections for all gateways. */
export function createGatewayAgent(): Agent {
  return new Agent({
    connect: { timeout: 3_000 },
    headersTimeout: maxTimeoutMs,
    bodyTimeout: maxTimeoutMs,
    keepAliveTimeout: 10_000,
    maxResponseSize: maxAnswerBytes,
  });
}

export interface GatewayRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Where whoever asks has less time than a gateway may take. */
  readonly timeoutMs?: number;
}

export type GatewayAnswer =
  | { readonly kind: 'ok'; readonly json: unknown }
  /** 4xx: asking again will not help; `problem` is the gateway's own text, shortened. */
  | { readonly kind: 'refused'; readonly status: number; readonly problem: string };

/** @throws {GatewayError} on timeouts, resets, 429, 5xx, redirects and answers that are not JSON. */
export async function askGateway(
  dispatcher: Dispatcher,
  { method, url, headers, body, timeoutMs = maxTimeoutMs }: GatewayRequest,
): Promise<GatewayAnswer> {
  const { status, text } = await exchange(() =>
    request(url, {
      dispatcher,
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    }),
  );
  const isOk = status >= 200 && status < 300;
  const isFinal = status >= 400 && status < 500 && ![408, 425, 429].includes(status);
  if (!isOk && !isFinal) throw new GatewayError(`the gateway answered ${status}`);
  if (isFinal) return { kind: 'refused', status, problem: problemIn(text) };
  // Some say yes to a repeated request without repeating what they said.
  const json = text === '' ? { ok: true as const, value: null } : parseJson(text);
  if (!json.ok) throw new GatewayError('the gateway answered something that is not JSON');
  return { kind: 'ok', json: json.value };
}

async function exchange(
  send: () => Promise<Dispatcher.ResponseData>,
): Promise<{ status: number; text: string }> {
  try {
    const { statusCode, body } = await send();
    return { status: statusCode, text: await body.text() };
  } catch (error) {
    throw new GatewayError(`the gateway did not answer: ${(error as Error).message}`, error);
  }
}

/** Only the fields in which gateways explain themselves: the rest might be about a person. */
function problemIn(text: string): string {
  const json = parseJson(text);
  const told = ((json.ok ? json.value : null) ?? {}) as Record<string, unknown>;
  const { detail, message, error, errors } = told;
  const [first] = Array.isArray(errors) ? (errors as unknown[]) : [];
  const inList = (first as { message?: unknown } | null | undefined)?.message;
  const found = [detail, message, error, inList].find((value) => typeof value === 'string');
  return typeof found === 'string' ? found.slice(0, 256) : 'without saying why';
}

type Refusal = Extract<GatewayAnswer, { kind: 'refused' }>;

export const reasonOf = ({ status, problem }: Refusal): string => `${status}, ${problem}`;

/** @throws {GatewayError} for a refusal that says nothing about the charge, e.g. of our key. */
export function told(answer: GatewayAnswer): unknown {
  if (answer.kind === 'ok') return answer.json;
  throw new GatewayError(`the gateway answered ${reasonOf(answer)}`);
}

/** The same, but null for a 404: there is no such thing. */
export const toldOrNull = (answer: GatewayAnswer): unknown =>
  answer.kind === 'refused' && answer.status === 404 ? null : told(answer);

/** @throws {GatewayError} when the answer lacks what the gateway's documentation promises. */
export function readAnswer<T>(decode: Decoder<T>, json: unknown): T {
  const decoded = decode(json);
  if (!decoded.ok)
    throw new GatewayError(`the gateway's answer is not as agreed: ${decoded.problem}`);
  return decoded.value;
}

/** Any ISO 8601 time as we write them; null for null and for what is no time. */
export function isoTime(value: string | null | undefined): string | null {
  const date = new Date(value ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
