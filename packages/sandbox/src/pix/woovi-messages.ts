/**
 * What Woovi says of a charge, in answers and in webhooks
 * (https://developers.woovi.com/docs/webhook/examples). The people in it are made up.
 */
import { randomBytes } from 'node:crypto';
import type { Charge, News, Refund } from './charge.ts';
import type { WebhookMessage } from './vendor.ts';

/** 32 hex digits: `identifier` and `transactionID` of a charge. */
export const newIdentifier = (): string => randomBytes(16).toString('hex');

const payer = {
  name: 'Pagador de Teste',
  email: 'pagador@example.com',
  phone: '+5511999999999',
  taxID: { taxID: '12345678909', type: 'BR:CPF' },
  correlationID: '9134e286-6f71-427a-bf00-241681624586',
};
const company = { id: '624f46f9e93f9f521c8308d7', name: 'Loja de Teste', taxID: '11222333000181' };
const account = { clientId: 'ZOJ64B9B-ZM1W-89MI-4UCI-OP2LVIU6NY75' };

const iso = (ms: number): string => new Date(ms).toISOString();
const globalIdOf = (type: string, id: string) => Buffer.from(`${type}:${id}`).toString('base64');

/** What came in stays COMPLETED, whatever goes back. */
function statusOf({ status }: Charge): string {
  if (status === 'pending') return 'ACTIVE';
  return status === 'expired' || status === 'cancelled' ? 'EXPIRED' : 'COMPLETED';
}

export function chargeOf(charge: Charge): Record<string, unknown> {
  const { id, createdAtMs, expiresAtMs, paidAtMs, amountCents } = charge;
  const linkId = `${id.slice(0, 8)}-${id.slice(8, 12)}`;
  const paid = paidAtMs === null ? {} : { paidAt: iso(paidAtMs), payer };
  return {
    customer: null,
    value: amountCents,
    comment: charge.description,
    identifier: id,
    correlationID: charge.externalReference,
    paymentLinkID: linkId,
    transactionID: id,
    status: statusOf(charge),
    additionalInfo: [],
    discount: 0,
    valueWithDiscount: amountCents,
    expiresDate: iso(expiresAtMs),
    type: 'DYNAMIC',
    createdAt: iso(createdAtMs),
    updatedAt: iso(paidAtMs ?? createdAtMs),
    ...paid,
    expiresIn: Math.round((expiresAtMs - createdAtMs) / 1_000),
    pixKey: 'd65032a3-0c0c-4b5e-9e5b-0a3a3c1b2d4e',
    brCode: charge.pixCode,
    paymentLinkUrl: `https://woovi.test/pay/${linkId}`,
    qrCodeImage: `https://woovi.test/openpix/charge/brcode/image/${linkId}.png`,
    globalID: globalIdOf('Charge', id),
  };
}

export function refundOf(
  { id, cents, atMs }: Refund,
  status: 'IN_PROCESSING' | 'CONFIRMED',
): Record<string, unknown> {
  const endToEndId = `D54811417${iso(atMs).replaceAll(/\D/g, '').slice(0, 12)}refund${cents}`;
  return { status, value: cents, correlationID: id, endToEndId, time: iso(atMs) };
}

/** Of the payment itself; null while there is none. */
export function transactionOf(charge: Charge): Record<string, unknown> | null {
  const { id, paidAtMs, endToEndId } = charge;
  if (paidAtMs === null || endToEndId === null) return null;
  return {
    customer: null,
    payer,
    charge: chargeOf(charge),
    infoPagador: 'OpenPix testing',
    value: charge.amountCents,
    time: iso(paidAtMs),
    transactionID: id,
    type: 'PAYMENT',
    status: 'CONFIRMED',
    endToEndId,
    globalID: globalIdOf('PixTransaction', id),
  };
}

/** Two for one payment; none where no address was entered in the panel. */
export function messagesOf(charge: Charge, news: News): readonly WebhookMessage[] {
  return charge.callbackUrl === '' ? [] : bodiesOf(charge, news).map(messageOf);
}

function messageOf(body: { readonly event: string }): WebhookMessage {
  return { type: body.event, body: JSON.stringify(body), contentType: 'application/json' };
}

function bodiesOf(charge: Charge, news: News) {
  const told = chargeOf(charge);
  switch (news) {
    case 'charge.created':
      return [{ event: 'OPENPIX:CHARGE_CREATED', charge: told, company, account: {} }];
    case 'charge.expired':
      return [{ event: 'OPENPIX:CHARGE_EXPIRED', charge: told, company }];
    case 'charge.paid': {
      const pix = transactionOf(charge);
      const rest = { charge: told, pix, company, account };
      return [
        { event: 'OPENPIX:CHARGE_COMPLETED', ...rest },
        { event: 'OPENPIX:TRANSACTION_RECEIVED', ...rest, pixQrCode: null, refunds: [] },
      ];
    }
    case 'charge.refunded':
      return [refundSent(charge)];
    case 'charge.disputed':
      return [{ event: 'OPENPIX:DISPUTE_CREATED', dispute: disputeOf(charge) }];
    case 'charge.dispute_won':
      return [{ event: 'OPENPIX:DISPUTE_REJECTED', dispute: disputeOf(charge) }];
    case 'charge.dispute_lost':
      return [{ event: 'OPENPIX:DISPUTE_ACCEPTED', dispute: disputeOf(charge) }];
  }
}

function refundSent(charge: Charge) {
  const last = charge.refunds.at(-1);
  const party = { holder: { name: payer.name, taxID: payer.taxID } };
  return {
    event: 'PIX_TRANSACTION_REFUND_SENT_CONFIRMED',
    refundTransaction: {
      ...(last && refundOf(last, 'CONFIRMED')),
      type: 'REFUND',
      creditParty: party,
      partial: charge.status === 'partially_refunded',
    },
    originalTransaction: { ...transactionOf(charge), charge: undefined, debitParty: party },
    company,
    account,
  };
}

/** One that the seller lost was "accepted". */
const disputeStatuses = { open: 'OPENED', won: 'REJECTED', lost: 'ACCEPTED' } as const;

/** It names the payment, and not the charge; null where there is none. */
export function disputeOf(charge: Charge): Record<string, unknown> | null {
  const { dispute, endToEndId, amountCents: value } = charge;
  if (dispute === undefined) return null;
  const { name, email, phone: phoneNumber } = payer;
  const people = { name, email, phoneNumber };
  const status = disputeStatuses[dispute];
  return { status, endToEndId, ...people, value, disputeReason: 'Golpe' };
}
