/** Every gateway that the sandbox plays. */
import type { GatewayKind } from '../world.ts';
import { abacatepay } from './abacatepay.ts';
import { mercadoPago } from './mercadopago.ts';
import { pushinpay } from './pushinpay.ts';
import { standardWebhooks } from './standard-webhooks.ts';
import type { Vendor } from './vendor.ts';
import { woovi } from './woovi.ts';

const vendorsByKind: Readonly<Record<GatewayKind, Vendor>> = {
  'standard-webhooks': standardWebhooks,
  mercadopago: mercadoPago,
  pushinpay,
  woovi,
  abacatepay,
};

export const vendors: readonly Vendor[] = Object.values(vendorsByKind);

export const vendorOf = (kind: GatewayKind): Vendor => vendorsByKind[kind];
