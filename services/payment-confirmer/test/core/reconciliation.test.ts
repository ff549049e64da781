/**
 * Goal: what differs in money is told apart from what only has another name on either side.
 * Method: a table of our status and the gateway's, and amounts that went back.
 */
import { sampleEvent } from '@rastro/testing';
import t from 'tap';
import type { ChargeReport } from '../../src/core/gateway.ts';
import type { OpenPayment } from '../../src/core/payment.ts';
import {
  balanceAtGateway,
  balanceHere,
  balanceOfStray,
  isDifferent,
} from '../../src/core/reconciliation.ts';

const subject = sampleEvent('PaymentPaid').data;
const here = (status: OpenPayment['status'], refundedCents = 0): OpenPayment => ({
  status,
  subject,
  expiresAt: '2026-11-20T12:30:00.000Z',
  refundedCents,
});
const report = (status: ChargeReport['status'], refundedCents: number | null): ChargeReport => ({
  chargeId: 'chg_1',
  reference: null,
  amountCents: 1990,
  currency: 'BRL',
  status,
  statusAtGateway: status,
  paidAt: null,
  endToEndId: null,
  refundedCents,
  receiver: null,
  isTestMode: null,
});
function differs(ours: OpenPayment, status: ChargeReport['status'], refunded: number | null = 0) {
  const there = balanceAtGateway(report(status, refunded), ours);
  if (there === null) throw new Error('nobody knows');
  return isDifferent(balanceHere(ours), there);
}

await t.test('what stays with the seller', (t) => {
  const kept = (payment: OpenPayment) => balanceHere(payment).keptCents;
  t.same(
    (['pending', 'expired', 'cancelled', 'refused', 'refunded', 'charged_back'] as const).map(
      (status) => kept(here(status)),
    ),
    [0, 0, 0, 0, 0, 0],
  );
  t.equal(kept(here('paid')), 1990);
  t.equal(kept(here('disputed', 500)), 1490, 'in dispute, but not gone');
  t.equal(kept(here('partially_refunded', 5_000)), 0, 'never less than nothing');
  const there = balanceAtGateway(report('partially_refunded', null), here('paid', 300));
  t.equal(there?.keptCents, 1690, 'where the gateway does not say how much, as we know it');
  t.equal(balanceAtGateway(report('unknown', 0), here('paid')), null);
  const stray = (status: ChargeReport['status'], refundedCents: number | null) =>
    balanceOfStray(report(status, refundedCents), 1990)?.keptCents ?? null;
  t.equal(stray('paid', null), 1990);
  t.equal(stray('partially_refunded', 500), 1490);
  t.equal(stray('pending', 0), 0);
  t.equal(stray('unknown', 0), null);
  t.end();
});

await t.test('differs, or has only another name', (t) => {
  const [yes, no] = [true, false];
  for (const [ours, theirs, refunded, wanted] of [
    [here('pending'), 'pending', 0, no],
    [here('pending'), 'paid', 0, yes],
    [here('pending'), 'expired', 0, yes],
    [here('expired'), 'pending', 0, no],
    [here('expired'), 'cancelled', 0, no],
    [here('cancelled'), 'expired', 0, no],
    [here('expired'), 'paid', 0, yes],
    [here('expired'), 'refunded', 1990, yes],
    [here('refused'), 'paid', 0, yes],
    [here('paid'), 'paid', 0, no],
    [here('paid'), 'pending', 0, yes],
    [here('paid'), 'disputed', 0, yes],
    [here('disputed'), 'paid', 0, yes],
    [here('paid'), 'partially_refunded', 500, yes],
    [here('partially_refunded', 500), 'partially_refunded', 500, no],
    [here('partially_refunded', 500), 'partially_refunded', 600, yes],
    [here('refunded', 1990), 'charged_back', 0, no],
    [here('refunded', 1990), 'paid', 0, yes],
  ] as const) {
    t.equal(differs(ours, theirs, refunded), wanted, `${ours.status} here, ${theirs} there`);
  }
  t.end();
});
