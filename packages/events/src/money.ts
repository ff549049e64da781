/** Cents inside, decimals only at somebody else's edge. */

/** 1990 → "19.90". */
export function centsToDecimal(cents: number): string {
  const digits = String(Math.abs(cents)).padStart(3, '0');
  return `${cents < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** "19.9" → 1990; null for what is no amount of at most two decimals. No float is ever computed with. */
export function decimalToCents(decimal: string): number | null {
  const [, units, rest = ''] = /^(\d{1,13})(?:\.(\d{1,2})0*)?$/.exec(decimal) ?? [];
  return units === undefined ? null : Number(units + rest.padEnd(2, '0'));
}

/** 1990, "BRL" → "R$ 19,90" as people in Brazil write it; other currencies by their code. */
export function formatMoney(cents: number, currency: string): string {
  const [units = '0', rest = '00'] = centsToDecimal(cents).split('.');
  const grouped = units.replaceAll(/\B(?=(\d{3})+(?!\d))/g, '.');
  return `${currency === 'BRL' ? 'R$' : currency} ${grouped},${rest}`;
}
