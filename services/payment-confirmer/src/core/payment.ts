/**
 * One payment, from the opened charge to the last word about its money.
 *
 *   pending → paid | expired | cancelled | refused · expired → paid (late)
 *   paid → partially_refunded | refunded | disputed | charged_back · disputed → back
 *
 * Cancelled, refused, refunded and charged back are final. Facts may come twice and in any order.
 */
import type { DataOf, EventBody, EventType } from '@rastro/events';
import { type ChargeReport, isPaidStatus, type PaymentStatus } from './gateway.ts';

export type PaymentEvent = EventBody<Extract<EventType, `Payment${string}`>>;

/** Whose payment it is and for what: the same in all of its events. */
export type PaymentSubject = Omit<
  DataOf<'PaymentCreated'>,
  'gateway' | 'gatewayChargeId' | 'pixCode' | 'checkoutNotice' | 'createdAt' | 'expiresAt'
>;

export interface OpenPayment {
  readonly status: PaymentStatus;
  readonly subject: PaymentSubject;
  readonly expiresAt: string;
  readonly refundedCents: number;
}

export type State = { readonly status: 'none' } | OpenPayment;

export const initialState: State = { status: 'none' };

export function evolve(state: State, event: PaymentEvent): State {
  if (event.type === 'PaymentCreated') return created(event.data);
  if (state.status === 'none') return state;
  switch (event.type) {
    case 'PaymentPaid':
      return { ...state, status: 'paid', subject: subjectOf(event.data) };
    case 'PaymentExpired':
      return { ...state, status: 'expired' };
    case 'PaymentRefused':
      return { ...state, status: event.data.outcome ?? 'refused' };
    case 'PaymentRefunded': {
      const { isPartial, totalRefundedCents: refundedCents } = event.data;
      const isStillDisputed = isPartial && state.status === 'disputed';
      const after = isPartial ? 'partially_refunded' : 'refunded';
      return { ...state, status: isStillDisputed ? 'disputed' : after, refundedCents };
    }
    case 'PaymentDisputed':
      return { ...state, status: event.data.isOpen ? 'disputed' : beforeDispute(state) };
    case 'PaymentChargedBack':
      return { ...state, status: 'charged_back' };
    default:
      return state;
  }
}

function created(data: DataOf<'PaymentCreated'>): OpenPayment {
  return {
    status: 'pending',
    subject: subjectOf(data),
    expiresAt: data.expiresAt,
    refundedCents: 0,
  };
}

/** Picks what all events of a payment carry out of anything that has it and more. */
export function subjectOf(of: PaymentSubject): PaymentSubject {
  return {
    paymentId: of.paymentId,
    checkoutId: of.checkoutId,
    accountId: of.accountId,
    botId: of.botId,
    poolId: of.poolId,
    trackingToken: of.trackingToken,
    leadId: of.leadId,
    telegramUserId: of.telegramUserId,
    productId: of.productId,
    productName: of.productName,
    amountCents: of.amountCents,
    currency: of.currency,
  };
}

const beforeDispute = (state: OpenPayment): PaymentStatus =>
  state.refundedCents > 0 ? 'partially_refunded' : 'paid';

export type Command =
  | { readonly type: 'create'; readonly data: DataOf<'PaymentCreated'> }
  | {
      /** The gateway was asked and has answered; amount and reference were compared before. */
      readonly type: 'observe';
      readonly report: ChargeReport;
      /** Whose report it is, where it is not of the charge that the customer was shown. */
      readonly accountId?: string;
      readonly proof: DataOf<'PaymentPaid'>['proof'];
      /** ISO 8601. */
      readonly at: string;
    }
  /** The gateway told nothing that could be believed. */
  | { readonly type: 'wait'; readonly at: string };

type Observation = Extract<Command, { type: 'observe' }>;

export function decide(state: State, command: Command): PaymentEvent[] {
  if (command.type === 'create') {
    return state.status === 'none' ? [{ type: 'PaymentCreated', data: command.data }] : [];
  }
  if (state.status === 'none') return [];
  if (command.type === 'wait') return expiredBy(state, command.at);
  if (contradictionIn(state, command.report) !== null) return [];
  return isPaidStatus(command.report.status)
    ? observePaid(state, command)
    : observeUnpaid(state, command);
}

/** Why a report cannot be true, or cannot be understood: for an alarm; it changes nothing. */
export function contradictionIn(state: State, report: ChargeReport): string | null {
  if (report.status === 'unknown') return `unknown status ${report.statusAtGateway}`;
  const isEnded = state.status === 'cancelled' || state.status === 'refused';
  if (isEnded && isPaidStatus(report.status)) {
    return `reported as ${report.status} although it is ${state.status}`;
  }
  return null;
}

/** Whether money that comes now is this payment's, and not a second time the same. */
export const isAwaitingMoney = ({ status }: State): boolean =>
  status === 'pending' || status === 'expired';

function observeUnpaid(state: OpenPayment, { report, at }: Observation): PaymentEvent[] {
  if (state.status !== 'pending') return [];
  const { subject } = state;
  const { status } = report;
  if (status === 'cancelled' || status === 'refused') {
    const reason = `${status} at the gateway`;
    return [
      { type: 'PaymentRefused', data: { ...subject, reason, outcome: status, refusedAt: at } },
    ];
  }
  if (status === 'pending') return expiredBy(state, at);
  return status === 'expired' ? [expired(state, at)] : [];
}

/** Its time may be over without the gateway's word; money that comes later is late money. */
const expiredBy = (state: OpenPayment, at: string): PaymentEvent[] =>
  state.status === 'pending' && at >= state.expiresAt ? [expired(state, at)] : [];

function expired({ subject }: OpenPayment, expiredAt: string): PaymentEvent {
  return { type: 'PaymentExpired', data: { ...subject, expiredAt } };
}

/** A refund or dispute of a payment that we never saw paid says both, in order. */
function observePaid(state: OpenPayment, observation: Observation): PaymentEvent[] {
  const payment = isAwaitingMoney(state) ? [paid(state, observation)] : [];
  const afterwards = payment.reduce(evolve, state) as OpenPayment;
  return [...payment, ...observeMoney(afterwards, observation)];
}

function paid(state: OpenPayment, observation: Observation): PaymentEvent {
  const { report, proof, at } = observation;
  const { accountId = state.subject.accountId } = observation;
  // A gateway's clock may run ahead of ours; nothing was paid in the future.
  const paidAt = report.paidAt !== null && report.paidAt < at ? report.paidAt : at;
  const isLate = state.status === 'expired' || paidAt > state.expiresAt;
  const { endToEndId } = report;
  return {
    type: 'PaymentPaid',
    data: { ...state.subject, accountId, paidAt, confirmedAt: at, endToEndId, isLate, proof },
  };
}

/** What became of money that had come: how much went back, and whether the rest is disputed. */
function observeMoney(state: OpenPayment, { report, at }: Observation): PaymentEvent[] {
  const { status, subject } = state;
  if (status === 'refunded' || status === 'charged_back') return [];
  const parts = partsRefunded(state, report, at);
  switch (report.status) {
    case 'charged_back':
      return [...parts, { type: 'PaymentChargedBack', data: { ...subject, chargedBackAt: at } }];
    case 'refunded':
      return [refunded(state, subject.amountCents, at)];
    case 'disputed':
      return status === 'disputed' ? parts : [...parts, disputed(state, true, at)];
    case 'paid':
    case 'partially_refunded':
      return status === 'disputed' ? [disputed(state, false, at), ...parts] : parts;
    case 'pending':
    case 'expired':
    case 'cancelled':
    case 'refused':
    case 'unknown':
      return [];
  }
}

/** Part of the money may go back while a dispute is open; all of it ends the payment. */
function partsRefunded(state: OpenPayment, report: ChargeReport, at: string): PaymentEvent[] {
  const totalCents = report.refundedCents ?? 0;
  const isDisputed = report.status === 'disputed' || report.status === 'charged_back';
  const isOfTheRest = isDisputed && totalCents >= state.subject.amountCents;
  const isMore = totalCents > state.refundedCents && !isOfTheRest;
  return isMore ? [refunded(state, totalCents, at)] : [];
}

function refunded({ subject }: OpenPayment, totalCents: number, at: string): PaymentEvent {
  const isPartial = totalCents < subject.amountCents;
  const data = { ...subject, totalRefundedCents: totalCents, isPartial, refundedAt: at };
  return { type: 'PaymentRefunded', data };
}

function disputed({ subject }: OpenPayment, isOpen: boolean, at: string): PaymentEvent {
  return { type: 'PaymentDisputed', data: { ...subject, isOpen, disputedAt: at } };
}
