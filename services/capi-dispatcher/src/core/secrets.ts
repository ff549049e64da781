/** The values of one call that must not come back, and where they stand in a text. */
import { type Range, readable } from './readable-text.ts';

export interface Secrets {
  /** @param text as {@link readable} gives it. */
  find(text: string): Range[];
}

/** Of a quoted value that is cut, this much of its beginning is known again. */
const knownPrefix = 16;
/** By so many characters a value is looked up; shorter ones are looked for one by one. */
const keyLength = 8;

/** @param bodies the events of the call as JSON, however many. */
export function secretsOf(bodies: readonly string[], token: string): Secrets {
  const values = new Set([token]);
  for (const body of bodies) for (const value of valuesOf(body)) values.add(value);
  const meant = new Set([...values].map((value) => folded(readable(value).text)));
  // The longest first: a short one inside of it ends with it.
  const sorted = [...meant].filter(Boolean).toSorted((a, b) => b.length - a.length);
  const short = sorted.filter((value) => value.length < keyLength);
  const long = sorted.filter((value) => value.length >= keyLength);
  const byKey = Map.groupBy(long, (value) => value.slice(0, keyLength));
  return {
    find: (text) => {
      const searched = folded(text);
      return [...longIn(searched, byKey), ...short.flatMap((value) => placesOf(value, searched))];
    },
  };
}

/** Same length as the text: upper case and `+` for a space are ways to write the same. */
function folded(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  const lower = spaced.toLowerCase();
  if (lower.length === spaced.length) return lower;
  return spaced.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function longIn(text: string, byKey: ReadonlyMap<string, readonly string[]>): Range[] {
  const found: Range[] = [];
  for (let from = 0; from <= text.length - keyLength; from += 1) {
    const values = byKey.get(text.slice(from, from + keyLength)) ?? [];
    let length = 0;
    for (const value of values) {
      const shared = sharedLength(value, text, from);
      if (shared === value.length || shared >= knownPrefix) length = Math.max(length, shared);
    }
    // Not skipped: what begins inside of it may reach further than it.
    if (length > 0) found.push({ from, to: from + length });
  }
  return found;
}

function sharedLength(value: string, text: string, from: number): number {
  let length = keyLength;
  while (length < value.length && value[length] === text[from + length]) length += 1;
  return length;
}

function placesOf(value: string, text: string): Range[] {
  const found: Range[] = [];
  for (let from = text.indexOf(value); from !== -1; from = text.indexOf(value, from + 1)) {
    found.push({ from, to: from + value.length });
  }
  return found;
}

interface Sent {
  readonly event_source_url?: string;
  readonly user_data?: Readonly<Record<string, unknown>>;
}

function valuesOf(body: string): string[] {
  const { event_source_url: url = '', user_data: userData = {} } = JSON.parse(body) as Sent;
  const texts = Object.values(userData)
    .flat()
    .filter((value) => typeof value === 'string');
  return [
    ...texts.filter((value) => value.length > 3),
    ...texts.flatMap(cookiePayloads),
    ...queryValues(url),
  ];
}

/** The click id of fbc and the number of fbp, with the marker of Meta's libraries and without. */
function cookiePayloads(value: string): string[] {
  const [prefix, , , first = '', ...rest] = value.split('.');
  if (prefix !== 'fb') return [];
  return [first, [first, ...rest].join('.')].filter((payload) => payload.length >= keyLength);
}

/** A channel's name is nobody's, and `facebook` would go missing from every link that Meta gives. */
const channels = new Set(['utm_source', 'utm_medium']);

function queryValues(url: string): string[] {
  const [, ...queries] = url.split(/[?#]/);
  const pairs = queries.flatMap((query) => query.split('&')).map((pair) => pair.split('='));
  const values = pairs.flatMap(([name = '', ...value]) =>
    channels.has(name) ? [] : [value.join('=')],
  );
  return [...queries, ...values].filter((value) => value.length > 5);
}
