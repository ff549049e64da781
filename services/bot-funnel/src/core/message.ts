/** What is said to a customer, as data: the words and the markup are added when it is sent. */
import type { FunnelButton, StepMedia } from './funnel.ts';

/** A PIX charge as the customer sees it. */
export interface Pix {
  readonly paymentId: string;
  readonly productName: string;
  readonly amountCents: number;
  readonly currency: string;
  readonly pixCode: string;
  readonly checkoutNotice: string | null;
  readonly expiresAt: string;
}

export type Message =
  | {
      readonly kind: 'step';
      readonly snapshotKey: string;
      readonly step: number;
      readonly text: string;
      readonly media: StepMedia | null;
      readonly buttons: readonly FunnelButton[];
    }
  | { readonly kind: 'pix'; readonly pix: Pix }
  | { readonly kind: 'paid'; readonly productName: string }
  | {
      readonly kind: 'delivery';
      readonly productName: string;
      /** Null where there is nothing to open: the seller gives access in another way. */
      readonly link: string | null;
    }
  | { readonly kind: 'notice'; readonly notice: Notice };

export type Notice =
  | { readonly about: 'expired'; readonly productName: string; readonly checkoutId: string }
  | { readonly about: 'refused'; readonly productName: string; readonly checkoutId: string }
  | { readonly about: 'delayed'; readonly checkoutId: string }
  | { readonly about: 'unavailable'; readonly checkoutId: string }
  | {
      readonly about: 'refunded';
      readonly productName: string;
      readonly totalRefundedCents: number;
      readonly currency: string;
      readonly isPartial: boolean;
    };
