/**
 * Charges that were made for a payment besides the one that the customer was shown: an answer came
 * too late, and the next account was asked. Should one be paid all the same, the payment is paid.
 */
import { append, readStream } from '@rastro/event-store';
import type { Logger, Sql, Transaction } from '@rastro/runtime';
import { exchangeClocks, markSurplus, takeStrayQuestion } from './adapters/charge-attempts.ts';
import { isOpen, lockCharge, markMoved, type OpenCharge } from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import type { ChooseGateway } from './adapters/gateways.ts';
import type { Metrics } from './adapters/metrics.ts';
import { type ChargeReport, disproofOf, hasMoney } from './core/gateway.ts';
import {
  decide,
  evolve,
  initialState,
  isAwaitingMoney,
  type PaymentEvent,
} from './core/payment.ts';
import { streamOf, wrap } from './observing.ts';

export interface StrayingOptions {
  readonly sql: Sql;
  readonly chooseGateway: ChooseGateway;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export interface Stray {
  /** The one that the customer was shown. */
  readonly charge: OpenCharge;
  readonly accountId: string;
  readonly chargeId: string | null;
  /** We had this id from the gateway itself, so it need not hand back our reference. */
  readonly isKnown: boolean;
}

export type StrayFinding =
  /** The payment is paid by it. */
  | 'accepted'
  /** It was paid, and the payment needs no money any more. */
  | 'surplus'
  /** Nothing to do: it ended without money, or is the payment's own charge by now. */
  | 'nothing'
  | 'not_yet'
  | 'not_found'
  | 'mismatch';

export interface StrayAnswer {
  readonly finding: StrayFinding;
  /** Null when the gateway knows no such charge. */
  readonly report: ChargeReport | null;
  /** Why it is not what we asked for, with a mismatch; else null. */
  readonly disproof: string | null;
}

/** The gateway's terms forbid to ask again so soon; its answer of just now was another question's. */
export class StrayAskedError extends GatewayError {
  readonly retryInMs: number;

  constructor(retryInMs: number) {
    super('asked less than a minute ago');
    this.name = 'StrayAskedError';
    this.retryInMs = retryInMs;
  }
}

/**
 * @throws {GatewayError} when the gateway cannot be asked right now, and as a
 * {@link StrayAskedError} when it may not.
 */
export type AskAboutStray = (stray: Stray, causationId: string) => Promise<StrayAnswer>;

export function createAskAboutStray(options: StrayingOptions): AskAboutStray {
  const { sql, chooseGateway, metrics, log } = options;
  return async (stray, causationId) => {
    const { charge, accountId, chargeId, isKnown } = stray;
    const { paymentId, amountCents, currency } = charge;
    const missing = { finding: 'not_found', report: null, disproof: null } as const;
    if (chargeId === null) return missing;
    const choice = chooseGateway(accountId);
    if (!choice.ok) throw new GatewayError(choice.message);
    const { kind, requeryIntervalMs } = choice.gateway;
    const mayAsk = await takeStrayQuestion(sql, { paymentId, accountId }, requeryIntervalMs);
    if (!mayAsk) throw new StrayAskedError(requeryIntervalMs);
    const report = await choice.gateway.getCharge(chargeId);
    if (report === null) return missing;
    // Another account, so another receiver; but play money never pays for a real charge.
    const { isTestMode } = charge.opened;
    const what = { reference: paymentId, amountCents, currency };
    const expected = { chargeId, ...what, receiver: null, isTestMode };
    const isUnproven = report.reference === null && !isKnown;
    const disproof = isUnproven ? 'the reference is not told' : disproofOf(expected, report);
    if (disproof !== null) {
      metrics.mismatches.inc({ kind, source: 'gateway' });
      log.error({ paymentId, accountId, disproof }, 'a stray charge is not what we asked for');
      return { finding: 'mismatch', report, disproof };
    }
    if (!hasMoney(report.status)) {
      const finding = report.status === 'pending' ? 'not_yet' : 'nothing';
      return { finding, report, disproof };
    }
    const found = await sql.begin((tx) => record(tx, { ...stray, report, causationId }));
    const { finding, isNews } = found;
    if (finding === 'nothing' || !isNews) return { finding, report, disproof };
    metrics.strays.inc({ kind, outcome: finding });
    if (finding === 'accepted') metrics.payments.inc({ status: 'paid' });
    const line = { paymentId, accountId, chargeId, shownAccountId: charge.accountId };
    log.error(line, alarms[finding]);
    return { finding, report, disproof };
  };
}

const alarms = {
  accepted: 'a charge was paid that no customer was shown; it counts for its payment',
  surplus: 'a second charge of one payment was paid; give the money back',
} as const;

async function record(
  tx: Transaction,
  of: Stray & { readonly report: ChargeReport; readonly causationId: string },
): Promise<{ readonly finding: 'accepted' | 'surplus' | 'nothing'; readonly isNews: boolean }> {
  const { accountId, report, causationId } = of;
  const { paymentId, workspaceId } = of.charge;
  const { chargeId: gatewayChargeId } = report;
  const charge = await lockCharge(tx, paymentId);
  const isOwn =
    isOpen(charge) &&
    charge.accountId === accountId &&
    charge.opened.gatewayChargeId === gatewayChargeId;
  if (isOwn) return { finding: 'nothing', isNews: false };
  const history = (await readStream(tx, streamOf(paymentId))) as unknown as PaymentEvent[];
  const state = history.reduce(evolve, initialState);
  if (!isAwaitingMoney(state)) {
    const key = { paymentId, accountId, chargeId: gatewayChargeId };
    return { finding: 'surplus', isNews: await markSurplus(tx, key) };
  }
  const at = new Date().toISOString();
  const events = decide(state, { type: 'observe', report, accountId, proof: 'requery', at });
  const circumstances = { workspaceId, time: at, causationId };
  await append(tx, {
    streamId: streamOf(paymentId),
    expectedVersion: history.length,
    events: events.map((event) => wrap(event, circumstances)),
  });
  const after = events.reduce(evolve, state);
  const status = after.status === 'none' ? charge.status : after.status;
  await exchangeClocks(tx, { paymentId, accountId });
  const { receiver, isTestMode } = report;
  const place = { accountId, gatewayChargeId, receiver, isTestMode };
  await markMoved(tx, paymentId, { ...place, status });
  return { finding: 'accepted', isNews: true };
}
