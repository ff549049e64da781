/** What an ad's link says: UTMs, `src`, `sck`, and everything else in a bounded bag. */
import type { DataOf } from '@rastro/events';
import { boundedText } from './text.ts';

/** As parsed by the HTTP server: a repeated parameter is a list. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

export type LinkParameters = Pick<DataOf<'ClickTracked'>, 'utm' | 'src' | 'sck' | 'params'>;

const maxParams = 32;
const own = new Set([
  'fbclid',
  'src',
  'sck',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_content',
  'utm_term',
]);

/** The first one of a repeated parameter. */
export function firstValue(query: Query, name: string): string | undefined {
  const value = query[name];
  return typeof value === 'string' ? value : value?.[0];
}

/** @param gateParam the pool's own parameter: kept first, so that no bound cuts it off. */
export function linkParameters(query: Query, gateParam: string): LinkParameters {
  const text = (name: string): string | null => boundedText(firstValue(query, name), 512);
  return {
    utm: {
      source: text('utm_source'),
      medium: text('utm_medium'),
      campaign: text('utm_campaign'),
      content: text('utm_content'),
      term: text('utm_term'),
    },
    src: text('src'),
    sck: text('sck'),
    params: furtherParameters(query, gateParam),
  };
}

function furtherParameters(query: Query, first: string): Record<string, string> {
  const further = Object.keys(query).filter((name) => !own.has(name));
  const names = further.includes(first)
    ? [first, ...further.filter((name) => name !== first)]
    : further;
  const pairs = names.flatMap((name) => {
    const key = boundedText(name, 64);
    return key === null ? [] : [[key, boundedText(firstValue(query, name), 512) ?? ''] as const];
  });
  return Object.fromEntries(pairs.slice(0, maxParams));
}

/**
 * A parameter exactly as it stands in a URL, without decoding: Meta compares click ids byte for
 * byte, and a decoder would turn `+` and `%2B` into something else.
 */
export function rawParameter(url: string, name: string): string | null {
  const [address = ''] = url.split('#');
  const start = address.indexOf('?');
  if (start === -1) return null;
  const prefix = `${name}=`;
  const pair = address
    .slice(start + 1)
    .split('&')
    .find((part) => part.startsWith(prefix));
  return pair?.slice(prefix.length) || null;
}
