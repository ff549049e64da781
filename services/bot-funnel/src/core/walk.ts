/** From step to step: branches, delays, and steps that follow by themselves. */
import { type Decision, type Effect, joined, type LeadEvent, nothing, only } from './decision.ts';
import { stalledTimers } from './follow-ups.ts';
import { type FunnelSnapshot, type FunnelStep, stepIndex } from './funnel.ts';
import { clickOf, evolve, type Lead } from './lead.ts';
import { outsideQuietHours } from './quiet-hours.ts';
import { later } from './time.ts';

/** How a customer comes to a step. */
export interface Arrival {
  readonly step: number;
  /** What led him there, where it was not he. */
  readonly followUpId: string | null;
  /** Its delay is over. */
  readonly isDue: boolean;
}

/** Where a delay is this long, nobody waits for its end, and quiet hours count. */
const unattendedMs = 10 * 60_000;

/** The customer himself goes to a step: whatever the funnel had begun by itself is dropped. */
export function goTo(lead: Lead, funnel: FunnelSnapshot, step: number, at: string): Decision {
  const arrival = { step, followUpId: null, isDue: false };
  return joined(dropWaitingStep(funnel), reach(lead, funnel, arrival, at));
}

/** The funnel leads there, by a timer. */
export function reach(
  lead: Lead,
  funnel: FunnelSnapshot,
  arrival: Arrival,
  at: string,
  hops = 0,
): Decision {
  const step = funnel.steps[arrival.step];
  // Branches may lead in a circle; whoever has seen every step has seen enough.
  if (step === undefined || hops > funnel.steps.length) return nothing;
  if (!arrival.isDue && (step.delaySeconds ?? 0) > 0) return wait(funnel, step, arrival, at);
  const { followUpId } = arrival;
  const branch = step.branches?.find(({ when, product }) => holds(lead, { when, product, at }));
  if (branch !== undefined) {
    const target = { step: stepIndex(funnel, branch.goto), followUpId, isDue: false };
    return reach(lead, funnel, target, at, hops + 1);
  }
  const reached = stepReached(lead, funnel, step, { followUpId, at });
  const after = evolve(lead, reached);
  const timers = followUpId === null ? stalledTimers(after, funnel, step.id, at) : [];
  const shown = {
    events: [reached],
    effects: [...showStep(funnel, arrival.step), ...timers],
  };
  if (step.next === undefined) return shown;
  const next = { step: stepIndex(funnel, step.next), followUpId, isDue: false };
  return joined(shown, reach(after, funnel, next, at, hops + 1));
}

function wait(
  funnel: FunnelSnapshot,
  { delaySeconds = 0 }: FunnelStep,
  { step, followUpId }: Arrival,
  at: string,
): Decision {
  const delayMs = delaySeconds * 1_000;
  const due = later(at, delayMs);
  const isUnattended = delayMs >= unattendedMs;
  const timer = { type: 'step', snapshotKey: funnel.key, step, followUpId } as const;
  return only({
    type: 'setTimer',
    key: 'step',
    at: isUnattended ? outsideQuietHours(due, funnel.quietHours) : due,
    timer,
  });
}

/** Spared where no step of the funnel ever waits. */
function dropWaitingStep({ steps }: FunnelSnapshot): Decision {
  const canWait = steps.some(({ delaySeconds = 0 }) => delaySeconds > 0);
  return canWait ? only({ type: 'cancelTimers', prefix: 'step' }) : nothing;
}

export function stepReached(
  { leadId, botId, clicks }: Lead,
  { funnelId }: FunnelSnapshot,
  step: FunnelStep,
  { followUpId, at }: { followUpId: string | null; at: string },
): LeadEvent & { type: 'FunnelStepReached' } {
  const trackingToken = clickOf({ clicks })?.trackingToken ?? null;
  return {
    type: 'FunnelStepReached',
    data: {
      leadId,
      botId,
      trackingToken,
      funnelId,
      stepId: step.id,
      ...(followUpId === null ? {} : { followUpId }),
      reachedAt: at,
    },
  };
}

function showStep(funnel: FunnelSnapshot, step: number): Effect[] {
  const found = funnel.steps[step];
  if (found === undefined) return [];
  const { text, media = null, buttons } = found;
  const message = { kind: 'step', snapshotKey: funnel.key, step, text, media, buttons } as const;
  return [{ type: 'sendMessage', message }];
}

/** To whoever writes instead of pressing. */
export function showCurrentStep(lead: Lead, funnel: FunnelSnapshot | null): Decision {
  if (funnel === null || lead.position === null) return nothing;
  const step = Math.max(0, stepIndex(funnel, lead.position.stepId ?? ''));
  return only(...showStep(funnel, step));
}

type Condition = Pick<NonNullable<FunnelStep['branches']>[number], 'when' | 'product'>;

function holds({ checkouts }: Lead, { when, product, at }: Condition & { at: string }): boolean {
  const own = checkouts.filter(({ productId }) => product === null || productId === product);
  const isPaid = own.some(({ status }) => status === 'paid');
  switch (when) {
    case 'paid':
      return isPaid;
    case 'not_bought':
      return !isPaid;
    case 'pending':
      return own.some((one) => one.status === 'pending' && one.pix.expiresAt > at);
    case 'expired': {
      const last = own.at(-1);
      const isOver = last?.status === 'pending' && last.pix.expiresAt <= at;
      return !isPaid && (last?.status === 'expired' || isOver);
    }
  }
}
