/** A lead of a bot that somebody else's program runs: what it says is recorded, nothing follows. */
import type { Checkout } from './checkout.ts';
import { type Decision, type LeadEvent, nothing } from './decision.ts';
import { type FunnelSnapshot, stepIndex } from './funnel.ts';
import type { Lead } from './lead.ts';
import { stepReached } from './walk.ts';

/** Messages, timers and the steps that we would walk to are the program's own business. */
export function recordedOnly({ events }: Decision): Decision {
  return { events: events.filter(({ type }) => type !== 'FunnelStepReached'), effects: [] };
}

/** Nothing where the funnel has no such step. */
export function noteStep(
  lead: Lead,
  { funnel, stepId, at }: { funnel: FunnelSnapshot; stepId: string; at: string },
): Decision {
  const step = funnel.steps[stepIndex(funnel, stepId)];
  if (step === undefined) return nothing;
  return { events: [stepReached(lead, funnel, step, { followUpId: null, at })], effects: [] };
}

/** The program asked payment-confirmer by itself, so the payment tells us of its checkout. */
export function noteCheckout(
  { leadId, botId, checkouts }: Lead,
  payment: Pick<Checkout, 'checkoutId' | 'productId' | 'trackingToken' | 'poolId'>,
  at: string,
): Decision {
  const { checkoutId, productId, trackingToken, poolId } = payment;
  if (checkouts.some((known) => known.checkoutId === checkoutId)) return nothing;
  const started: LeadEvent = {
    type: 'CheckoutStarted',
    data: { leadId, botId, trackingToken, poolId, checkoutId, productId, startedAt: at },
  };
  return { events: [started], effects: [] };
}
