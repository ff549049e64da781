/** What the operator has set up, as far as an order of one workspace may see it. */
import type { Catalog } from '@rastro/messaging';
import type { Pool } from '../core/pool.ts';

export function poolsOf(catalog: Catalog, workspaceId: string): Pool[] {
  return catalog
    .list('pool')
    .filter((owned) => owned.workspaceId === workspaceId)
    .map(({ item }) => item);
}

/** Undefined when the catalog does not have the product (any more). */
export function productAccessUrl(
  catalog: Catalog,
  order: { readonly workspaceId: string; readonly productId: string },
): string | null | undefined {
  const product = catalog.get('product', order.productId);
  return product?.workspaceId === order.workspaceId ? product.item.accessUrl : undefined;
}
