/**
 * Goal: a payment is paid at most once, late money is accepted and marked, ends are final.
 * Method: given/when/then for each way; then any sequence of gateway facts, twice and in any order.
 */
import { paymentStatuses } from '@rastro/events';
import { specification } from '@rastro/testing';
import fc from 'fast-check';
import { deepEqual } from 'node:assert/strict';
import t from 'tap';
import type { ChargeReport } from '../../src/core/gateway.ts';
import {
  type Command,
  contradictionIn,
  decide,
  evolve,
  initialState,
  type PaymentEvent,
  type PaymentSubject,
  type State,
} from '../../src/core/payment.ts';

const subject: PaymentSubject = {
  paymentId: '019aa0f0-0000-7000-8000-000000000002',
  checkoutId: '019aa0f0-0000-7000-8000-000000000003',
  accountId: 'pix-sandbox',
  botId: 'bot-a',
  poolId: 'promo',
  trackingToken: '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c',
  leadId: null,
  telegramUserId: 700100200,
  productId: 'ebook',
  productName: 'E-book',
  amountCents: 1990,
  currency: 'BRL',
};
const createdAt = '2026-11-20T12:00:00.000Z';
const inTime = '2026-11-20T12:10:00.000Z';
const expiresAt = '2026-11-20T12:30:00.000Z';
const after = '2026-11-20T12:40:00.000Z';

const created: PaymentEvent = {
  type: 'PaymentCreated',
  data: {
    ...subject,
    gateway: 'standard-webhooks',
    gatewayChargeId: 'chg_1',
    pixCode: '000201',
    checkoutNotice: null,
    createdAt,
    expiresAt,
  },
};
const paid = (at = inTime, isLate = false): PaymentEvent => ({
  type: 'PaymentPaid',
  data: {
    ...subject,
    paidAt: at,
    confirmedAt: at,
    endToEndId: 'E1',
    isLate,
    proof: 'requery',
  },
});
const expired: PaymentEvent = { type: 'PaymentExpired', data: { ...subject, expiredAt: after } };
const refunded = (cents: number, at = inTime): PaymentEvent => ({
  type: 'PaymentRefunded',
  data: { ...subject, totalRefundedCents: cents, isPartial: cents < 1990, refundedAt: at },
});
const disputed = (isOpen: boolean): PaymentEvent => ({
  type: 'PaymentDisputed',
  data: { ...subject, isOpen, disputedAt: inTime },
});
const chargedBack: PaymentEvent = {
  type: 'PaymentChargedBack',
  data: { ...subject, chargedBackAt: inTime },
};
const refused = (outcome: 'refused' | 'cancelled'): PaymentEvent => ({
  type: 'PaymentRefused',
  data: { ...subject, reason: `${outcome} at the gateway`, outcome, refusedAt: inTime },
});

const report = (
  status: ChargeReport['status'],
  overrides: Partial<ChargeReport> = {},
): ChargeReport => ({
  chargeId: 'chg_1',
  reference: subject.paymentId,
  amountCents: 1990,
  currency: 'BRL',
  status,
  statusAtGateway: status,
  paidAt: null,
  endToEndId: 'E1',
  refundedCents: null,
  receiver: null,
  isTestMode: null,
  ...overrides,
});
const observe = (
  status: ChargeReport['status'],
  at = inTime,
  overrides: Partial<ChargeReport> = {},
): Command => ({ type: 'observe', report: report(status, overrides), proof: 'requery', at });

const { given } = specification<State, Command, PaymentEvent>({ initialState, evolve, decide });

await t.test('a charge that was opened', async (t) => {
  t.doesNotThrow(() => {
    given()
      .when({ type: 'create', data: created.data as never })
      .expect(created);
    given(created)
      .when({ type: 'create', data: created.data as never })
      .expect();
    given(created).when(observe('pending')).expect();
    given(created).when(observe('paid')).expect(paid());
    given(created).when(observe('cancelled')).expect(refused('cancelled'));
    given(created).when(observe('refused')).expect(refused('refused'));
    given(created).when(observe('unknown')).expect();
    given().when(observe('paid')).expect();
  });
});

await t.test('time: expiry only once it is over, late money is marked, no future', async (t) => {
  t.doesNotThrow(() => {
    given(created).when(observe('pending', after)).expect(expired);
    given(created).when(observe('expired', after)).expect(expired);
    given(created, expired).when(observe('pending', after)).expect();
    // The gateway knows it no longer, or says what cannot be believed.
    given(created).when({ type: 'wait', at: inTime }).expect();
    given(created).when({ type: 'wait', at: after }).expect(expired);
    given(created, paid()).when({ type: 'wait', at: after }).expect();
    given().when({ type: 'wait', at: after }).expect();
    given(created, expired).when(observe('paid', after)).expect(paid(after, true));
    // Paid in time, heard of late: the payer did nothing wrong, but we had said it was over.
    const early = paid(after, true);
    const heardLate = { ...early, data: { ...early.data, paidAt: inTime } } as PaymentEvent;
    given(created, expired)
      .when(observe('paid', after, { paidAt: inTime }))
      .expect(heardLate);
    const inFuture = observe('paid', inTime, { paidAt: '2031-01-01T00:00:00.000Z' });
    given(created).when(inFuture).expect(paid());
  });
});

await t.test('money at another account than the one that was shown', async (t) => {
  const elsewhere = { accountId: 'pix-second' };
  const at = (event: PaymentEvent) =>
    ({ ...event, data: { ...event.data, ...elsewhere } }) as PaymentEvent;
  const stray = { ...observe('paid'), ...elsewhere };
  t.doesNotThrow(() => {
    given(created).when(stray).expect(at(paid()));
    given(created, expired)
      .when({ ...observe('paid', after), ...elsewhere })
      .expect(at(paid(after, true)));
    given(created, at(paid())).when(stray).expect();
    // Whatever comes later is said of the account that has the money.
    given(created, at(paid()))
      .when(observe('refunded'))
      .expect(at(refunded(1990)));
    given(created, at(paid()))
      .when(observe('disputed'))
      .expect(at(disputed(true)));
  });
});

await t.test('money that goes back', async (t) => {
  t.doesNotThrow(() => {
    const partial = observe('partially_refunded', inTime, { refundedCents: 500 });
    given(created, paid()).when(partial).expect(refunded(500));
    given(created, paid(), refunded(500)).when(partial).expect();
    given(created, paid(), refunded(500)).when(observe('refunded')).expect(refunded(1990));
    given(created, paid(), refunded(500)).when(observe('disputed')).expect(disputed(true));
    given(created, paid()).when(observe('disputed')).expect(disputed(true));
    given(created, paid(), disputed(true)).when(observe('disputed')).expect();
    given(created, paid(), disputed(true)).when(observe('paid')).expect(disputed(false));
    given(created, paid(), disputed(true)).when(observe('charged_back')).expect(chargedBack);
    given(created, paid(), chargedBack).when(observe('refunded')).expect();
    given(created, paid(), refunded(1990)).when(observe('paid')).expect();
    const reopened = [created, paid(), refunded(500), disputed(true)];
    given(...reopened)
      .when(partial)
      .expect(disputed(false));
    // Part of it goes back while the dispute is open, in either order of hearing of it.
    const half = { refundedCents: 500 };
    const inDispute = observe('disputed', inTime, half);
    given(created, paid(), disputed(true)).when(inDispute).expect(refunded(500));
    given(created, paid()).when(inDispute).expect(refunded(500), disputed(true));
    given(created, paid(), disputed(true))
      .when(observe('paid', inTime, half))
      .expect(disputed(false), refunded(500));
    given(created, paid(), disputed(true), refunded(500))
      .when(observe('paid', inTime, half))
      .expect(disputed(false));
    given(created, paid(), disputed(true))
      .when(observe('charged_back', inTime, half))
      .expect(refunded(500), chargedBack);
    // Nobody says how much: nothing is made up.
    given(created, paid()).when(observe('partially_refunded')).expect();
    // Nothing was heard between the opening and the refund.
    given(created).when(observe('refunded')).expect(paid(), refunded(1990));
    given(created).when(observe('disputed')).expect(paid(), disputed(true));
  });
  const settled = [created, paid(), refunded(500), disputed(true), disputed(false)];
  t.equal(settled.reduce(evolve, initialState).status, 'partially_refunded');
});

await t.test('what cannot be is told, and changes nothing', async (t) => {
  const cancelled = [created, refused('cancelled')].reduce(evolve, initialState);
  t.equal(cancelled.status, 'cancelled');
  t.match(contradictionIn(cancelled, report('paid')), /although it is cancelled/);
  t.same(decide(cancelled, observe('paid')), []);
  const odd = report('unknown', { statusAtGateway: 'on_hold' });
  t.match(contradictionIn(cancelled, odd), /on_hold/);
  t.equal(contradictionIn([created].reduce(evolve, initialState), report('paid')), null);
});

await t.test('any facts, in any order and number', async (t) => {
  const statuses = [...paymentStatuses, 'unknown'] as const;
  const final = ['cancelled', 'refused', 'refunded', 'charged_back'];
  const fact = fc.record({
    status: fc.constantFrom(...statuses),
    minute: fc.integer({ min: 0, max: 59 }),
    refundedCents: fc.option(fc.integer({ min: 0, max: 1990 })),
  });
  const property = fc.property(fc.array(fact, { maxLength: 30 }), fc.boolean(), (facts, twice) => {
    const history: PaymentEvent[] = [created];
    for (const { status, minute, refundedCents } of twice ? [...facts, ...facts] : facts) {
      const before = history.reduce(evolve, initialState);
      const at = `2026-11-20T12:${String(minute).padStart(2, '0')}:00.000Z`;
      const command = observe(status, at, { refundedCents });
      const events = decide(before, command);
      if (final.includes(before.status)) deepEqual(events, [], `${before.status} is final`);
      history.push(...events);
      // The same fact again is no news.
      deepEqual(decide(history.reduce(evolve, initialState), command), []);
    }
    const types = history.map((event) => event.type);
    const payments = types.filter((type) => type === 'PaymentPaid').length;
    const money = types.findIndex((type) => /Refunded|Disputed|ChargedBack/.test(type));
    const totals = history.flatMap((event) =>
      event.type === 'PaymentRefunded' ? [event.data.totalRefundedCents] : [],
    );
    return (
      payments <= 1 &&
      types.filter((type) => type === 'PaymentExpired').length <= 1 &&
      (money === -1 || types.indexOf('PaymentPaid') < money) &&
      (money === -1 || payments === 1) &&
      totals.every((total, index) => total >= (totals[index - 1] ?? 0))
    );
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 1_000 }));
});
