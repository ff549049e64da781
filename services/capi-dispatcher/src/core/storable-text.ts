/**
 * Postgres refuses NUL, in text and in JSON, and half a surrogate pair, which is also what a cut may
 * leave: an outcome that cannot be written down would be sent again.
 * @param maxChars UTF-16 units; a pair is never cut in two.
 */
export function storable(text: string, maxChars: number): string {
  const clean = text.replaceAll('\0', '').toWellFormed();
  if (clean.length <= maxChars) return clean;
  return clean.slice(0, isHighSurrogate(clean.charCodeAt(maxChars - 1)) ? maxChars - 1 : maxChars);
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd8_00 && unit <= 0xdb_ff;
