/** Meta's first-party cookies `_fbp` and `_fbc`: only well-formed ones are kept or told. */
import { wellFormedFbc, wellFormedFbp } from '@rastro/events';

export interface MetaCookies {
  readonly fbp: string | null;
  readonly fbc: string | null;
}

/** Ill-formed values become null. */
export function metaCookies(given: {
  readonly fbp?: string | null | undefined;
  readonly fbc?: string | null | undefined;
}): MetaCookies {
  return { fbp: wellFormedFbp(given.fbp), fbc: wellFormedFbc(given.fbc) };
}

/** What this browser lacks of what is known of the person: set before the Pixel looks for it. */
export function missingCookies(browser: MetaCookies, known: MetaCookies): MetaCookies {
  return {
    fbp: browser.fbp === null ? known.fbp : null,
    fbc: browser.fbc === null ? known.fbc : null,
  };
}
