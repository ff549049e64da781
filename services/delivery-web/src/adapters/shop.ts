/** What the operator has set up, as far as an order of one workspace may see it. */
import type { Catalog } from '@rastro/messaging';
import type { Offer } from '../core/page.ts';

/** What the catalog says of the order's product now, where it still has it. */
export function productOffer(
  catalog: Catalog,
  order: { readonly workspaceId: string; readonly productId: string },
): Omit<Offer, 'pools'> {
  const product = catalog.get('product', order.productId);
  const item = product?.workspaceId === order.workspaceId ? product.item : undefined;
  return { accessUrl: item?.accessUrl, accessAfterRefund: item?.accessAfterRefund ?? 'ends' };
}
