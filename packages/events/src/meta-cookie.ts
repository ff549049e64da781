/**
 * Meta's first-party cookies `_fbp` and `_fbc`: which values may be kept, passed on and told.
 *
 * `fb.<subdomain index>.<creation time in ms>.<random number or fbclid>`, and since the parameter
 * builder perhaps a fifth segment, its appendix.
 * @see https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/fbp-and-fbc
 */

// 13 digits are milliseconds; 10 would be seconds, a common mistake that dates a click to 1970.
const fbpPattern = /^fb\.\d{1,2}\.\d{13}\.[\w.~-]+$/;
// A click id is kept byte for byte; RFC 6265 cookie-octets are what a cookie can hold as they are.
const fbcPattern = /^fb\.\d{1,2}\.\d{13}\.[!#-+\--:<-[\]-~]+$/;

/** The value if it is a well-formed `_fbp`. */
export function wellFormedFbp(value: string | null | undefined): string | null {
  return value && value.length <= 200 && fbpPattern.test(value) ? value : null;
}

/** The value if it is a well-formed `_fbc`. */
export function wellFormedFbc(value: string | null | undefined): string | null {
  return value && value.length <= 600 && fbcPattern.test(value) ? value : null;
}
