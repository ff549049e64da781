/**
 * Woovi's charges, refunds and transactions (https://developers.woovi.com/api; the shapes are of its
 * OpenAPI document, github.com/Open-Pix/openpix-developers, src/swaggers/openpix.yml).
 */
import { decoder } from '@rastro/events';
import Type, { type Static } from 'typebox';
import type { ChargeOrder, ChargeReport, Opening } from '../core/gateway.ts';
import {
  type GatewayAnswer,
  GatewayError,
  type GatewayRequest,
  isoTime,
  readAnswer,
  reasonOf,
  told,
} from './gateway-http.ts';
import { Cents, Id, Maybe, ShortText, statusIn, type Statuses } from './shapes.ts';

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

const readTransactions = decoder(
  Type.Object({
    transactions: Type.Array(
      Type.Object({
        type: Maybe(ShortText),
        endToEndId: Maybe(ShortText),
        charge: Maybe(Type.Object({ correlationID: Maybe(ShortText) })),
      }),
    ),
  }),
);
const readDispute = decoder(
  Type.Object({ dispute: Type.Object({ status: ShortText, endToEndId: Id }) }),
);

const statuses: Statuses = new Map([
  ['ACTIVE', 'pending'],
  ['COMPLETED', 'paid'],
  ['EXPIRED', 'expired'],
]);

/**
 * …/docs/disputa/dispute-get-payload and …/docs/webhook/examples: what became of the money. One that
 * was accepted is lost for the seller; "em revisão" and "aberta" are both open.
 */
const disputeStatuses: Statuses = new Map([
  ['OPENED', 'disputed'],
  ['IN_REVIEW', 'disputed'],
  ['ACCEPTED', 'charged_back'],
  ['REJECTED', 'paid'],
  ['CANCELED', 'paid'],
]);

/** Asks with the account's AppID; `path` is after `/api/v1`. */
export type Ask = (
  request: Omit<GatewayRequest, 'url' | 'headers'> & { readonly path: string },
) => Promise<GatewayAnswer>;

const chargePath = (chargeId: string) => `/charge/${encodeURIComponent(chargeId)}`;

/**
 * Null where there is no such thing. Its documentation knows 400 for that as well as 404, and 400 for
 * much else: only one that says so counts.
 */
function toldIfAny(answer: GatewayAnswer): unknown {
  const isUnknown =
    answer.kind === 'refused' &&
    (answer.status === 404 ||
      (answer.status === 400 && absence.test(answer.problem) && !ours.test(answer.problem)));
  return isUnknown ? null : told(answer);
}

const absence = /n[ãa]o (foi )?encontrad|n[ãa]o existe|not found|not exist/i;
/** What is missing then is not what was asked about. */
const ours = /app|aplica|conta\b|account|empresa|company/i;

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
  if (answer.kind === 'refused') return { ok: false, reason: reasonOf(answer) };
  const { charge } = readAnswer(readChargeAnswer, answer.json);
  const expiresAt = isoTime(charge.expiresDate);
  if (expiresAt === null) return { ok: false, reason: 'its expiry is no time' };
  const { brCode: pixCode } = charge;
  if (!pixCode) return { ok: false, reason: 'it has no PIX code' };
  return { ok: true, charge: { ...reportOf(charge, 0), pixCode, expiresAt } };
}

export async function getCharge(ask: Ask, chargeId: string): Promise<ChargeReport | null> {
  const json = toldIfAny(await ask({ method: 'GET', path: chargePath(chargeId) }));
  if (json === null) return null;
  const { charge } = readAnswer(readChargeAnswer, json);
  // A charge stays COMPLETED whatever is given back or disputed: four questions in all.
  if (charge.status !== 'COMPLETED') return reportOf(charge, 0);
  const [refunded, payment] = await Promise.all([
    refundedCents(ask, chargeId),
    paymentOf(ask, chargeId),
  ]);
  return withDispute(reportOf(charge, refunded), payment);
}

/** What is known of a charge's payment beside the charge itself. */
interface PaymentAtBank {
  readonly endToEndId: string | null;
  /** In Woovi's word; null while there was none. */
  readonly dispute: string | null;
}

/**
 * A test account's payments have no `endToEndId`, and neither has what was paid by other means than
 * PIX: there nobody can claim the money back at his bank.
 */
async function paymentOf(ask: Ask, chargeId: string): Promise<PaymentAtBank> {
  const query = new URLSearchParams({ charge: chargeId });
  const json = toldIfAny(await ask({ method: 'GET', path: `/transaction?${query.toString()}` }));
  const { transactions } =
    json === null ? { transactions: [] } : readAnswer(readTransactions, json);
  // Named once more in each of them: a filter that is not understood shows all there are.
  const paid = transactions.find(
    ({ type, endToEndId, charge }) =>
      endToEndId && charge?.correlationID === chargeId && (type ?? 'PAYMENT') === 'PAYMENT',
  );
  const endToEndId = paid?.endToEndId ?? null;
  return { endToEndId, dispute: endToEndId === null ? null : await disputeOf(ask, endToEndId) };
}

async function disputeOf(ask: Ask, endToEndId: string): Promise<string | null> {
  const path = `/dispute/${encodeURIComponent(endToEndId)}`;
  const json = toldIfAny(await ask({ method: 'GET', path }));
  if (json === null) return null;
  const { dispute } = readAnswer(readDispute, json);
  if (dispute.endToEndId !== endToEndId) {
    throw new GatewayError(`the gateway tells of another dispute than that of ${endToEndId}`);
  }
  return dispute.status;
}

/** Money that went back in whole is no longer in dispute. */
function withDispute(report: ChargeReport, { endToEndId, dispute }: PaymentAtBank): ChargeReport {
  const status = dispute === null ? 'paid' : statusIn(disputeStatuses, dispute);
  if (status === 'paid' || report.status === 'refunded') return { ...report, endToEndId };
  return { ...report, endToEndId, status, statusAtGateway: `dispute ${dispute}` };
}

const maxRefunds = 100;

/** Of all refunds that have arrived: one that is IN_PROCESSING may still be REJECTED. */
async function refundedCents(ask: Ask, chargeId: string): Promise<number> {
  const path = `${chargePath(chargeId)}/refund?skip=0&limit=${maxRefunds}`;
  const json = toldIfAny(await ask({ method: 'GET', path }));
  if (json === null) return 0;
  const { refunds, pageInfo } = readAnswer(readRefunds, json);
  if (pageInfo?.hasNextPage === true) {
    throw new GatewayError(
      `the gateway lists only ${refunds.length} refunds of charge ${chargeId}`,
    );
  }
  return refunds.reduce((sum, { status, value }) => sum + (status === 'CONFIRMED' ? value : 0), 0);
}

function reportOf(charge: Static<typeof Charge>, refunded: number): ChargeReport {
  const { correlationID, value, status, brCode } = charge;
  const known = statusIn(statuses, status);
  const back = refunded >= value ? 'refunded' : 'partially_refunded';
  return {
    chargeId: correlationID,
    reference: correlationID,
    amountCents: value,
    // It has no other, and so does not say.
    currency: 'BRL',
    status: known === 'paid' && refunded > 0 ? back : known,
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
  const json = toldIfAny(await ask({ method: 'GET', path }));
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
