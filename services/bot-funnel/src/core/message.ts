/** What is said to a customer, as data: the words and the markup are added when it is sent. */
import type { FunnelButton, FunnelPrivacy, Place, StepMedia } from './funnel.ts';

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
  | {
      readonly kind: 'paid';
      readonly productName: string;
      /** The seller's own words; null for ours. */
      readonly text: string | null;
    }
  | {
      readonly kind: 'delivery';
      readonly productName: string;
      /** Null where there is nothing to open: the seller gives access in another way. */
      readonly link: string | null;
    }
  | { readonly kind: 'notice'; readonly notice: Notice };

/** Money that went back or is in dispute. */
export interface Reversal {
  readonly about: 'refunded' | 'disputed' | 'dispute_settled' | 'charged_back';
  readonly productName: string;
  /** What went back so far, or what is in dispute. */
  readonly cents: number;
  readonly currency: string;
  readonly isPartial: boolean;
}

export type Notice =
  | { readonly about: 'expired'; readonly productName: string; readonly checkoutId: string }
  | { readonly about: 'refused'; readonly productName: string; readonly checkoutId: string }
  | { readonly about: 'delayed'; readonly checkoutId: string }
  | { readonly about: 'unavailable'; readonly checkoutId: string }
  | {
      readonly about: 'bump';
      readonly place: Place;
      readonly text: string;
      readonly accept: string;
      readonly decline: string;
    }
  | {
      readonly about: 'reversal';
      readonly reversal: Reversal;
      /** The seller's own words; null for ours. */
      readonly text: string | null;
    }
  | { readonly about: 'privacy'; readonly privacy: FunnelPrivacy | null }
  | { readonly about: 'my_data'; readonly data: PersonalData }
  | { readonly about: 'erase_question' }
  | { readonly about: 'erased'; readonly contact: string | null }
  /** To the operator's chat. */
  | {
      readonly about: 'reversal_note';
      readonly reversal: Reversal;
      readonly paymentId: string;
      readonly telegramUserId: number | null;
      /** After a refund in whole; a chargeback always ends it. */
      readonly accessStays: boolean;
    }
  | { readonly about: 'erasure_note'; readonly leadId: string };

/** What a customer is told that this bot knows of him. */
export interface PersonalData {
  readonly telegramUserId: number;
  readonly languageCode: string | null;
  readonly isPremium: boolean;
  readonly firstSeenAt: string;
  /** Ad clicks that he was bound to. */
  readonly clicks: readonly { readonly trackingToken: string; readonly boundAt: string }[];
  readonly checkouts: readonly {
    readonly productId: string;
    readonly startedAt: string;
    readonly status: string;
  }[];
}
