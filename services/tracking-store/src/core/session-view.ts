/** A session as people and other programs are told it. */
import { clickView } from './click-view.ts';
import { conversionStatus } from './conversion-facts.ts';
import { paymentStatus } from './payment-facts.ts';
import type { Register } from './register.ts';
import type { BrowserSignals, SessionState } from './session.ts';

const told = <T>(register: Register<T>): T | null => register?.value ?? null;

export function viewSession(state: SessionState) {
  const { trackingToken, workspaceId, firstEventAt, lastEventAt, signals } = state;
  const payments = paymentViews(state);
  const conversions = conversionViews(state);
  return {
    trackingToken,
    workspaceId,
    firstEventAt,
    lastEventAt,
    ...identityOf(state),
    click: state.click ? clickView(state.click.value) : null,
    cookies: { bridge: signalsView(signals.bridge), delivery: signalsView(signals.delivery) },
    lead: told(state.lead),
    step: told(state.step),
    checkout: told(state.checkout),
    contact: told(state.contact),
    payment: mainPayment(payments),
    payments,
    deliveries: deliveryViews(state),
    pageView: ownPageView(conversions, trackingToken),
    purchase: mainOf(conversions.filter((c) => c.eventName === 'Purchase')),
    conversions,
  };
}

/**
 * The click's own cookies win: they were made for this very click. What a page's browser told
 * later fills what the click lacked, the bridge's before the delivery page's, since by then the
 * customer may have come through another ad.
 */
export function identityOf({ trackingToken, click, signals, lead }: SessionState) {
  const { bridge, delivery } = signals;
  const userExternalId = lead?.value.externalId ?? null;
  const externalIds = [
    ...(click?.value.externalIds ?? []),
    ...(userExternalId ? [userExternalId] : []),
  ];
  return {
    rootEventId: `evt_${trackingToken}`,
    fbclid: click?.value.fbclid || null,
    fbc: click?.value.fbc || told(bridge.fbc) || told(delivery.fbc),
    fbp: click?.value.fbp || told(bridge.fbp) || told(delivery.fbp),
    externalIds: [...new Set(externalIds)],
    /** SHA-256 of the Telegram user id, known from `/start` on. */
    userExternalId,
  };
}

const signalsView = (signals: BrowserSignals) => ({
  fbp: told(signals.fbp),
  fbc: told(signals.fbc),
  fbi: told(signals.fbi),
  clientIp: told(signals.clientIp),
  userAgent: told(signals.userAgent),
});

type PaymentView = ReturnType<typeof paymentViews>[number];

/** Oldest first. */
function paymentViews({ payments }: SessionState) {
  return Object.entries(payments)
    .map(([paymentId, facts]) => ({
      paymentId,
      status: paymentStatus(facts),
      checkoutId: facts.about?.value.checkoutId ?? null,
      productId: facts.about?.value.productId ?? null,
      productName: facts.about?.value.productName ?? null,
      amountCents: facts.about?.value.amountCents ?? null,
      currency: facts.about?.value.currency ?? null,
      gateway: facts.created?.value.gateway ?? null,
      createdAt: facts.created?.value.createdAt ?? null,
      expiresAt: facts.created?.value.expiresAt ?? null,
      paidAt: facts.paid?.value.paidAt ?? null,
      isLate: facts.paid?.value.isLate ?? false,
      refundedCents: facts.refunded?.value.totalRefundedCents ?? 0,
    }))
    .sort((a, b) => compare(keyOf(a), keyOf(b)));
}

const keyOf = (payment: { createdAt: string | null; paymentId: string }): string =>
  `${payment.createdAt ?? ''}/${payment.paymentId}`;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The newest that was paid, else the newest. */
function mainPayment(payments: readonly PaymentView[]): PaymentView | null {
  return payments.findLast((payment) => payment.paidAt !== null) ?? payments.at(-1) ?? null;
}

function deliveryViews({ deliveries }: SessionState) {
  return Object.entries(deliveries).map(([deliveryId, { issued, viewed }]) => ({
    deliveryId,
    paymentId: (issued ?? viewed)?.value.paymentId ?? null,
    issuedAt: issued?.value.issuedAt ?? null,
    firstViewedAt: viewed?.value.viewedAt ?? null,
  }));
}

type ConversionView = ReturnType<typeof conversionViews>[number];

function conversionViews({ conversions }: SessionState) {
  return Object.values(conversions).map((facts) => ({
    eventName: facts.about?.value.eventName ?? null,
    eventId: facts.about?.value.eventId ?? null,
    pixelId: facts.about?.value.pixelId ?? null,
    paymentId: facts.about?.value.paymentId ?? null,
    status: conversionStatus(facts),
    acceptedAt: facts.accepted?.value.acceptedAt ?? null,
    /** Unix seconds as Meta was told. */
    eventTime: facts.accepted?.value.eventTime ?? null,
    attempts: facts.accepted?.value.attempts ?? null,
    fbtraceId: facts.accepted?.value.fbtraceId ?? null,
    outcome: facts.outcome?.value ?? null,
  }));
}

/** The click's PageView, whichever pixel it went to. */
export function pageViewOf(state: SessionState): ConversionView | null {
  return ownPageView(conversionViews(state), state.trackingToken);
}

function ownPageView(conversions: readonly ConversionView[], trackingToken: string) {
  return mainOf(conversions.filter(({ eventId }) => eventId === `evt_${trackingToken}`));
}

/** The first that Meta accepted, else the last known. */
function mainOf(conversions: readonly ConversionView[]): ConversionView | null {
  const accepted = conversions
    .filter((conversion) => conversion.acceptedAt !== null)
    .sort((a, b) => compare(a.acceptedAt ?? '', b.acceptedAt ?? ''));
  return accepted[0] ?? conversions.at(-1) ?? null;
}
