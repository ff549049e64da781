/** What the bridge page does: which bot it opens by which links, and what the Pixel says. */
import type { CatalogItem } from '@rastro/events';
import { consentOf, type Identity } from './click.ts';

export interface BridgePixel {
  readonly id: string;
  readonly eventId: string;
  readonly externalIds: readonly string[];
}

export interface BotLinks {
  /** Works in every browser. */
  readonly web: string;
  /** Opens the app at once; null where links do not lead to Telegram itself. */
  readonly app: string | null;
}

/** @param telegramLinkUrl `https://t.me`, or what stands in for it. */
export function botLinks(telegramLinkUrl: string, username: string, token: string): BotLinks {
  const isTelegram = telegramLinkUrl === 'https://t.me';
  return {
    web: `${telegramLinkUrl}/${username}?start=${token}`,
    app: isTelegram ? `tg://resolve?domain=${username}&start=${token}` : null,
  };
}

type TrackedPool = Pick<CatalogItem<'pool'>, 'meta' | 'consent' | 'utmify'>;

/** Null where the pool does not want it, or the visitor's consent is not known. */
export function bridgePixel(
  pool: Pick<TrackedPool, 'meta' | 'consent'>,
  identity: Pick<Identity, 'rootEventId' | 'externalIds'>,
): BridgePixel | null {
  const { enabled, pixelId, events } = pool.meta;
  if (!enabled || !events.pageView || pixelId === null) return null;
  if (consentOf(pool) !== 'not_required') return null;
  return { id: pixelId, eventId: identity.rootEventId, externalIds: identity.externalIds };
}

/** What the page loads once the visitor is on the way, and never waits for. */
export interface LateScripts {
  /** Meta's parameter builder, which reads click ids that only the browser knows. */
  readonly hasParamBuilder: boolean;
  readonly utmifyPixelId: string | null;
}

/** Nothing of it where the visitor's consent is not known. */
export function lateScripts(pool: TrackedPool): LateScripts {
  if (consentOf(pool) !== 'not_required') return { hasParamBuilder: false, utmifyPixelId: null };
  const { enabled, pixelId } = pool.meta;
  return {
    hasParamBuilder: enabled && pixelId !== null,
    utmifyPixelId: pool.utmify.pixelId,
  };
}
