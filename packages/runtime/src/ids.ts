import { hash, randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import { drawRandomBytes } from './entropy.ts';

/** UUIDv7: sorts by time of birth, also within a millisecond, as far as one process makes them. */
export function newId(): string {
  const random = drawRandomBytes(16);
  const now = Date.now();
  if (now > clock.msecs) {
    clock.msecs = now;
    // 31 bits, so that there is room to count on (RFC 9562, 6.2, method 1).
    clock.seq = random.readUInt32BE(0) >>> 1;
  } else {
    clock.seq += 1;
  }
  return v7({ random, msecs: clock.msecs, seq: clock.seq });
}

const clock = { msecs: 0, seq: 0 };

/** The least UUIDv7 of that moment: ids of before sort before it. */
export function idAtTime(epochMs: number): string {
  return v7({ msecs: epochMs, seq: 0, random: new Uint8Array(16) });
}

/** Unguessable, base64url without padding. */
export function newToken(bytes = 24): string {
  return randomBytes(bytes).toString('base64url');
}

/** Lower-case hex SHA-256 of UTF-8 text. */
export function sha256Hex(value: string): string {
  return hash('sha256', value);
}
