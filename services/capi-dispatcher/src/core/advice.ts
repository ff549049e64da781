/**
 * What a person can mend about an event that Meta refused, by code and subcode: Meta's own words
 * come in the language of the token's owner and seldom say where the value came from.
 * @see Meta, "Error reference", and the subcodes of "Server Side Api Parameter Error"
 */

const byParameter =
  "look at the request with `rastro conversions show`, mend what Meta's words point to, and retry";

/** Of code 100. */
const bySubcode: ReadonlyMap<number, string> = new Map([
  [
    2_804_001,
    'the click id (fbc) is malformed: see what the ad link and the edge do to fbclid; ' +
      'retry once it arrives byte for byte',
  ],
  [
    2_804_003,
    'older than Meta takes: nothing can be mended in the event; ' +
      'see why it was late with `rastro conversions show`',
  ],
  [2_804_009, "the Purchase has no value: give the product's price in the catalog"],
  [2_804_010, "the Purchase has no currency: give the product's in the catalog (ISO 4217)"],
  [2_804_016, 'a customer value went out unhashed: report it, this is a fault of ours'],
  [
    2_804_019,
    'one parameter is wrong: a currency that is not ISO 4217 and a landing URL that is none are ' +
      `the usual ones; ${byParameter}`,
  ],
  [
    2_804_050,
    'too little is known of the person: see that the ad leads through /go and that the edge ' +
      "passes on the client's address (TRUSTED_PROXIES)",
  ],
]);

/** A sentence for people, without a full stop; there is always something to do next. */
export function adviceFor(refusal: {
  readonly httpStatus: number | null;
  readonly code: number | null;
  readonly subcode: number | null;
}): string {
  const { httpStatus, subcode } = refusal;
  if (httpStatus === 413) return 'the event alone is too large: shorten the landing URL of the ad';
  return bySubcode.get(subcode ?? 0) ?? byParameter;
}
