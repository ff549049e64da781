/** Whether the master key at hand opens what the catalog keeps sealed. */
import type { Catalog } from '@rastro/messaging';
import { mapSecrets } from '@rastro/operator-console/secrets';
import { openSecret, SealError } from '@rastro/runtime';
import { failed, type Finding, ok } from './finding.ts';

export type OpenSecret = (place: string, sealed: string) => string | null;

/** @returns for a place and what is sealed there, the secret; null where the key is another one. */
export function opener(masterKey: Buffer): OpenSecret {
  return (place, sealed) => {
    try {
      return openSecret(masterKey, place, sealed);
    } catch (error) {
      if (error instanceof SealError) return null;
      throw error;
    }
  };
}

export function judgeSecrets(catalog: Catalog, open: OpenSecret): Finding {
  const about = { check: 'master key', subject: 'catalog' };
  const closed: string[] = [];
  let count = 0;
  for (const { kind, id, data } of catalog.entries()) {
    if (data === null) continue;
    mapSecrets({ kind, id, data } as Parameters<typeof mapSecrets>[0], (place, sealed) => {
      count += 1;
      if (open(place, sealed) === null) closed.push(place);
      return sealed;
    });
  }
  if (closed.length === 0) return ok(about, `opens all ${count} secrets`);
  const shown = closed.slice(0, 5).join(', ');
  const rest = closed.length > 5 ? ' and others' : '';
  return failed(
    about,
    `opens ${count - closed.length} of ${count} secrets, not ${shown}${rest}`,
    'set RASTRO_MASTER_KEY to the key that the catalog was applied with, or pnpm rastro catalog apply FILE with this one',
  );
}
