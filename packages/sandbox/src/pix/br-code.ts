/**
 * The BR Code of a PIX charge: EMV fields of a 2-digit id, a 2-digit length and a value, closed by
 * a CRC-16/CCITT-FALSE over everything up to and including `6304` (BACEN, "Manual de Padrões para
 * Iniciação do Pix"). Pure.
 */
export interface DynamicCharge {
  /** Where the payer's bank reads the charge: a URL without its scheme, 77 characters at most. */
  location: string;
  amountCents: number;
  payeeName: string;
  payeeCity: string;
}

export interface BrCode {
  /** Dynamic codes only. */
  location: string | null;
  /** Static codes only. */
  pixKey: string | null;
  amountCents: number | null;
  payeeName: string;
  payeeCity: string;
  txid: string | null;
}

export type BrCodeReading = { ok: true; code: BrCode } | { ok: false; problem: string };

export function buildBrCode(charge: DynamicCharge): string {
  if (charge.location.length > 77) throw new RangeError('The charge location exceeds 77 signs.');
  const body = [
    field('00', '01'),
    field('01', '12'),
    field('26', field('00', 'br.gov.bcb.pix') + field('25', charge.location)),
    field('52', '0000'),
    field('53', '986'),
    field('54', reais(charge.amountCents)),
    field('58', 'BR'),
    field('59', plainText(charge.payeeName, 25)),
    field('60', plainText(charge.payeeCity, 15)),
    field('62', field('05', '***')),
    '6304',
  ].join('');
  return body + crc16(body);
}

export function readBrCode(text: string): BrCodeReading {
  const code = text.trim();
  if (!/6304[0-9A-Fa-f]{4}$/.test(code)) return { ok: false, problem: 'The CRC is missing.' };
  if (crc16(code.slice(0, -4)) !== code.slice(-4).toUpperCase()) {
    return { ok: false, problem: 'The CRC does not fit: the code was changed or cut.' };
  }
  const fields = readFields(code);
  if (fields === null) return { ok: false, problem: 'The fields and their lengths do not fit.' };
  const account = readFields(fields.get('26') ?? '');
  if (account?.get('00')?.toLowerCase() !== 'br.gov.bcb.pix') {
    return { ok: false, problem: 'This is an EMV code, but not one of PIX.' };
  }
  const amount = fields.get('54');
  const additional = readFields(fields.get('62') ?? '');
  const amountCents = amount === undefined ? null : Math.round(Number(amount) * 100);
  if (Number.isNaN(amountCents)) return { ok: false, problem: 'The amount is not a number.' };
  return {
    ok: true,
    code: {
      location: account.get('25') ?? null,
      pixKey: account.get('01') ?? null,
      amountCents,
      payeeName: fields.get('59') ?? '',
      payeeCity: fields.get('60') ?? '',
      txid: additional?.get('05') ?? null,
    },
  };
}

/** CRC-16/CCITT-FALSE: polynomial 0x1021, initial value 0xFFFF, four upper-case hex digits. */
export function crc16(text: string): string {
  let crc = 0xffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
    }
  }
  return crc.toString(16).toUpperCase().padStart(4, '0');
}

function field(id: string, value: string): string {
  if (value.length > 99) throw new RangeError(`Field ${id} exceeds 99 signs.`);
  return `${id}${String(value.length).padStart(2, '0')}${value}`;
}

function readFields(text: string): Map<string, string> | null {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const head = /^(\d\d)(\d\d)$/.exec(text.slice(at, at + 4));
    if (head === null) return null;
    const [, id = '', length = ''] = head;
    const value = text.slice(at + 4, at + 4 + Number(length));
    if (value.length !== Number(length)) return null;
    fields.set(id, value);
    at += 4 + value.length;
  }
  return fields;
}

function reais(amountCents: number): string {
  return `${Math.floor(amountCents / 100)}.${String(amountCents % 100).padStart(2, '0')}`;
}

/** Banks read ASCII only: accents are taken off, other signs become blanks. */
function plainText(text: string, maxLength: number): string {
  const ascii = text
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^ -~]/g, ' ');
  return ascii.trim().slice(0, maxLength).trim() || 'RASTRO';
}
