/** One customer in one bot: a process manager that reacts to presses and payments with effects. */
import {
  buy,
  type Checkout,
  confirmPaid,
  evolveCheckout,
  observePayment,
  type PaymentFact,
  reportTrouble,
} from './checkout.ts';
import {
  answer,
  type Decision,
  type Effect,
  joined,
  type LeadEvent,
  nothing,
  outdated,
  say,
} from './decision.ts';
import { type FunnelSnapshot, type Press, stepIndex } from './funnel.ts';

// Events: LeadEvent, the lead's own, and PaymentFact.

// State

/** An ad click that the Telegram user is bound to. */
export interface Click {
  readonly trackingToken: string;
  readonly poolId: string | null;
}

export interface Lead {
  readonly leadId: string;
  readonly botId: string;
  /** Where in which funnel; null before the first START. */
  readonly position: {
    readonly funnelId: string;
    readonly funnelVersion: number;
    readonly stepId: string | null;
  } | null;
  /** The last click wins; a START without one takes nothing away. */
  readonly click: Click | null;
  readonly isBlocked: boolean;
  /** In the order of their presses. */
  readonly checkouts: readonly Checkout[];
}

export function newLead(identity: Pick<Lead, 'leadId' | 'botId'>): Lead {
  return { ...identity, position: null, click: null, isBlocked: false, checkouts: [] };
}

/** Own events and payment facts may be folded in any order as long as each kind keeps its own. */
export function evolve(lead: Lead, event: LeadEvent | PaymentFact): Lead {
  switch (event.type) {
    case 'FunnelStarted': {
      const { funnelId, funnelVersion, trackingToken, poolId } = event.data;
      const click = trackingToken === null ? lead.click : { trackingToken, poolId };
      return { ...lead, position: { funnelId, funnelVersion, stepId: null }, click };
    }
    case 'FunnelStepReached': {
      const { stepId } = event.data;
      return lead.position === null ? lead : { ...lead, position: { ...lead.position, stepId } };
    }
    case 'CheckoutStarted': {
      const { checkoutId, productId, trackingToken, poolId } = event.data;
      const checkout = {
        checkoutId,
        productId,
        trackingToken,
        poolId,
        status: 'requested',
      } as const;
      return { ...lead, checkouts: [...lead.checkouts, checkout] };
    }
    case 'ContactBlocked':
      return { ...lead, isBlocked: event.data.isBlocked };
    case 'PaymentCreated':
    case 'PaymentPaid':
    case 'PaymentExpired':
    case 'PaymentRefused':
    case 'PaymentRefunded': {
      const { checkoutId } = event.data;
      const checkouts = lead.checkouts.map((checkout) =>
        checkout.checkoutId === checkoutId ? evolveCheckout(checkout, event) : checkout,
      );
      return { ...lead, checkouts };
    }
  }
}

// Commands: times are ISO 8601, ids and everything else from outside arrive as arguments.

export type LeadCommand =
  | {
      readonly type: 'Start';
      readonly at: string;
      readonly telegramUserId: number;
      readonly externalId: string;
      readonly languageCode: string | null;
      readonly isPremium: boolean;
      readonly click: Click | null;
      readonly funnel: FunnelSnapshot;
    }
  | {
      readonly type: 'PressButton';
      readonly at: string;
      /** Null for data that none of our buttons carries. */
      readonly press: Press | null;
      /** The version whose button was pressed, where it is one of a step. */
      readonly funnel: FunnelSnapshot | null;
      readonly newCheckoutId: string;
    }
  /** Anything else that a customer writes; `funnel` is the version that he is inside of. */
  | { readonly type: 'Write'; readonly at: string; readonly funnel: FunnelSnapshot | null }
  | { readonly type: 'NoteContact'; readonly at: string; readonly isBlocked: boolean }
  | { readonly type: 'ObservePayment'; readonly at: string; readonly fact: PaymentFact }
  | {
      readonly type: 'Deliver';
      readonly paymentId: string;
      readonly productName: string;
      readonly link: string | null;
    }
  /** payment-confirmer did not open the charge; `isFinal` once we no longer try by ourselves. */
  | {
      readonly type: 'ReportTrouble';
      readonly checkoutId: string;
      readonly round: number;
      readonly isFinal: boolean;
    };

// Decisions

export function decide(lead: Lead, command: LeadCommand): Decision {
  switch (command.type) {
    case 'Start':
      return joined(welcomedBack(lead, command.at), start(lead, command));
    case 'PressButton':
      return joined(welcomedBack(lead, command.at), pressButton(lead, command));
    case 'Write':
      return joined(welcomedBack(lead, command.at), showCurrentStep(lead, command.funnel));
    case 'NoteContact':
      return noteContact(lead, command.at, command.isBlocked);
    case 'ObservePayment':
      return observePayment(lead, command.at, command.fact);
    case 'Deliver': {
      const { productName, link, paymentId } = command;
      return say({ kind: 'delivery', productName, link }, `delivery:${paymentId}`);
    }
    case 'ReportTrouble':
      return reportTrouble(lead, command);
  }
}

function start(lead: Lead, command: LeadCommand & { type: 'Start' }): Decision {
  const { at, telegramUserId, externalId, languageCode, isPremium, click, funnel } = command;
  const { leadId, botId } = lead;
  const started: LeadEvent = {
    type: 'FunnelStarted',
    data: {
      leadId,
      botId,
      telegramUserId,
      externalId,
      trackingToken: click?.trackingToken ?? null,
      poolId: click?.poolId ?? null,
      origin: click === null ? 'organic' : 'click',
      funnelId: funnel.funnelId,
      funnelVersion: funnel.version,
      languageCode,
      isPremium,
      startedAt: at,
    },
  };
  return joined(
    { events: [started], effects: [] },
    reachStep(evolve(lead, started), funnel, 0, at),
  );
}

function reachStep(lead: Lead, funnel: FunnelSnapshot, step: number, at: string): Decision {
  const found = funnel.steps[step];
  if (found === undefined) return nothing;
  const { leadId, botId, click } = lead;
  const { funnelId } = funnel;
  const trackingToken = click?.trackingToken ?? null;
  const reached: LeadEvent = {
    type: 'FunnelStepReached',
    data: { leadId, botId, trackingToken, funnelId, stepId: found.id, reachedAt: at },
  };
  return { events: [reached], effects: showStep(funnel, step) };
}

function showStep(funnel: FunnelSnapshot, step: number): Effect[] {
  const found = funnel.steps[step];
  if (found === undefined) return [];
  const { text, media = null, buttons } = found;
  const message = { kind: 'step', snapshotKey: funnel.key, step, text, media, buttons } as const;
  return [{ type: 'sendMessage', message }];
}

function showCurrentStep(lead: Lead, funnel: FunnelSnapshot | null): Decision {
  if (funnel === null || lead.position === null) return nothing;
  const step = Math.max(0, stepIndex(funnel, lead.position.stepId ?? ''));
  return { events: [], effects: showStep(funnel, step) };
}

function pressButton(lead: Lead, command: LeadCommand & { type: 'PressButton' }): Decision {
  const { press, funnel, at, newCheckoutId } = command;
  if (press?.type === 'already_paid') return confirmPaid(lead, press.paymentId);
  if (press?.type === 'buy_again') {
    const earlier = lead.checkouts.find(({ checkoutId }) => checkoutId === press.checkoutId);
    return earlier ? buy(lead, earlier.productId, at, newCheckoutId) : outdated();
  }
  const step = press === null ? undefined : funnel?.steps[press.step];
  const button = press === null ? undefined : step?.buttons[press.button];
  if (funnel === null || button === undefined) return outdated();
  if (button.buy !== undefined) return buy(lead, button.buy, at, newCheckoutId);
  const target = stepIndex(funnel, button.goto ?? '');
  return target < 0 ? outdated() : joined(reachStep(lead, funnel, target, at), answer(null));
}

function noteContact(lead: Lead, at: string, isBlocked: boolean): Decision {
  if (lead.isBlocked === isBlocked) return nothing;
  const { leadId, botId, click } = lead;
  const trackingToken = click?.trackingToken ?? null;
  const changed: LeadEvent = {
    type: 'ContactBlocked',
    data: { leadId, botId, trackingToken, isBlocked, changedAt: at },
  };
  return { events: [changed], effects: isBlocked ? [] : [{ type: 'releaseKeptMessages' }] };
}

/** Whoever writes or presses has the bot unblocked, whether Telegram told us or not. */
const welcomedBack = (lead: Lead, at: string): Decision => noteContact(lead, at, false);
