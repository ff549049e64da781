/**
 * Meta's first-party cookies `_fbp`, `_fbc` and `_fbi`: read, checked, minted.
 *
 * `fb.<subdomain index>.<creation time in ms>.<random number or fbclid>`, and since the parameter
 * builder perhaps a fifth segment, its appendix.
 * @see https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/fbp-and-fbc
 */
import { wellFormedFbc, wellFormedFbp } from '@rastro/events';
import { rawParameter } from './link-parameters.ts';

/** Longer ids are no click ids: Meta's own client library refuses them too. */
const maxFbclidLength = 500;

// RFC 6265 cookie-octets: anything else could not stand in the cookie as it is.
const clickId = /^[!#-+\--:<-[\]-~]+$/;
// `AQ` to `Bg`, or base64url of six bytes; the browser library may have appended it repeatedly.
const appendix = /^(AQ|Ag|Aw|BA|BQ|Bg|[\w-]{8})$/;

/**
 * The click id byte for byte as it stands in a URL, or null.
 * Text of any kind may be passed: a Referer need not be a URL.
 */
export function fbclidIn(url: string | null | undefined): string | null {
  const value = url ? rawParameter(url, 'fbclid') : null;
  return value && value.length <= maxFbclidLength && clickId.test(value) ? value : null;
}

export interface FbcInputs {
  readonly fbclid: string | null;
  /** `_fbc` as the browser sent it. */
  readonly cookie: string | undefined;
  readonly subdomainIndex: number;
  readonly nowMs: number;
}

/** The URL's click wins; the same click keeps the cookie with its time; without one, the cookie. */
export function fbcOf({ fbclid, cookie, subdomainIndex, nowMs }: FbcInputs): string | null {
  const kept = wellFormedFbc(cookie);
  if (fbclid === null || (kept !== null && isOfClick(kept, fbclid))) return kept;
  return `fb.${subdomainIndex}.${nowMs}.${fbclid}`;
}

function isOfClick(fbc: string, fbclid: string): boolean {
  const payload = fbc.split('.').slice(3);
  // An id may itself end like an appendix: it is compared before each one that is taken off.
  while (payload.join('.') !== fbclid) {
    if (payload.length === 1 || !appendix.test(payload.at(-1) ?? '')) return false;
    payload.pop();
  }
  return true;
}

/** The cookie's, else a new one. `random` in [0, 1). */
export function fbpOf(inputs: {
  readonly cookie: string | undefined;
  readonly subdomainIndex: number;
  readonly nowMs: number;
  readonly random: number;
}): string {
  const { cookie, subdomainIndex, nowMs, random } = inputs;
  const fresh = `fb.${subdomainIndex}.${nowMs}.${Math.floor(random * 2_147_483_647)}`;
  return wellFormedFbp(cookie) ?? fresh;
}

/** `_fbi` without the appendices that follow the address. */
export function addressInFbi(value: string): string {
  const segments = value.split('.');
  while (segments.length > 1 && appendix.test(segments.at(-1) ?? '')) segments.pop();
  return segments.join('.');
}
