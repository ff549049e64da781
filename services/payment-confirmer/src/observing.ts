/** Asks the gateway about a charge and records what follows: the only way to `PaymentPaid`. */
import { append, readStream } from '@rastro/event-store';
import { envelop } from '@rastro/events';
import { type Logger, newId, type Sql, type Transaction } from '@rastro/runtime';
import {
  isOpen,
  lockCharge,
  markAnswered,
  type OpenCharge,
  type Question,
} from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import type { ChooseGateway } from './adapters/gateways.ts';
import type { Metrics } from './adapters/metrics.ts';
import {
  type ChargeIdentity,
  type ChargeReport,
  type Claim,
  completeStatus,
  disproofOf,
  type Gateway,
  type PaymentStatus,
} from './core/gateway.ts';
import {
  contradictionIn,
  decide,
  evolve,
  initialState,
  type PaymentEvent,
  type State,
} from './core/payment.ts';
import { nextCheckMs, nextFollowUp, type Schedule } from './core/schedule.ts';

export interface ObservingOptions {
  readonly sql: Sql;
  readonly chooseGateway: ChooseGateway;
  readonly schedule: Schedule;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export type Observation =
  | {
      readonly kind: 'recorded';
      readonly isNews: boolean;
      /** What the gateway said, completed where its API is silent. */
      readonly report: ChargeReport;
      /** Why that cannot be, or cannot be understood: then nothing followed from it. */
      readonly contradiction: string | null;
    }
  | {
      readonly kind: 'mismatch';
      /** Null when the gateway knows no such charge. */
      readonly report: ChargeReport | null;
      readonly disproof: string;
    }
  /** A later question was answered first: ask again. */
  | { readonly kind: 'overtaken' };

/** What made us ask: a proven webhook, and what it says that the gateway's API does not. */
export interface Cause {
  readonly causationId: string;
  readonly claim: Claim | null;
}

/** @throws {GatewayError} when the gateway cannot be asked right now. */
export type Observe = (question: Question, cause?: Cause) => Promise<Observation>;

export const streamOf = (paymentId: string): string => `payment-${paymentId}`;

export function createObserve(options: ObservingOptions): Observe {
  const { sql, chooseGateway, metrics, log } = options;
  return async ({ charge, number }, cause) => {
    const { paymentId, accountId } = charge;
    const choice = chooseGateway(accountId);
    if (!choice.ok) throw new GatewayError(choice.message);
    const { gateway } = choice;
    const answered = await gateway.getCharge(charge.opened.gatewayChargeId);
    const report = answered && withAmount(answered, charge, gateway);
    const disproof =
      report === null ? 'the gateway does not know it' : disproofOf(identityOf(charge), report);
    if (disproof !== null) {
      metrics.mismatches.inc({ kind: gateway.kind, source: 'gateway' });
      log.error({ paymentId, accountId, disproof }, 'a charge is not what we asked for; unchanged');
    }
    const believed = disproof === null ? report : null;
    const answer = { number, report: believed, gateway, cause };
    const recorded = await sql.begin((tx) => record(tx, { paymentId, ...answer }, options));
    if (recorded === null) return { kind: 'overtaken' };
    const { events, contradiction, report: completed } = recorded;
    for (const event of events) metrics.payments.inc({ status: statusAfter(event) });
    if (disproof !== null || completed === null) {
      return { kind: 'mismatch', report, disproof: disproof ?? '' };
    }
    return { kind: 'recorded', isNews: events.length > 0, report: completed, contradiction };
  };
}

interface Answer {
  readonly paymentId: string;
  readonly number: number;
  /** Null when it was not to be believed; the question is answered all the same. */
  readonly report: ChargeReport | null;
  readonly gateway: Gateway;
  readonly cause: Cause | undefined;
}

/** What followed from an answer; `report` is null where it was not to be believed. */
interface Recorded {
  readonly events: readonly PaymentEvent[];
  readonly report: ChargeReport | null;
  readonly contradiction: string | null;
}

/** Everything that follows from one answer, or null when a later one was recorded before. */
async function record(
  tx: Transaction,
  { paymentId, number, report: told, gateway, cause }: Answer,
  { schedule, metrics, log }: ObservingOptions,
): Promise<Recorded | null> {
  const charge = await lockCharge(tx, paymentId);
  if (charge.answeredCount >= number || !isOpen(charge)) return null;
  const history = (await readStream(tx, streamOf(paymentId))) as unknown as PaymentEvent[];
  const state = history.reduce(evolve, initialState);
  const { kind, silentOn } = gateway;
  const circumstances = { silentOn, claim: cause?.claim ?? null, statusHere: state.status };
  const report = told && completeStatus(told, circumstances);
  const now = new Date();
  const at = now.toISOString();
  const contradiction = report && contradictionIn(state, report);
  if (contradiction) {
    metrics.contradictions.inc({ kind });
    log.error({ paymentId, contradiction }, 'a gateway reports what cannot be; nothing is changed');
  }
  const events = decide(
    state,
    report ? { type: 'observe', report, proof: 'requery', at } : { type: 'wait', at },
  );
  const { workspaceId } = charge;
  const causationId = cause?.causationId;
  await append(tx, {
    streamId: streamOf(paymentId),
    expectedVersion: history.length,
    events: events.map((event) => wrap(event, { workspaceId, time: at, causationId })),
  });
  const status = statusOf(events.reduce(evolve, state), charge.status);
  const nowMs = now.getTime();
  const followUpsLeft = events.length > 0 ? 0 : charge.followUpsLeft;
  const followUp = nextFollowUp(schedule, { followUpsLeft, nowMs });
  const times = [plannedMs(charge, { schedule, status, nowMs }), followUp.atMs];
  const nextCheckAt = earliest(times);
  const answered = { answeredCount: number, status, followUpsLeft: followUp.left, nextCheckAt };
  await markAnswered(tx, paymentId, answered);
  return { events, report, contradiction };
}

/** Puts a payment's event into its envelope. */
export function wrap(
  event: PaymentEvent,
  circumstances: { workspaceId: string; time: string; causationId?: string | undefined },
) {
  const { paymentId } = event.data;
  const source = 'payment-confirmer';
  return envelop(event, { ...circumstances, id: newId(), source, aggregateId: paymentId });
}

/** What has to be told of the charge that the customer was shown. */
export const identityOf = (charge: OpenCharge): ChargeIdentity => ({
  chargeId: charge.opened.gatewayChargeId,
  reference: charge.paymentId,
  amountCents: charge.amountCents,
  currency: charge.currency,
  receiver: charge.opened.receiver,
  isTestMode: charge.opened.isTestMode,
});

/**
 * Where the API does not tell what was paid: the amount of the proven webhook, or else the one that
 * the gateway confirmed when it made the charge, since a PIX of a fixed amount cannot be paid with
 * another. An amount that the API does tell has to fit all the same.
 */
function withAmount(report: ChargeReport, charge: OpenCharge, { silentOn }: Gateway): ChargeReport {
  const { amountCents, toldCents } = charge;
  const isOther = report.amountCents !== null && report.amountCents !== amountCents;
  if (silentOn.amount !== true || isOther) return report;
  return { ...report, amountCents: toldCents ?? amountCents };
}

const statusOf = (state: State, fallback: PaymentStatus): PaymentStatus =>
  state.status === 'none' ? fallback : state.status;

/** For the counter: the status that an event by itself leads to. */
function statusAfter(event: PaymentEvent): string {
  const state = evolve(
    { status: 'pending', subject: event.data, expiresAt: '', refundedCents: 0 },
    event,
  );
  return state.status;
}

/** Paid and ended charges are left to webhooks, and to whoever follows them up. */
function plannedMs(
  { opened }: OpenCharge,
  { schedule, status, nowMs }: { schedule: Schedule; status: PaymentStatus; nowMs: number },
): number | null {
  if (status !== 'pending' && status !== 'expired') return null;
  return nextCheckMs(schedule, {
    openedAtMs: opened.openedAt.getTime(),
    expiresAtMs: opened.expiresAt.getTime(),
    nowMs,
  });
}

function earliest(times: readonly (number | null)[]): Date | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : new Date(Math.min(...known));
}
