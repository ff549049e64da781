/** Every gateway that the sandbox plays. */
import type { GatewayKind } from '../world.ts';
import { mercadoPago } from './mercadopago.ts';
import { standardWebhooks } from './standard-webhooks.ts';
import type { Vendor } from './vendor.ts';
import { woovi } from './woovi.ts';

export const vendors: readonly Vendor[] = [standardWebhooks, mercadoPago, woovi];

/** @throws for a kind that is only in the world's schema. */
export function vendorOf(kind: GatewayKind): Vendor {
  const found = vendors.find((vendor) => vendor.kind === kind);
  if (found === undefined) throw new Error(`The sandbox does not play ${kind}.`);
  return found;
}
