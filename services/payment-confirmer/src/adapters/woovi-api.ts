/**
 * Woovi's charges, refunds and transactions (https://developers.woovi.com/api; the shapes are of its
 * OpenAPI document, github.com/Open-Pix/openpix-developers, src/swaggers/openpix.yml).
 */
import { decoder } from '@rastro/events';
import Type, { type Static } from 'typebox';
import type { ChargeOrder, ChargeReport, Opening, PaymentStatus } from '../core/gateway.ts';
import {
  type GatewayAnswer,
  GatewayError,
  type GatewayRequest,
  isoTime,
  readAnswer,
} from './gateway-http.ts';

const Maybe = <T extends Type.TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));
const Id = Type.String({ minLength: 1, maxLength: 256 });
const ShortText = Type.String({ maxLength: 256 });
const Cents = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const Charge = Type.Object({
  correlationID: Id,
  value: Cents,
  status: ShortText,
  paidAt: Maybe(ShortText),
  brCode: Maybe(Type.String({ maxLength: 1024 })),
  expiresDate: Maybe(ShortText),
});
const readChargeAnswer = decoder(Type.Object({ charge: Charge }));
const readRefunds = decoder(
  Type.Object({
    refunds: Type.Array(Type.Object({ status: ShortText, value: Cents })),
    pageInfo: Maybe(Type.Object({ hasNextPage: Maybe(Type.Boolean()) })),
  }),
);
const readTransaction = decoder(
  Type.Object({ transaction: Type.Object({ charge: Maybe(Type.Object({ correlationID: Id })) }) }),
);

const statuses: Readonly<Record<string, PaymentStatus>> = {
  ACTIVE: 'pending',
  COMPLETED: 'paid',
  EXPIRED: 'expired',
};

/** Asks with the account's AppID; `path` is after `/api/v1`. */
export type Ask = (
  request: Omit<GatewayRequest, 'url' | 'headers'> & { readonly path: string },
) => Promise<GatewayAnswer>;

const chargePath = (chargeId: string) => `/charge/${encodeURIComponent(chargeId)}`;

/** @throws {GatewayError} for a refusal that says nothing about the charge, e.g. of our AppID. */
export function told(answer: GatewayAnswer): unknown {
  if (answer.kind === 'ok') return answer.json;
  throw new GatewayError(`the gateway answered ${answer.status}, ${answer.problem}`);
}

/** The same, but null where there is no such thing: its documentation knows 400 for that. */
function toldOrNull(answer: GatewayAnswer): unknown {
  const isUnknown = answer.kind === 'refused' && (answer.status === 400 || answer.status === 404);
  return isUnknown ? null : told(answer);
}

/** The webhook's address is not part of it: it is entered once in Woovi's panel. */
export async function createCharge(
  ask: Ask,
  order: ChargeOrder,
  timeoutMs: number,
): Promise<Opening> {
  if (order.currency !== 'BRL') return { ok: false, reason: `it has no ${order.currency}` };
  const answer = await ask({
    method: 'POST',
    path: '/charge?return_existing=true',
    body: {
      correlationID: order.paymentId,
      value: order.amountCents,
      comment: order.description,
      expiresIn: order.expiresInSeconds,
    },
    timeoutMs,
  });
  if (answer.kind === 'refused') {
    return { ok: false, reason: `${answer.status}, ${answer.problem}` };
  }
  const { charge } = readAnswer(readChargeAnswer, answer.json);
  const expiresAt = isoTime(charge.expiresDate);
  if (expiresAt === null) return { ok: false, reason: 'its expiry is no time' };
  const { brCode: pixCode } = charge;
  if (!pixCode) return { ok: false, reason: 'it has no PIX code' };
  return { ok: true, charge: { ...reportOf(charge, 0), pixCode, expiresAt } };
}

export async function getCharge(ask: Ask, chargeId: string): Promise<ChargeReport | null> {
  const json = toldOrNull(await ask({ method: 'GET', path: chargePath(chargeId) }));
  if (json === null) return null;
  const { charge } = readAnswer(readChargeAnswer, json);
  // A charge stays COMPLETED whatever is given back.
  const isPaid = charge.status === 'COMPLETED';
  return reportOf(charge, isPaid ? await refundedCents(ask, chargeId) : 0);
}

const pageSize = 100;
const maxPages = 10;

/** Of all refunds that have arrived: one that is IN_PROCESSING may still be REJECTED. */
async function refundedCents(ask: Ask, chargeId: string): Promise<number> {
  let cents = 0;
  let skip = 0;
  for (let page = 0; page < maxPages; page += 1) {
    const path = `${chargePath(chargeId)}/refund?skip=${skip}&limit=${pageSize}`;
    const json = toldOrNull(await ask({ method: 'GET', path }));
    if (json === null) return cents;
    const { refunds, pageInfo } = readAnswer(readRefunds, json);
    for (const { status, value } of refunds) cents += status === 'CONFIRMED' ? value : 0;
    skip += refunds.length;
    if (pageInfo?.hasNextPage !== true || refunds.length === 0) return cents;
  }
  throw new GatewayError(`the gateway lists more than ${skip} refunds of one charge`);
}

function reportOf(charge: Static<typeof Charge>, refunded: number): ChargeReport {
  const { correlationID, value, status, brCode } = charge;
  const known = Object.hasOwn(statuses, status) ? statuses[status] : undefined;
  const back = refunded >= value ? 'refunded' : 'partially_refunded';
  return {
    chargeId: correlationID,
    reference: correlationID,
    amountCents: value,
    // It has no other, and so does not say.
    currency: 'BRL',
    status: known === 'paid' && refunded > 0 ? back : (known ?? 'unknown'),
    statusAtGateway: status,
    paidAt: isoTime(charge.paidAt),
    endToEndId: null,
    refundedCents: refunded,
    receiver: null,
    // A test account's code is the address of a page that pays it.
    isTestMode: brCode ? /^https?:\/\//.test(brCode) : null,
  };
}

/** Only for payments to our own account: nobody else's are shown to our AppID. */
export async function chargeIdOf(ask: Ask, endToEndId: string): Promise<string | null> {
  const path = `/transaction/${encodeURIComponent(endToEndId)}`;
  const json = toldOrNull(await ask({ method: 'GET', path }));
  if (json === null) return null;
  return readAnswer(readTransaction, json).transaction.charge?.correlationID ?? null;
}

/**
 * Its `correlationID` is the idempotency key of the refund. What has arrived before is part of it:
 * whoever asks again while the first is under way gets the first, and a later one is another.
 */
export async function refund(
  ask: Ask,
  chargeId: string,
  amountCents: number,
): Promise<ChargeReport> {
  const before = await refundedCents(ask, chargeId);
  const correlationID = `${chargeId}-${before}-${amountCents}`;
  const body = { correlationID, value: amountCents, comment: 'Reembolso' };
  told(await ask({ method: 'POST', path: `${chargePath(chargeId)}/refund`, body }));
  const report = await getCharge(ask, chargeId);
  if (report === null) throw new GatewayError(`the gateway no longer knows charge ${chargeId}`);
  return report;
}
