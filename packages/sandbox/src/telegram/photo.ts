import { createHash } from 'node:crypto';
import type { PhotoSize } from './types.ts';

export interface StoredPhoto {
  base64: string;
  contentType: string;
  size: PhotoSize;
}

/** PNG and JPEG by their first bytes; anything else is no picture. */
export function readPhoto(bytes: Buffer): StoredPhoto | null {
  const isPng = bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'));
  const isJpeg = bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex'));
  if ((!isPng && !isJpeg) || bytes.length < 24) return null;
  const hash = createHash('sha256').update(bytes).digest('base64url');
  const [width, height] = isPng ? [bytes.readUInt32BE(16), bytes.readUInt32BE(20)] : [320, 320];
  return {
    base64: bytes.toString('base64'),
    contentType: isPng ? 'image/png' : 'image/jpeg',
    size: {
      file_id: `AgACAgEAAx${hash}`,
      file_unique_id: hash.slice(0, 16),
      width,
      height,
      file_size: bytes.length,
    },
  };
}
