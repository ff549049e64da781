/** The process manager of one lead: what follows from what a customer does and what is heard. */
import { buy, confirmPaid, openCheckout, type PaymentFact, reportTrouble } from './checkout.ts';
import {
  answer,
  type Decision,
  joined,
  type LeadEvent,
  nothing,
  outdated,
  say,
  type Timer,
} from './decision.ts';
import { isStillWanted, noLongerStalled } from './follow-ups.ts';
import {
  type FunnelButton,
  type FunnelSnapshot,
  type Place,
  type Press,
  stepIndex,
} from './funnel.ts';
import { type Click, clickOf, evolve, type Lead } from './lead.ts';
import { deliver, type Delivery, observePayment } from './payment-news.ts';
import { answerPrivacy, erase, type PrivacyCommand } from './privacy.ts';
import { goTo, reach, showCurrentStep } from './walk.ts';

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
      /** The version whose button was pressed, where it is one of a step; else the one he is in. */
      readonly funnel: FunnelSnapshot | null;
      readonly newCheckoutId: string;
    }
  /** Anything else that a customer writes; `funnel` is the version that he is inside of. */
  | { readonly type: 'Write'; readonly at: string; readonly funnel: FunnelSnapshot | null }
  | {
      readonly type: 'AskPrivacy';
      readonly at: string;
      readonly about: PrivacyCommand;
      readonly funnel: FunnelSnapshot | null;
    }
  | { readonly type: 'NoteContact'; readonly at: string; readonly isBlocked: boolean }
  | {
      readonly type: 'ObservePayment';
      readonly at: string;
      readonly fact: PaymentFact;
      /** Whether the product's seller leaves the access to whoever got all of the money back. */
      readonly accessStays: boolean;
      readonly funnel: FunnelSnapshot | null;
    }
  | {
      readonly type: 'Deliver';
      readonly delivery: Delivery;
      readonly funnel: FunnelSnapshot | null;
    }
  /** The time of a timer has come; `funnel` is the version that set it. */
  | {
      readonly type: 'FireTimer';
      readonly at: string;
      readonly timer: Timer;
      readonly funnel: FunnelSnapshot | null;
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
    case 'AskPrivacy':
      return joined(
        welcomedBack(lead, command.at),
        answerPrivacy(lead, command.about, command.funnel),
      );
    case 'NoteContact':
      return noteContact(lead, command.at, command.isBlocked);
    case 'ObservePayment':
      return observePayment(lead, command);
    case 'Deliver':
      return deliver(command.delivery, command.funnel);
    case 'FireTimer':
      return fireTimer(lead, command);
    case 'ReportTrouble':
      return reportTrouble(lead, command);
  }
}

type CommandOf<T extends LeadCommand['type']> = LeadCommand & { type: T };

function start(lead: Lead, command: CommandOf<'Start'>): Decision {
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
  return joined({ events: [started], effects: [] }, goTo(evolve(lead, started), funnel, 0, at));
}

function pressButton(lead: Lead, command: CommandOf<'PressButton'>): Decision {
  const { press, funnel, at, newCheckoutId } = command;
  switch (press?.type) {
    case undefined:
      return outdated();
    case 'already_paid':
      return confirmPaid(lead, press.paymentId);
    case 'buy_again': {
      const earlier = lead.checkouts.find(({ checkoutId }) => checkoutId === press.checkoutId);
      return earlier ? buy(lead, earlier.productId, at, newCheckoutId) : outdated();
    }
    case 'erase':
      return lead.person === null ? outdated() : erase(lead, funnel, at);
    case 'step_button':
    case 'bump': {
      const button = funnel?.steps[press.step]?.buttons[press.button];
      return funnel === null || button === undefined
        ? outdated()
        : pressOfStep(lead, { press, funnel, button, at, newCheckoutId });
    }
  }
}

interface StepPress {
  readonly press: Press & Place;
  readonly funnel: FunnelSnapshot;
  readonly button: FunnelButton;
  readonly at: string;
  readonly newCheckoutId: string;
}

function pressOfStep(lead: Lead, stepPress: StepPress): Decision {
  const { press, funnel, button, at, newCheckoutId } = stepPress;
  const { buy: product, bump } = button;
  if (product === undefined) {
    const target = stepIndex(funnel, button.goto ?? '');
    return target < 0 ? outdated() : joined(goTo(lead, funnel, target, at), answer(null));
  }
  if (press.type === 'bump') {
    const bought = press.isAccepted && bump !== undefined ? bump.product : product;
    return joined(noLongerStalled(funnel), buy(lead, bought, at, newCheckoutId));
  }
  const isOpen = [product, bump?.product].some((id) => id && openCheckout(lead, id, at));
  if (bump !== undefined && !isOpen) {
    const { snapshotKey, step, button: index } = press;
    const place = { snapshotKey, step, button: index };
    const { text, accept, decline } = bump;
    const offer = { about: 'bump', place, text, accept, decline } as const;
    return joined(say({ kind: 'notice', notice: offer }), answer(null));
  }
  const open = bump !== undefined && openCheckout(lead, bump.product, at);
  const bought = open ? open.productId : product;
  return joined(noLongerStalled(funnel), buy(lead, bought, at, newCheckoutId));
}

function fireTimer(lead: Lead, { at, timer, funnel }: CommandOf<'FireTimer'>): Decision {
  if (funnel === null || lead.isBlocked) return nothing;
  if (timer.type === 'step') {
    const { step, followUpId } = timer;
    return reach(lead, funnel, { step, followUpId, isDue: true }, at);
  }
  const { followUpId, checkoutId } = timer;
  const followUp = funnel.followUps?.find(({ id }) => id === followUpId);
  if (followUp === undefined || !isStillWanted(lead, followUp, { checkoutId, at })) return nothing;
  const step = stepIndex(funnel, followUp.goto);
  return reach(lead, funnel, { step, followUpId, isDue: false }, at);
}

function noteContact(lead: Lead, at: string, isBlocked: boolean): Decision {
  if (lead.isBlocked === isBlocked) return nothing;
  const { leadId, botId } = lead;
  const trackingToken = clickOf(lead)?.trackingToken ?? null;
  const changed: LeadEvent = {
    type: 'ContactBlocked',
    data: { leadId, botId, trackingToken, isBlocked, changedAt: at },
  };
  return { events: [changed], effects: isBlocked ? [] : [{ type: 'releaseKeptMessages' }] };
}

/** Whoever writes or presses has the bot unblocked, whether Telegram told us or not. */
const welcomedBack = (lead: Lead, at: string): Decision => noteContact(lead, at, false);
