/** What a lead's process manager decides: events to record and effects, both as data. */
import type { EventBody } from '@rastro/events';
import type { Message, Notice } from './message.ts';

/** What a lead records of itself. */
export type LeadEvent = EventBody<
  'FunnelStarted' | 'FunnelStepReached' | 'CheckoutStarted' | 'ContactBlocked' | 'ErasureRequested'
>;

/** What is to happen by itself at a time; it is looked at anew when that time has come. */
export type Timer =
  /** A step whose delay is over. */
  | {
      readonly type: 'step';
      readonly snapshotKey: string;
      readonly step: number;
      readonly followUpId: string | null;
    }
  | {
      readonly type: 'follow_up';
      readonly snapshotKey: string;
      readonly followUpId: string;
      /** Of a follow-up on a payment. */
      readonly checkoutId: string | null;
    };

export type Effect =
  | {
      readonly type: 'sendMessage';
      readonly message: Message;
      /** A second message of this name to the same customer is not sent. */
      readonly onceKey?: string;
    }
  /** The same to the chat where the bot's operator reads, if there is one. */
  | { readonly type: 'tellOperator'; readonly notice: Notice; readonly onceKey: string }
  | {
      readonly type: 'createPayment';
      readonly checkoutId: string;
      readonly productId: string;
      readonly trackingToken: string | null;
      readonly poolId: string | null;
    }
  /** Ends the spinner on a pressed button, with a short hint where there is one. */
  | { readonly type: 'answerPress'; readonly hint: string | null }
  /** Asks the gateway about a payment and answers the press with what it says. */
  | { readonly type: 'revalidatePayment'; readonly paymentId: string }
  /** What could not reach the customer while he had the bot blocked is queued again. */
  | { readonly type: 'releaseKeptMessages' }
  /** One timer of each key; a later one of the same key takes its place. */
  | {
      readonly type: 'setTimer';
      readonly key: string;
      readonly at: string;
      readonly timer: Timer;
    }
  /** All timers whose key begins so. */
  | { readonly type: 'cancelTimers'; readonly prefix: string }
  /** Whatever is known of the customer is erased once the rest of the decision is saved. */
  | { readonly type: 'eraseLead' };

export interface Decision {
  readonly events: readonly LeadEvent[];
  readonly effects: readonly Effect[];
}

export const nothing: Decision = { events: [], effects: [] };

export const only = (...effects: Effect[]): Decision => ({ events: [], effects });

export const say = (message: Message, onceKey?: string): Decision =>
  only({ type: 'sendMessage', message, ...(onceKey === undefined ? {} : { onceKey }) });

export const notify = (notice: Notice, onceKey: string): Decision =>
  say({ kind: 'notice', notice }, onceKey);

export const tellOperator = (notice: Notice, onceKey: string): Decision =>
  only({ type: 'tellOperator', notice, onceKey });

export const answer = (hint: string | null): Decision => only({ type: 'answerPress', hint });

export const outdated = (): Decision => answer('Este botão não vale mais. Envie /start.');

export function joined(...decisions: Decision[]): Decision {
  return {
    events: decisions.flatMap(({ events }) => events),
    effects: decisions.flatMap(({ effects }) => effects),
  };
}
