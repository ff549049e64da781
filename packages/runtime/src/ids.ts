import { createHash, randomBytes } from 'node:crypto';
import { v7 } from 'uuid';

/** UUIDv7: sorts by time of birth. */
export function newId(): string {
  return v7();
}

/** Unguessable, base64url without padding. */
export function newToken(bytes = 24): string {
  return randomBytes(bytes).toString('base64url');
}

/** Lower-case hex SHA-256 of UTF-8 text. */
export function sha256Hex(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}
