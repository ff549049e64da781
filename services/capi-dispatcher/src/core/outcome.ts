/**
 * What an answer of the Graph API means. By code and subcode first, since Meta sends throttling on
 * HTTP 400 and token errors on 401 or 400; by HTTP status second; never by text, which is localised
 * and may change without notice. Only Meta itself rejects: money is not given up on the word of some
 * machine on the way.
 * @see Meta, "Handling errors" and "Error reference"
 */
import { parseJson } from '@rastro/events';
import { adviceFor } from './advice.ts';
import { storable } from './storable-text.ts';

export type Reply =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly body: string;
      /** From the headers: how long Meta asks to stay away. */
      readonly waitMs: number | null;
    }
  /** The request never left: refused, no such host, no TLS. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** The request left, or may have: timeout, reset. */
  | { readonly kind: 'lost'; readonly reason: string };

export interface Diagnosis {
  readonly httpStatus: number | null;
  readonly code: number | null;
  readonly subcode: number | null;
  readonly fbtraceId: string | null;
  readonly messages: readonly unknown[];
  /** For people; empty when accepted. Of a refused event it ends with what to mend. */
  readonly reason: string;
}

export type OutcomeKind =
  /** Meta has them all. */
  | 'accepted'
  /** Meta has none of them; will pass. */
  | 'transient'
  /** Meta has none of them and wants calls for this pixel to pause. */
  | 'throttled'
  /** Token, permission or set-up: nothing of this pixel will go through until it is mended. */
  | 'parked'
  /** At least one event is wrong, and Meta has none of them. */
  | 'rejected'
  /** Meta may have them. */
  | 'unknown';

export interface Outcome extends Diagnosis {
  readonly kind: OutcomeKind;
  /**
   * How long Meta asks to stay away, where it says so: of `throttled` for the whole pixel, of
   * `transient` and `unknown` for the events of the call. Null for all others.
   */
  readonly waitMs: number | null;
}

const hourMs = 3_600_000;

const transientCodes = new Set([1, 2, 21_009]);
const throttlingCodes = new Set([4, 17, 32, 341, 613, 80_000, 80_003, 80_004, 80_014]);
/** Blocked by policy for a time: hourly is often enough. */
const blockedCodes = new Set([368, 1_404_078, 2_859_015]);
const tokenCodes = new Set([3, 10, 102, 104, 190]);
/** Unknown address, deprecated version: our set-up is wrong, not the event. */
const setUpCodes = new Set([12, 2_500, 2_635]);
const invalidParameter = 100;
const objectMissing = 33;
/** Of 190; they say the same where the code itself says nothing. */
const tokenSubcodes = new Set([458, 459, 460, 463, 464, 467, 492]);
/** "Server Side Api Parameter Error" and its kin, otherwise subcodes of 100. */
const isParameterSubcode = (subcode: number) => subcode >= 2_804_000 && subcode <= 2_804_999;

/** @param sent number of events in the request. */
export function classify(reply: Reply, sent: number): Outcome {
  if (reply.kind !== 'answered') {
    const kind = reply.kind === 'lost' ? 'unknown' : 'transient';
    return { ...nothingKnown, kind, reason: reply.reason };
  }
  const json = parseJson(reply.body);
  const answer = json.ok && isRecord(json.value) ? json.value : null;
  const error = answer && isRecord(answer['error']) ? answer['error'] : null;
  const diagnosis = diagnosisOf(reply.status, answer, error);
  const isSuccess = reply.status >= 200 && reply.status < 300;
  if (!error && isSuccess) return judgeSuccess(diagnosis, answer, sent);
  const judgement = error
    ? judgeError(diagnosis, error['is_transient'] === true, reply.waitMs)
    : judgeStatus(reply.status, reply.waitMs);
  const outcome = { ...diagnosis, ...judgement };
  return outcome.kind === 'rejected' ? withAdvice(outcome) : outcome;
}

/** Meta may say much; what to mend must not be what is cut off. */
const quotedChars = 600;

function withAdvice(outcome: Outcome): Outcome {
  const { reason } = outcome;
  const said = reason.length > quotedChars ? `${storable(reason, quotedChars)}…` : reason;
  return { ...outcome, reason: `${said} → to mend: ${adviceFor(outcome)}` };
}

const maxReasonChars = 4_000;

/** Of a call that Meta never answered. */
export const nothingKnown = {
  httpStatus: null,
  code: null,
  subcode: null,
  fbtraceId: null,
  messages: [],
  waitMs: null,
};

function diagnosisOf(
  httpStatus: number,
  answer: Readonly<Record<string, unknown>> | null,
  error: Readonly<Record<string, unknown>> | null,
): Diagnosis {
  const code = integer(error?.['code']);
  const subcode = integer(error?.['error_subcode']);
  const { messages } = answer ?? {};
  const texts = [error?.['message'], error?.['error_user_title'], error?.['error_user_msg']];
  const said = texts.filter((text) => typeof text === 'string' && text !== '').join(' · ');
  const where = code === null ? `HTTP ${httpStatus}` : `code ${code}/${subcode ?? '–'}`;
  return {
    httpStatus,
    code,
    subcode,
    fbtraceId: text(error?.['fbtrace_id']) ?? text(answer?.['fbtrace_id']),
    messages: Array.isArray(messages) ? messages : [],
    reason: storable(
      said ? `${where}: ${said}` : where + (isForeign(httpStatus, code) ? foreign : ''),
      maxReasonChars,
    ),
  };
}

/** Meta's own refusals have a code. */
const isForeign = (httpStatus: number, code: number | null) =>
  code === null && httpStatus >= 400 && httpStatus <= 499;

const foreign = ": not an answer of Meta's; see what else answers on the way to META_GRAPH_URL";

function judgeSuccess(
  diagnosis: Diagnosis,
  answer: Readonly<Record<string, unknown>> | null,
  sent: number,
): Outcome {
  const received = answer?.['events_received'];
  if (received === sent) return { ...diagnosis, kind: 'accepted', waitMs: null, reason: '' };
  // Anything may stand there, and not everything can be made a text.
  const count = typeof received === 'number' ? received : 'unknown how many';
  const reason = `HTTP ${diagnosis.httpStatus}: ${count} of ${sent} events received`;
  return { ...diagnosis, kind: 'unknown', waitMs: null, reason };
}

type Judgement = Pick<Outcome, 'kind' | 'waitMs'>;

const judged = (kind: OutcomeKind, waitMs: number | null = null): Judgement => ({ kind, waitMs });

function judgeError(
  { code, subcode, httpStatus }: Diagnosis,
  isTransient: boolean,
  waitMs: number | null,
): Judgement {
  const status = httpStatus ?? 0;
  if (code === null) return judgeStatus(status, waitMs);
  if (blockedCodes.has(code) || (subcode !== null && blockedCodes.has(subcode)))
    return judged('throttled', hourMs);
  if (throttlingCodes.has(code)) return judged('throttled', waitMs);
  if (transientCodes.has(code)) return judged('transient', waitMs);
  const isSetUp = setUpCodes.has(code) || tokenCodes.has(code) || (code >= 200 && code <= 299);
  if (isSetUp) return judged('parked');
  if (code === invalidParameter && subcode === objectMissing) return judged('parked');
  if (isTransient) return judged('transient', waitMs);
  if (code === invalidParameter) return judged('rejected');
  if (code > 0) return isRequestStatus(status) ? judged('rejected') : judgeStatus(status, waitMs);
  // Internal to Meta: only the subcode is meant for others.
  if (subcode !== null && tokenSubcodes.has(subcode)) return judged('parked');
  if (subcode !== null && isParameterSubcode(subcode)) return judged('rejected');
  return judgeStatus(status, waitMs);
}

/** With which Meta finds fault with what was sent. */
const isRequestStatus = (status: number) => status === 400 || status === 422;

/** For answers without a code that we know. */
function judgeStatus(status: number, waitMs: number | null): Judgement {
  if (status === 429) return judged('throttled', waitMs);
  // A firewall or proxy on the way says 400, too: nobody at Meta has found fault with the events.
  if (status === 408 || isRequestStatus(status)) return judged('transient', waitMs);
  // A page of some machine on the way: it does not say how far the request came.
  if (status >= 500 || status < 300) return judged('unknown', waitMs);
  // Whoever says so, a smaller batch may pass.
  if (status === 413) return judged('rejected');
  // Wrong address, version or permission: keep everything and call for a person.
  return judged('parked');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As Postgres' integer holds it: Meta's codes are far smaller. */
function integer(value: unknown): number | null {
  const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
  const isHeld = typeof number === 'number' && Number.isInteger(number) && (number | 0) === number;
  return isHeld ? number : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? storable(value, 128) || null : null;
}
