/**
 * Checks a PIX "copia e cola" code before a customer sees it: EMV fields of a 2-digit id, a
 * 2-digit length and a value, closed by a CRC (BACEN, "Manual de Padrões para Iniciação do Pix").
 */

const maxLength = 1024;
const isoNumbers: Readonly<Record<string, string>> = { BRL: '986' };

export interface ExpectedCharge {
  readonly amountCents: number;
  readonly currency: string;
}

/** Says what is wrong with the code, or null for one that pays exactly this charge. */
export function brCodeProblem(code: string, expected: ExpectedCharge): string | null {
  if (code.length > maxLength) return `the code has more than ${maxLength} characters`;
  if (!code.isWellFormed() || !/6304[0-9A-F]{4}$/i.test(code)) return 'the code has no CRC';
  if (crc16(code.slice(0, -4)) !== code.slice(-4).toUpperCase()) return 'the CRC does not fit';
  const fields = readFields(code);
  if (!fields) return 'fields and lengths do not fit';
  return contentProblem(fields, expected);
}

function contentProblem(
  fields: ReadonlyMap<string, string>,
  { amountCents, currency }: ExpectedCharge,
): string | null {
  if (fields.get('00') !== '01') return 'field 00 is not 01';
  if (!isPix(fields)) return 'it is an EMV code, but not one of PIX';
  if (fields.get('53') !== isoNumbers[currency]) return `its currency is not ${currency}`;
  // A dynamic code may leave the amount to the bank's look-up of the charge.
  const amount = fields.get('54');
  if (amount !== undefined && centsOf(amount) !== amountCents) return 'its amount is another one';
  return null;
}

/** Accounts of arrangements like PIX have the ids 26 to 51, and each names its own. */
function isPix(fields: ReadonlyMap<string, string>): boolean {
  return [...fields]
    .filter(([id]) => id >= '26' && id <= '51')
    .some(([, value]) => readFields(value)?.get('00')?.toLowerCase() === 'br.gov.bcb.pix');
}

/** "19.9", "19.90" and "19" in cents without ever being a fraction; null for anything else. */
function centsOf(decimal: string): number | null {
  const [, units, fraction = ''] = /^(\d{1,10})(?:\.(\d{0,2}))?$/.exec(decimal) ?? [];
  return units === undefined ? null : Number(units) * 100 + Number(fraction.padEnd(2, '0'));
}

/** Null where a length points past the end or an id comes twice. */
function readFields(text: string): Map<string, string> | null {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const [, id = '', digits = ''] = /^(\d\d)(\d\d)$/.exec(text.slice(at, at + 4)) ?? [];
    const length = Number(digits);
    const value = text.slice(at + 4, at + 4 + length);
    if (id === '' || value.length !== length || fields.has(id)) return null;
    fields.set(id, value);
    at += 4 + length;
  }
  return fields;
}

/** CRC-16/CCITT-FALSE over UTF-8: polynomial 0x1021, initial value 0xFFFF, upper-case hex. */
export function crc16(text: string): string {
  let crc = 0xffff;
  for (const byte of utf8Of(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
    }
  }
  return crc.toString(16).toUpperCase().padStart(4, '0');
}

/** TextEncoder belongs to the platform; `encodeURIComponent` to the language. */
function utf8Of(text: string): number[] {
  const bytes = encodeURIComponent(text).match(/%[0-9A-F]{2}|[^%]/g) ?? [];
  return bytes.map((part) =>
    part.length === 3 ? Number.parseInt(part.slice(1), 16) : (part.codePointAt(0) ?? 0),
  );
}
