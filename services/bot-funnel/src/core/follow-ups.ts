/** Brings back who stopped: timers that lead to a step if nothing has happened until then. */
import type { Checkout } from './checkout.ts';
import { type Decision, type Effect, nothing, only } from './decision.ts';
import type { FollowUp, FunnelSnapshot } from './funnel.ts';
import type { Lead } from './lead.ts';
import { outsideQuietHours } from './quiet-hours.ts';
import { later } from './time.ts';

const minuteMs = 60_000;

/** The timers of a customer who stands at a step; those of the step before are over. */
export function stalledTimers(
  lead: Lead,
  funnel: FunnelSnapshot,
  stepId: string,
  at: string,
): Effect[] {
  if (!isForStalled(funnel) || hasBought(lead)) return [];
  const due = followUpsOn(funnel, 'stalled').filter(({ step }) => step === null || step === stepId);
  return [
    { type: 'cancelTimers', prefix: 'stalled/' },
    ...due.map((followUp) => timerOf(funnel, followUp, { at, checkoutId: null })),
  ];
}

/** A press that leads to no step, such as a purchase: nobody stands still any more. */
export function noLongerStalled(funnel: FunnelSnapshot | null): Decision {
  const isToCancel = funnel !== null && isForStalled(funnel);
  return isToCancel ? only({ type: 'cancelTimers', prefix: 'stalled/' }) : nothing;
}

/** What follows on a checkout that has just become unpaid, expired or paid. */
export function checkoutTimers(
  funnel: FunnelSnapshot | null,
  on: 'pix_unpaid' | 'pix_expired' | 'paid',
  { checkoutId, productId }: Pick<Checkout, 'checkoutId' | 'productId'>,
  at: string,
): Effect[] {
  if (funnel === null) return [];
  return followUpsOn(funnel, on)
    .filter(({ product }) => product === null || product === productId)
    .map((followUp) => timerOf(funnel, followUp, { at, checkoutId }));
}

/** Whether what the follow-up was set for is still so. */
export function isStillWanted(
  lead: Lead,
  followUp: FollowUp,
  { checkoutId, at }: { checkoutId: string | null; at: string },
): boolean {
  if (lead.isBlocked) return false;
  if (followUp.on === 'stalled') return !hasBought(lead);
  const checkout = lead.checkouts.find((one) => one.checkoutId === checkoutId);
  if (checkout === undefined) return false;
  if (followUp.on === 'paid') return checkout.status === 'paid';
  const ofProduct = lead.checkouts.filter(({ productId }) => productId === checkout.productId);
  // Nobody who has paid, or holds a newer PIX of the product, is reminded of the old one.
  if (ofProduct.some(({ status }) => status === 'paid') || ofProduct.at(-1) !== checkout) {
    return false;
  }
  return followUp.on === 'pix_unpaid'
    ? checkout.status === 'pending' && checkout.pix.expiresAt > at
    : checkout.status === 'expired';
}

const hasBought = ({ checkouts }: Lead): boolean =>
  checkouts.some(({ status }) => status === 'paid');

function followUpsOn({ followUps = [] }: FunnelSnapshot, on: FollowUp['on']): FollowUp[] {
  return followUps.filter((followUp) => followUp.on === on);
}

/** Spared in funnels that never ask after who stopped. */
const isForStalled = (funnel: FunnelSnapshot): boolean => followUpsOn(funnel, 'stalled').length > 0;

function timerOf(
  { key: snapshotKey, quietHours }: FunnelSnapshot,
  { id, on, afterMinutes }: FollowUp,
  { at, checkoutId }: { at: string; checkoutId: string | null },
): Effect & { type: 'setTimer' } {
  return {
    type: 'setTimer',
    key: checkoutId === null ? `${on}/${id}` : `${on}/${id}/${checkoutId}`,
    at: outsideQuietHours(later(at, Math.round(afterMinutes * minuteMs)), quietHours),
    timer: { type: 'follow_up', snapshotKey, followUpId: id, checkoutId },
  };
}
