/** What names somebody or opens a door by its form alone, whoever it belongs to. */
import type { Range } from './readable-text.ts';

export interface Named extends Range {
  readonly label: string;
}

interface Pattern {
  readonly label: string;
  readonly form: RegExp;
  readonly isMeant?: (found: string) => boolean;
}

const octet = String.raw`(?:25[0-5]|2[0-4]\d|1?\d?\d)`;
const ipv4 = String.raw`${octet}(?:\.${octet}){3}`;

const patterns: readonly Pattern[] = [
  { label: '[hash]', form: /[\da-f]{64}/gi },
  // Meta's access tokens begin so; another kind is known by its value alone.
  { label: '[token]', form: /(?<![A-Za-z0-9])EAA[A-Za-z0-9]{10,}/g },
  // As long as RFC 5321 lets the parts be: what is longer costs its square to search.
  { label: '[email]', form: /[\p{L}\p{N}._%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/gu },
  // After a name and a slash it is a version: Chrome/120.0.0.0.
  { label: '[ip]', form: new RegExp(String.raw`(?<![\w.]|\w/)${ipv4}(?!\.?\d)`, 'g') },
  {
    label: '[ip]',
    form: new RegExp(
      String.raw`(?<![\da-f.])[\da-f]{0,4}(?::[\da-f]{0,4}){2,8}(?:\.\d{1,3}){0,3}(?![\w:])`,
      'gi',
    ),
    isMeant: isIpv6,
  },
];

export function namedIn(text: string): Named[] {
  return patterns.flatMap(({ label, form, isMeant = () => true }) =>
    [...text.matchAll(form)]
      .filter(([found]) => isMeant(found))
      .map(({ 0: found, index }) => ({ label, from: index, to: index + found.length })),
  );
}

/** Not a time of day, nor `Name::Part`. */
function isIpv6(text: string): boolean {
  const groups = text.split(':').filter((group) => group !== '');
  if (text.includes('::')) return groups.length > 2 || /\d/.test(text);
  return groups.length === 8;
}
