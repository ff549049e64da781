/** What a lead's process manager decides: events to record and effects, both as data. */
import type { EventBody } from '@rastro/events';
import type { Message, Notice } from './message.ts';

/** What a lead records of itself. */
export type LeadEvent = EventBody<
  'FunnelStarted' | 'FunnelStepReached' | 'CheckoutStarted' | 'ContactBlocked'
>;

export type Effect =
  | {
      readonly type: 'sendMessage';
      readonly message: Message;
      /** A second message of this name to the same customer is not sent. */
      readonly onceKey?: string;
    }
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
  | { readonly type: 'releaseKeptMessages' };

export interface Decision {
  readonly events: readonly LeadEvent[];
  readonly effects: readonly Effect[];
}

export const nothing: Decision = { events: [], effects: [] };

export const say = (message: Message, onceKey?: string): Decision => ({
  events: [],
  effects: [{ type: 'sendMessage', message, ...(onceKey === undefined ? {} : { onceKey }) }],
});

export const notify = (notice: Notice, onceKey: string): Decision =>
  say({ kind: 'notice', notice }, onceKey);

export const answer = (hint: string | null): Decision => ({
  events: [],
  effects: [{ type: 'answerPress', hint }],
});

export const outdated = (): Decision => answer('Este botão não vale mais. Envie /start.');

export function joined(...decisions: Decision[]): Decision {
  return {
    events: decisions.flatMap(({ events }) => events),
    effects: decisions.flatMap(({ effects }) => effects),
  };
}
