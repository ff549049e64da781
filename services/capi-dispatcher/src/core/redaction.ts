/**
 * What may be kept of Meta's answers: all of it but the token and what names a person, for Meta may
 * quote whatever it was sent. Taken out before anything is cut or judged, so that the reason, the
 * messages and the answer in the ledger, in events and in the log are all made of the same.
 */
import { parseJson } from '@rastro/events';
import type { Reply } from './outcome.ts';
import { namedIn } from './personal-patterns.ts';
import { type Range, readable } from './readable-text.ts';
import { secretsOf } from './secrets.ts';
import { storable } from './storable-text.ts';

export interface Sent {
  /** All events of the call, as JSON. */
  readonly bodies: readonly string[];
  readonly token: string;
}

/** Classified as the reply itself would be, except where it names somebody. */
export function redactedReply(reply: Reply, sent: Sent): Reply {
  if (reply.kind !== 'answered') return { ...reply, reason: storable(reply.reason, 256) };
  const json = parseJson(reply.body);
  // Nearly every answer: thousands of events a second are not to be read again for it.
  if (json.ok && isPlainAcceptance(json.value)) {
    return { ...reply, body: JSON.stringify(json.value) };
  }
  const hide = createHiding(sent);
  const body = json.ok ? JSON.stringify(redacted(json.value, hide, 0)) : hide(reply.body);
  return { ...reply, body };
}

const plainKeys = new Set(['events_received', 'messages', 'fbtrace_id']);

/** Nothing but a count and the name of the call. */
function isPlainAcceptance(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const answer = value as Readonly<Record<string, unknown>>;
  const { events_received: received, messages = [], fbtrace_id: trace = '' } = answer;
  return (
    Object.keys(answer).every((key) => plainKeys.has(key)) &&
    typeof received === 'number' &&
    Array.isArray(messages) &&
    messages.length === 0 &&
    typeof trace === 'string' &&
    /^[\w-]{0,64}$/.test(trace)
  );
}

type Hiding = (text: string) => string;

const maxDepth = 16;

function redacted(value: unknown, hide: Hiding, depth: number): unknown {
  if (depth > maxDepth) return null;
  if (typeof value === 'string') return hide(value);
  if (Array.isArray(value)) return value.map((item) => redacted(item, hide, depth + 1));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, of]) => [
    isFieldName(key) ? key : hide(key),
    redacted(of, hide, depth + 1),
  ]);
  return Object.fromEntries(entries) as unknown;
}

/** Meta's own: a visitor whose user agent is `error` must not change how an answer is read. */
const isFieldName = (key: string): boolean => /^[a-z_]{1,64}$/.test(key);

const shownChars = 4_000;
/** Looked at beyond that, so that no value is missed for being cut: an address is the longest. */
const marginChars = 8_192;

function createHiding({ bodies, token }: Sent): Hiding {
  const secrets = secretsOf(bodies, token);
  return (whole) => {
    // A character in its place: what was no JSON must not become some.
    const text = whole.slice(0, shownChars + marginChars).replaceAll('\0', '\uFFFD');
    const { text: meant, placeOf } = readable(text);
    const found = [
      ...secrets.find(meant).map((range) => ({ ...range, label: '[redacted]' })),
      ...namedIn(meant),
    ].map(({ from, to, label }) => ({ ...placeOf(from, to), label }));
    return without(text, found).toWellFormed();
  };
}

interface Hidden extends Range {
  readonly label: string;
}

/** What overlaps goes as one: a value inside a longer one leaves no rest of that. */
function without(text: string, found: readonly Hidden[]): string {
  const pieces: string[] = [];
  let end = 0;
  for (const { from, to, label } of united(found)) {
    if (from >= shownChars) break;
    pieces.push(text.slice(end, from), label);
    end = to;
  }
  if (text.length <= shownChars) return [...pieces, text.slice(end)].join('');
  const rest = storable(
    text.slice(Math.min(end, shownChars)),
    shownChars - Math.min(end, shownChars),
  );
  return [...pieces, rest, '…'].join('');
}

function united(found: readonly Hidden[]): Hidden[] {
  const ranges: Hidden[] = [];
  for (const next of found.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
    const last = ranges.at(-1);
    if (!last || next.from >= last.to) ranges.push(next);
    else if (next.to > last.to) {
      ranges[ranges.length - 1] = { from: last.from, to: next.to, label: '[redacted]' };
    }
  }
  return ranges;
}
