/** Which access tokens the catalog has for a pixel right now. */
import type { Catalog } from '@rastro/messaging';
import { type Logger, openSecret, sha256Hex } from '@rastro/runtime';
import type { Pixel } from './lane.ts';

export interface Token {
  readonly value: string;
  /** Tells tokens apart where the token itself must not stand. */
  readonly fingerprint: string;
}

export interface Tokens {
  /** Of all pools of the workspace that name the pixel, in the order of their ids. */
  candidates(pixel: Pixel): Token[];
  /** The first that Meta has not refused. */
  fresh(pixel: Pixel, failedTokens: readonly string[]): Token | undefined;
}

export function createTokens(options: {
  readonly catalog: Catalog;
  readonly masterKey: Buffer;
  readonly log: Logger;
}): Tokens {
  const { catalog, masterKey, log } = options;
  /** Sealed text → token, or null where it cannot be opened; opening costs more than looking up. */
  const opened = new Map<string, Token | null>();

  function open(poolId: string, sealed: string): Token | null {
    const key = `${poolId} ${sealed}`;
    const known = opened.get(key);
    if (known !== undefined) return known;
    if (opened.size > 10_000) opened.clear();
    const token = unseal(poolId, sealed);
    opened.set(key, token);
    return token;
  }
  function unseal(poolId: string, sealed: string): Token | null {
    try {
      const value = openSecret(masterKey, `pool/${poolId}/meta/accessToken`, sealed);
      return { value, fingerprint: sha256Hex(value).slice(0, 16) };
    } catch (error) {
      log.error({ err: error, poolId }, 'an access token cannot be opened');
      return null;
    }
  }
  function candidates({ workspaceId, pixelId }: Pixel): Token[] {
    const pools = catalog
      .list('pool')
      .filter(
        ({ workspaceId: owner, item }) => owner === workspaceId && item.meta.pixelId === pixelId,
      )
      .map(({ item }) => item)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const tokens = pools.flatMap(({ id, meta }) =>
      meta.accessToken === null ? [] : (open(id, meta.accessToken) ?? []),
    );
    return [...new Map(tokens.map((token) => [token.fingerprint, token])).values()];
  }
  return {
    candidates,
    fresh: (pixel, failedTokens) =>
      candidates(pixel).find(({ fingerprint }) => !failedTokens.includes(fingerprint)),
  };
}
