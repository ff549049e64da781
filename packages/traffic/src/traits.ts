/** What a request shows of the program behind it, taken from its headers. */

/** All that a class is drawn from; kept with the click, so that history can be classified anew. */
export interface RequestTraits {
  readonly method: string;
  readonly userAgent: string | null;
  /** `Sec-Purpose` and its predecessors, joined by a comma. */
  readonly purpose: string | null;
  readonly accept: string | null;
  /** Whether `Accept-Language` was sent. */
  readonly hasLanguage: boolean;
  /** `Sec-Fetch-Site`. */
  readonly fetchSite: string | null;
  /** `Sec-Fetch-Mode`. */
  readonly fetchMode: string | null;
  /** `Sec-Fetch-Dest`. */
  readonly fetchDest: string | null;
  /** Whether `Sec-CH-UA` was sent. */
  readonly hasClientHints: boolean;
  /** `X-Requested-With`: an Android web view names its app by it. */
  readonly requestedWith: string | null;
  /** Clicks from the same public address within the burst window, with this one; 0 without one. */
  readonly recentFromAddress: number;
}

export type HeaderTraits = Omit<RequestTraits, 'recentFromAddress'>;

/** As Node gives them: names in lower case. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

const purposeHeaders = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'];

/** Bounded as the event's schema bounds them, so that what is stored is what was classified. */
export function headerTraits(method: string, headers: Headers): HeaderTraits {
  const purposes = purposeHeaders.map((name) => textOf(headers[name], 128));
  const purpose = purposes.filter((value) => value !== null).join(', ');
  return {
    method: textOf(method, 16) ?? '',
    userAgent: textOf(headers['user-agent'], 1024),
    purpose: textOf(purpose, 128),
    accept: textOf(headers['accept'], 256),
    hasLanguage: textOf(headers['accept-language'], 64) !== null,
    fetchSite: textOf(headers['sec-fetch-site'], 32),
    fetchMode: textOf(headers['sec-fetch-mode'], 32),
    fetchDest: textOf(headers['sec-fetch-dest'], 32),
    hasClientHints: textOf(headers['sec-ch-ua'], 64) !== null,
    requestedWith: textOf(headers['x-requested-with'], 128),
  };
}

const controls = /\p{Cc}/gu;

function textOf(value: string | readonly string[] | undefined, maxLength: number): string | null {
  const text = typeof value === 'object' ? value.join(', ') : value;
  if (!text) return null;
  return text.replace(controls, '').slice(0, maxLength).toWellFormed() || null;
}
