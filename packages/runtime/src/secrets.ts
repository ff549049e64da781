/**
 * Secrets at rest: AES-256-GCM under `RASTRO_MASTER_KEY`, written as `enc:v1:<base64url>`.
 *
 * The nonce is derived from the secret and its place (synthetic IV), so that sealing the same
 * secret for the same place gives the same text: an unchanged catalog file changes nothing.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';

const prefix = 'enc:v1:';
const nonceBytes = 12;
const tagBytes = 16;

/** The master key is another one, or the text was altered or moved to another place. */
export class SealError extends Error {
  readonly code = 'SECRET_UNREADABLE';

  constructor(place: string) {
    super(
      `The secret of ${place} cannot be read with this RASTRO_MASTER_KEY; apply the catalog again.`,
    );
    this.name = 'SealError';
  }
}

/** @param place where the secret belongs, e.g. `bot/bot-a/token`; bound into the seal. */
export function sealSecret(key: Buffer, place: string, plain: string): string {
  const nonce = subkey(key, 'nonce').update(`${place}\0${plain}`).digest().subarray(0, nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', subkey(key, 'seal').digest(), nonce);
  cipher.setAAD(Buffer.from(place));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
  return prefix + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
}

/** @throws {SealError} when it was not sealed for this place with this key. */
export function openSecret(key: Buffer, place: string, sealed: string): string {
  const bytes = Buffer.from(sealed.slice(prefix.length), 'base64url');
  if (!sealed.startsWith(prefix) || bytes.length < nonceBytes + tagBytes)
    throw new SealError(place);
  const decipher = createDecipheriv(
    'aes-256-gcm',
    subkey(key, 'seal').digest(),
    bytes.subarray(0, nonceBytes),
  );
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
  try {
    return (
      decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, 'utf8') +
      decipher.final('utf8')
    );
  } catch {
    throw new SealError(place);
  }
}

/** A secret of its own for one purpose, so that the master key itself is used for nothing. */
export function deriveSecret(key: Buffer, purpose: string): string {
  return subkey(key, purpose).digest('base64url');
}

/** Compares without telling by time how much was right, whatever the lengths. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (value: string) => createHmac('sha256', 'compare').update(value).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function subkey(key: Buffer, purpose: string) {
  return createHmac('sha256', key).update(`rastro/${purpose}\0`);
}
