import { hash } from 'node:crypto';
import { sha256Hex } from '@rastro/runtime';
import type { Hashes } from '../core/click.ts';

export const hashes: Hashes = {
  sha256: sha256Hex,
  // Not for secrecy: Meta's ids stay short by it.
  md5: (text) => hash('md5', text),
};
