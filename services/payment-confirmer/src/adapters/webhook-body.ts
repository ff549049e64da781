/** What is done with the bytes of a webhook before anybody looks at their meaning. */
import { type Decoded, parseJson } from '@rastro/events';
import { createHash } from 'node:crypto';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** As it was signed. Null for bytes that are no UTF-8, instead of replacing them. */
export function utf8Of(bytes: Uint8Array): string | null {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}

/** The same without a byte order mark, which no reader of JSON takes. */
export const textOf = (bytes: Uint8Array): string | null =>
  utf8Of(bytes)?.replace(/^\uFEFF/, '') ?? null;

/** `problem` says what keeps it from being a JSON document. */
export function jsonIn(bytes: Uint8Array): Decoded<unknown> {
  const text = textOf(bytes);
  if (text === null) return { ok: false, problem: 'the body is not UTF-8' };
  const json = parseJson(text);
  return json.ok ? json : { ok: false, problem: 'the body is not JSON' };
}

/** Tells messages apart that carry no id of their own: the same body, the same message. */
export const fingerprintOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');
