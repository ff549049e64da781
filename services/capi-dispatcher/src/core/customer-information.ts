/**
 * Who a customer says he is, in the one spelling that Meta hashes. Its own libraries disagree with
 * each other, and each is wrong for Brazil somewhere: docs/decisions/027.
 *
 * What cannot be read is left out: a wrong hash matches nobody, an unhashed value is refused
 * (100/2804016) with all that is sent with it.
 * @see Meta, "Customer information parameters"
 */
import { stateCode } from './regions.ts';

/** In the order of Meta's page. */
export const customerKeys = [
  'em',
  'ph',
  'fn',
  'ln',
  'db',
  'ge',
  'ct',
  'st',
  'zp',
  'country',
  'external_id',
] as const;

export type CustomerKey = (typeof customerKeys)[number];

/** One value or several, most wanted first; what is absent or empty says nothing. */
export type Values = string | null | undefined | readonly (string | null | undefined)[];

/** As people write it, or SHA-256 in hex already. */
export type CustomerInformation = { readonly [K in CustomerKey]?: Values };

/** Lower-case hex SHA-256, never an empty list. */
export type HashedCustomer = { readonly [K in CustomerKey]?: readonly string[] };

/** What the core cannot know by itself: tables of the world, and hashing. */
export interface CustomerTools {
  readonly sha256Hex: (text: string) => string;
  /**
   * Digits with the country code, e.g. `5511912345678`; null for what is no possible number.
   * @param country ISO 3166-1 alpha-2, lower case: of a number that is written without its code.
   */
  readonly phoneDigits: (text: string, country: string) => string | null;
  /** `Brasil`, `BRA`, `br` → `br`; null for what is no country's name or code. */
  readonly countryCode: (text: string) => string | null;
}

interface Context {
  readonly tools: CustomerTools;
  /** Of the same customer, where it is known: it decides how phone, state and post code are read. */
  readonly country: string | null;
}

/** Every spelling under which Meta may know the value, without hashing; none for what is no value. */
type Rule = (text: string, context: Context) => readonly (string | null)[];

const rules: Readonly<Record<CustomerKey, Rule>> = {
  em: (text) => [emailOf(text)],
  ph: (text, { tools, country }) => [tools.phoneDigits(text, country ?? home)],
  fn: (text) => [lettersOf(text)],
  ln: (text) => [lettersOf(text)],
  db: (text) => [birthDateOf(text)],
  ge: (text) => [genders.get(text.toLowerCase()) ?? null],
  ct: bothSpellings,
  st: (text, { country }) => {
    const name = fold(text);
    const [, code = name] = /^(?:br|us)([a-z]{2})$/.exec(name) ?? [];
    const known = code.length === 2 ? code : stateCode(name, country);
    return known === null ? bothSpellings(text) : [known];
  },
  zp: (text, { country }) => [postCodeOf(text, country)],
  country: (text, { tools }) => [tools.countryCode(text)],
  external_id: (text) => [text],
};

/** Where a number without a country code is taken to be from. */
const home = 'br';

const genders: ReadonlyMap<string, 'm' | 'f'> = new Map([
  ['m', 'm'],
  ['male', 'm'],
  ['f', 'f'],
  ['female', 'f'],
]);

const sha256 = /^[0-9a-f]{64}$/i;
const md5 = /^[0-9a-f]{32}$/i;

/** Only the documented keys, each with what could be read of it, hashed. */
export function hashedCustomer(
  information: CustomerInformation,
  tools: CustomerTools,
): HashedCustomer {
  const hashed: { -readonly [K in CustomerKey]?: readonly string[] } = {};
  const country =
    textsOf(information.country)
      .map(tools.countryCode)
      .find((code) => code !== null) ?? null;
  for (const key of customerKeys) {
    const hashes = textsOf(information[key]).flatMap((text) => {
      if (sha256.test(text)) return [text.toLowerCase()];
      return normalised(key, text, { tools, country }).map(tools.sha256Hex);
    });
    if (hashes.length > 0) hashed[key] = [...new Set(hashes)];
  }
  return hashed;
}

/** What would be hashed. */
export function normalised(key: CustomerKey, value: string, context: Context): string[] {
  const text = value.normalize('NFC').trim();
  // Meta takes no MD5 any more, and its hash is nobody's. An id of 32 hex digits is an id.
  if (text === '' || (md5.test(text) && key !== 'external_id')) return [];
  const spellings = rules[key](text, context).filter((spelling) => spelling !== null);
  return [...new Set(spellings)].filter((spelling) => spelling !== '');
}

/** Also of what came as JSON, whatever its type says. */
export function textsOf(values: Values): string[] {
  const list: readonly unknown[] = Array.isArray(values) ? values : [values];
  return list.filter((value) => typeof value === 'string').filter((text) => text.trim() !== '');
}

// The HTML standard's, with a dot in the domain: what an <input type="email"> lets through.
const email = /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z\d-]{1,63}(\.[a-z\d-]{1,63})+$/;

/** Dots and tags stay: Meta's documentation removes neither. */
function emailOf(text: string): string | null {
  const lower = text.toLowerCase();
  return lower.length <= 254 && email.test(lower) ? lower : null;
}

/**
 * Accents stay, blanks and punctuation go, also inside: `josécarlos`, as Meta's newest library
 * writes it, and `dangelosilva`.
 */
function lettersOf(text: string): string {
  return text.toLowerCase().replaceAll(/[^\p{L}\p{M}\p{N}]/gu, '');
}

/** `São Paulo` → `saopaulo`. */
function fold(text: string): string {
  return lettersOf(text).normalize('NFD').replaceAll(/\p{M}/gu, '').normalize('NFC');
}

/**
 * Meta recommends a–z and takes UTF-8 "where needed": nobody says which of the two it keeps for
 * São Paulo, and the field is a list.
 */
function bothSpellings(text: string): string[] {
  return [fold(text), lettersOf(text)];
}

/**
 * YYYYMMDD of `1997-02-16`, `19970216`, `16/02/1997`; of `2/16/1997` too, since there is no 16th
 * month. Where both could be months it is the Brazilian day first.
 */
function birthDateOf(text: string): string | null {
  for (const form of dateForms) {
    const { year, month, day } = form.exec(text)?.groups ?? {};
    const date = dateOf(year, month, day);
    if (date !== null) return date;
  }
  return null;
}

const dateForms = [
  /^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})$/,
  /^(?<year>\d{4})[-/.](?<month>\d{1,2})[-/.](?<day>\d{1,2})$/,
  /^(?<day>\d{1,2})[-/.](?<month>\d{1,2})[-/.](?<year>\d{4})$/,
  /^(?<month>\d{1,2})[-/.](?<day>\d{1,2})[-/.](?<year>\d{4})$/,
];

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function dateOf(year = '', month = '', day = ''): string | null {
  const [y, m, d] = [Number(year), Number(month), Number(day)];
  const isLeap = (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0;
  const length = m === 2 && isLeap ? 29 : (monthLengths[m - 1] ?? 0);
  if (y < 1900 || d < 1 || d > length) return null;
  return `${year}${month.padStart(2, '0')}${day.padStart(2, '0')}`;
}

/** Without blanks and dashes: a CEP keeps its eight digits, a US code its first five. */
function postCodeOf(text: string, country: string | null): string | null {
  const isZipPlus4 = /^\d{5}-?\d{4}$/.test(text) && country !== 'br';
  const code = text.toLowerCase().replaceAll(/[\s.-]/g, '');
  if (isZipPlus4 || country === 'us') return /^\d{5}/.exec(code)?.[0] ?? null;
  if (country === 'br') return /^\d{8}$/.test(code) ? code : null;
  return /^[a-z\d]{2,12}$/.test(code) ? code : null;
}
