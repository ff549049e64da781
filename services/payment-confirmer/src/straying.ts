/**
 * Charges that were made for a payment besides the one that the customer was shown: an answer came
 * too late, and the next account was asked. Should one be paid all the same, the payment is paid.
 */
import { append, readStream } from '@rastro/event-store';
import type { Logger, Sql, Transaction } from '@rastro/runtime';
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

/** @throws {GatewayError} when the gateway cannot be asked right now. */
export type ObserveStray = (stray: Stray, causationId: string) => Promise<StrayFinding>;

export function createObserveStray(options: StrayingOptions): ObserveStray {
  const { sql, chooseGateway, metrics, log } = options;
  return async (stray, causationId) => {
    const { charge, accountId, chargeId, isKnown } = stray;
    if (chargeId === null) return 'not_found';
    const choice = chooseGateway(accountId);
    if (!choice.ok) throw new GatewayError(choice.message);
    const { kind } = choice.gateway;
    const report = await choice.gateway.getCharge(chargeId);
    if (report === null) return 'not_found';
    const { paymentId, amountCents, currency } = charge;
    const unknown = { receiver: null, isTestMode: null };
    const expected = { chargeId, reference: paymentId, amountCents, currency, ...unknown };
    const isUnproven = report.reference === null && !isKnown;
    const disproof = isUnproven ? 'the reference is not told' : disproofOf(expected, report);
    if (disproof !== null) {
      metrics.mismatches.inc({ kind, source: 'gateway' });
      log.error({ paymentId, accountId, disproof }, 'a stray charge is not what we asked for');
      return 'mismatch';
    }
    if (!hasMoney(report.status)) return report.status === 'pending' ? 'not_yet' : 'nothing';
    const finding = await sql.begin((tx) => record(tx, { ...stray, report, causationId }));
    if (finding === 'nothing') return finding;
    metrics.strays.inc({ kind, outcome: finding });
    if (finding === 'accepted') metrics.payments.inc({ status: 'paid' });
    const line = { paymentId, accountId, chargeId, shownAccountId: charge.accountId };
    log.error(line, alarms[finding]);
    return finding;
  };
}

const alarms = {
  accepted: 'a charge was paid that no customer was shown; it counts for its payment',
  surplus: 'a second charge of one payment was paid; give the money back',
} as const;

async function record(
  tx: Transaction,
  of: Stray & { readonly report: ChargeReport; readonly causationId: string },
): Promise<'accepted' | 'surplus' | 'nothing'> {
  const { accountId, report, causationId } = of;
  const { paymentId, workspaceId } = of.charge;
  const { chargeId: gatewayChargeId } = report;
  const charge = await lockCharge(tx, paymentId);
  const isOwn =
    isOpen(charge) &&
    charge.accountId === accountId &&
    charge.opened.gatewayChargeId === gatewayChargeId;
  if (isOwn) return 'nothing';
  const history = (await readStream(tx, streamOf(paymentId))) as unknown as PaymentEvent[];
  const state = history.reduce(evolve, initialState);
  if (!isAwaitingMoney(state)) return 'surplus';
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
  await markMoved(tx, paymentId, { accountId, gatewayChargeId, status });
  return 'accepted';
}
