/** Has a charge made at the gateway, the same one however often it is tried. */
import { append } from '@rastro/event-store';
import type { RequestProblem } from '@rastro/events';
import type { Logger, Sql } from '@rastro/runtime';
import { type Charge, isOpen, lockCharge, markOpen, type OpenCharge } from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import type { Account, ChooseGateway } from './adapters/gateways.ts';
import type { Metrics } from './adapters/metrics.ts';
import { brCodeProblem } from './core/br-code.ts';
import { disproofOf, type OpenedCharge } from './core/gateway.ts';
import { decide, initialState, subjectOf } from './core/payment.ts';
import { nextCheckMs, type Schedule } from './core/schedule.ts';
import { streamOf, wrap } from './observing.ts';

export interface OpeningOptions {
  readonly sql: Sql;
  readonly chooseGateway: ChooseGateway;
  readonly schedule: Schedule;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export type OpeningResult =
  | { readonly ok: true; readonly charge: OpenCharge }
  | { readonly ok: false; readonly error: RequestProblem };

/** Resolves with the open charge; those who ask for the same one at once share one attempt. */
export type OpenCharges = (charge: Charge) => Promise<OpeningResult>;

export function createOpenCharges(options: OpeningOptions): OpenCharges {
  const underWay = new Map<string, Promise<OpeningResult>>();
  return async (charge) => {
    if (isOpen(charge)) return { ok: true, charge };
    const { paymentId } = charge;
    const attempt =
      underWay.get(paymentId) ??
      openCharge(charge, options).finally(() => underWay.delete(paymentId));
    underWay.set(paymentId, attempt);
    return attempt;
  };
}

async function openCharge(charge: Charge, options: OpeningOptions): Promise<OpeningResult> {
  const { chooseGateway, metrics, log } = options;
  const { paymentId, accountId, amountCents, currency, productName } = charge;
  const choice = chooseGateway(accountId);
  if (!choice.ok) return refusal('refused', choice.message);
  const { gateway, account } = choice;
  const order = {
    paymentId,
    amountCents,
    currency,
    description: productName.slice(0, 140),
    expiresInSeconds: charge.expiresInSeconds,
    callbackUrl: charge.callbackUrl,
  };
  try {
    const opening = await gateway.createCharge(order);
    if (!opening.ok) {
      log.error({ paymentId, accountId, reason: opening.reason }, 'a gateway refused a charge');
      return refusal('refused', `The gateway of account ${accountId} refused: ${opening.reason}.`);
    }
    const problem = problemOf(opening.charge, charge);
    if (problem !== null) {
      metrics.mismatches.inc({ kind: gateway.kind, source: 'creation' });
      log.error({ paymentId, accountId, problem }, 'a gateway made another charge than asked for');
      return refusal('refused', `The charge of account ${accountId} cannot be used: ${problem}.`);
    }
    return await recordOpening(charge, { opened: opening.charge, account }, options);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    log.warn({ paymentId, accountId, err: error }, 'a gateway did not make a charge; ask again');
    return refusal('unavailable', `The gateway of account ${accountId} is away; try again.`);
  }
}

function problemOf(opened: OpenedCharge, charge: Charge): string | null {
  const { paymentId: reference, amountCents, currency } = charge;
  const expected = { chargeId: opened.chargeId, reference, amountCents, currency };
  const code = opened.isTestMode ? null : brCodeProblem(opened.pixCode, charge);
  return disproofOf(expected, opened) ?? (code === null ? null : `its PIX code is wrong, ${code}`);
}

/** The charge and `PaymentCreated` in one transaction; whoever comes second finds it done. */
async function recordOpening(
  { paymentId }: Charge,
  { opened, account }: { opened: OpenedCharge; account: Account },
  { sql, schedule, metrics }: OpeningOptions,
): Promise<OpeningResult> {
  return sql.begin(async (tx): Promise<OpeningResult> => {
    const charge = await lockCharge(tx, paymentId);
    if (isOpen(charge)) return { ok: true, charge };
    const now = new Date();
    const time = now.toISOString();
    const data = {
      ...subjectOf(charge),
      gateway: account.kind,
      gatewayChargeId: opened.chargeId,
      pixCode: opened.pixCode,
      checkoutNotice: account.checkoutNotice,
      createdAt: time,
      expiresAt: opened.expiresAt,
    };
    const { workspaceId, checkoutId } = charge;
    const events = decide(initialState, { type: 'create', data }).map((event) =>
      wrap(event, { workspaceId, time, causationId: checkoutId }),
    );
    await append(tx, { streamId: streamOf(paymentId), expectedVersion: 0, events });
    const expiresAt = new Date(opened.expiresAt);
    await markOpen(tx, paymentId, {
      charge: opened,
      nextCheckAt: firstCheck(charge, { opened, schedule, now }),
    });
    metrics.payments.inc({ status: 'pending' });
    const { chargeId: gatewayChargeId, pixCode } = opened;
    return { ok: true, charge: { ...charge, opened: { gatewayChargeId, pixCode, expiresAt } } };
  });
}

/** A repeated creation may find the charge paid already: then at once. */
function firstCheck(
  charge: Charge,
  { opened, schedule, now }: { opened: OpenedCharge; schedule: Schedule; now: Date },
): Date | null {
  if (opened.status !== 'pending') return now;
  const nextMs = nextCheckMs(schedule, {
    createdAtMs: charge.createdAt.getTime(),
    expiresAtMs: Date.parse(opened.expiresAt),
    nowMs: now.getTime(),
  });
  return nextMs === null ? null : new Date(nextMs);
}

function refusal(code: RequestProblem['code'], message: string): OpeningResult {
  return { ok: false, error: { code, message: message.slice(0, 1024) } };
}
