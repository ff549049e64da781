/** Which pool an order belongs to, and thereby whose Pixel hears of it. */
import type { CatalogItem } from '@rastro/events';

export type Pool = CatalogItem<'pool'>;

/**
 * The click's pool, else the payment's, else the first by id that contains the bot. A pool that
 * was removed since is passed over.
 * @param pools those of the order's workspace and of no other.
 */
export function choosePool(
  order: { readonly poolId: string | null; readonly botId: string },
  clickPoolId: string | null,
  pools: readonly Pool[],
): Pool | null {
  const byId = (id: string | null) => pools.find((pool) => pool.id === id);
  const hasBot = (pool: Pool) => pool.bots.some(({ bot }) => bot === order.botId);
  const ofBot = () => pools.filter(hasBot).sort((a, b) => (a.id < b.id ? -1 : 1))[0];
  return byId(clickPoolId) ?? byId(order.poolId) ?? ofBot() ?? null;
}

/** The pixel that hears of the pool's purchases, or null where none does. */
export function purchasePixelId(pool: Pool | null): string | null {
  return pool?.meta.enabled && pool.meta.events.purchase ? pool.meta.pixelId : null;
}
