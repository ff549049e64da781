/** Has a charge made at the first account that will: one a payment, however often it is tried. */
import { append } from '@rastro/event-store';
import type { RequestProblem } from '@rastro/events';
import type { Logger, Sql } from '@rastro/runtime';
import { settleAttempt, startAttempt } from './adapters/charge-attempts.ts';
import {
  type Charge,
  findCharge,
  isOpen,
  lockCharge,
  markOpen,
  type OpenCharge,
} from './adapters/charges.ts';
import type { Circuits } from './adapters/circuits.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import type { Account, ChooseGateway } from './adapters/gateways.ts';
import type { Metrics } from './adapters/metrics.ts';
import { brCodeProblem } from './core/br-code.ts';
import { attemptMs, type Failover } from './core/failover.ts';
import { disproofOf, type Gateway, type OpenedCharge, type Opening } from './core/gateway.ts';
import { decide, initialState, subjectOf } from './core/payment.ts';
import { firstCheckMs, type Schedule } from './core/schedule.ts';
import { streamOf, wrap } from './observing.ts';

export interface OpeningOptions {
  readonly sql: Sql;
  readonly chooseGateway: ChooseGateway;
  readonly circuits: Circuits;
  readonly failover: Failover;
  readonly publicOrigin: string;
  readonly schedule: Schedule;
  readonly metrics: Metrics;
  readonly log: Logger;
}

type Opened = { readonly ok: true; readonly charge: OpenCharge };

export type OpeningResult = Opened | { readonly ok: false; readonly error: RequestProblem };

/**
 * Resolves with the open charge; those who ask for the same one at once share one attempt.
 * @param accountIds which may make it, the preferred one first. Once one has, it stays.
 */
export type OpenCharges = (charge: Charge, accountIds: readonly string[]) => Promise<OpeningResult>;

export function createOpenCharges(options: OpeningOptions): OpenCharges {
  const underWay = new Map<string, Promise<OpeningResult>>();
  return async (charge, accountIds) => {
    if (isOpen(charge)) return { ok: true, charge };
    const key = [charge.paymentId, ...accountIds].join(' ');
    const attempt =
      underWay.get(key) ??
      openCharge(charge, accountIds, options).finally(() => underWay.delete(key));
    underWay.set(key, attempt);
    return attempt;
  };
}

/** Why an account made no charge; `message` is for whoever asked, `reason` for the log. */
interface Failure {
  readonly ok: false;
  readonly outcome: 'unavailable' | 'refused' | 'mismatch' | 'unusable';
  readonly kind: string;
  readonly reason: string;
  readonly message: string;
}

async function openCharge(
  charge: Charge,
  accountIds: readonly string[],
  options: OpeningOptions,
): Promise<OpeningResult> {
  const { sql, circuits, failover, metrics, log } = options;
  const { paymentId } = charge;
  const endsAtMs = Date.now() + failover.budgetMs;
  const order = circuits.order(accountIds);
  const failures: Failure[] = [];
  for (const [index, accountId] of order.entries()) {
    const left = { leftMs: endsAtMs - Date.now(), accountsLeft: order.length - index };
    const timeoutMs = attemptMs(failover, left);
    if (timeoutMs === null) break;
    const result = await tryAccount(charge, { accountId, timeoutMs }, options);
    if (result.ok) return result;
    const { kind, outcome, reason } = result;
    metrics.attempts.inc({ kind, outcome });
    const line = { paymentId, accountId, outcome, reason, next: order[index + 1] ?? null };
    log[outcome === 'unavailable' ? 'warn' : 'error'](line, 'an account made no charge');
    failures.push(result);
    // Another process may have had more luck: a further charge would be one too many.
    const known = await findCharge(sql, paymentId);
    if (known && isOpen(known)) return { ok: true, charge: known };
  }
  return refusalOf(failures);
}

/** Asking again helps as long as one of the accounts might then make it. */
function refusalOf(failures: readonly Failure[]): OpeningResult {
  const isAway = failures.some(({ outcome }) => outcome === 'unavailable');
  const message = failures.map((failure) => failure.message).join(' ');
  const code = isAway ? 'unavailable' : 'refused';
  return { ok: false, error: { code, message: message.slice(0, 1024) } };
}

async function tryAccount(
  charge: Charge,
  { accountId, timeoutMs }: { accountId: string; timeoutMs: number },
  options: OpeningOptions,
): Promise<Opened | Failure> {
  const { sql, chooseGateway, publicOrigin, metrics } = options;
  const { paymentId, workspaceId } = charge;
  const choice = chooseGateway(accountId);
  if (!choice.ok || choice.workspaceId !== workspaceId) {
    const foreign = `There is no account ${accountId} in ${workspaceId}.`;
    const message = choice.ok ? foreign : choice.message;
    return { ok: false, outcome: 'unusable', kind: 'none', reason: message, message };
  }
  const { gateway, account } = choice;
  const { kind } = gateway;
  const key = { paymentId, accountId };
  const attempt = await startAttempt(sql, key, `${publicOrigin}/webhooks/${accountId}`);
  const asked = { ...charge, callbackUrl: attempt.callbackUrl };
  const answer = await ask(gateway, asked, { accountId, timeoutMs, ...options });
  const problem = answer.ok ? problemOf(answer.charge, charge) : null;
  if (answer.ok && problem === null) {
    metrics.attempts.inc({ kind, outcome: 'opened' });
    return recordOpening(charge, { opened: answer.charge, account, gateway }, options);
  }
  const failure = answer.ok ? mismatch(accountId, problem ?? '') : answer;
  if (answer.ok) metrics.mismatches.inc({ kind, source: 'creation' });
  await settleAttempt(sql, key, { problem: failure.reason });
  return { ok: false, kind, ...failure };
}

type Refusal = Omit<Failure, 'ok' | 'kind'>;

async function ask(
  gateway: Gateway,
  charge: Charge & { readonly callbackUrl: string },
  options: { accountId: string; timeoutMs: number; circuits: Circuits },
): Promise<Extract<Opening, { ok: true }> | ({ readonly ok: false } & Refusal)> {
  const { accountId, timeoutMs, circuits } = options;
  const { paymentId, amountCents, currency, productName, expiresInSeconds, callbackUrl } = charge;
  const description = productName.slice(0, 140);
  const what = { amountCents, currency, description };
  circuits.start(accountId);
  try {
    const order = { paymentId, ...what, expiresInSeconds, callbackUrl };
    const opening = await gateway.createCharge(order, timeoutMs);
    circuits.answered(accountId);
    if (opening.ok) return opening;
    const { reason } = opening;
    const message = `The gateway of account ${accountId} refused: ${reason}.`;
    return { ok: false, outcome: 'refused', reason, message };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    circuits.failed(accountId);
    const message = `The gateway of account ${accountId} is away; try again.`;
    return { ok: false, outcome: 'unavailable', reason: error.message, message };
  }
}

function mismatch(accountId: string, reason: string): Refusal {
  const message = `The charge of account ${accountId} cannot be used: ${reason}.`;
  return { outcome: 'mismatch', reason, message };
}

function problemOf(opened: OpenedCharge, charge: Charge): string | null {
  const { paymentId: reference, amountCents, currency } = charge;
  const { chargeId, receiver, isTestMode } = opened;
  const expected = { chargeId, reference, amountCents, currency, receiver, isTestMode };
  const code = isTestMode === true ? null : brCodeProblem(opened.pixCode, charge);
  return disproofOf(expected, opened) ?? (code === null ? null : `its PIX code is wrong, ${code}`);
}

/** The charge and `PaymentCreated` in one transaction; whoever comes second finds it done. */
async function recordOpening(
  { paymentId }: Charge,
  { opened, account, gateway }: { opened: OpenedCharge; account: Account; gateway: Gateway },
  { sql, schedule, metrics, log }: OpeningOptions,
): Promise<Opened> {
  const accountId = account.id;
  const { chargeId: gatewayChargeId, pixCode } = opened;
  return sql.begin(async (tx): Promise<Opened> => {
    const charge = await lockCharge(tx, paymentId);
    await settleAttempt(tx, { paymentId, accountId }, { gatewayChargeId });
    if (isOpen(charge)) {
      const isOther = charge.opened.gatewayChargeId !== gatewayChargeId;
      if (isOther) log.warn({ paymentId, accountId }, 'one charge too many; nobody is shown it');
      return { ok: true, charge };
    }
    const now = new Date();
    const time = now.toISOString();
    const data = {
      ...subjectOf({ ...charge, accountId }),
      gateway: gateway.kind,
      gatewayChargeId,
      pixCode,
      checkoutNotice: account.checkoutNotice ?? gateway.checkoutNotice,
      createdAt: time,
      expiresAt: opened.expiresAt,
    };
    const { workspaceId, checkoutId } = charge;
    const events = decide(initialState, { type: 'create', data }).map((event) =>
      wrap(event, { workspaceId, time, causationId: checkoutId }),
    );
    await append(tx, { streamId: streamOf(paymentId), expectedVersion: 0, events });
    const nextCheckAt = firstCheck({ opened, schedule, now });
    metrics.payments.inc({ status: 'pending' });
    const key = { paymentId, accountId };
    return {
      ok: true,
      charge: await markOpen(tx, key, { charge: opened, openedAt: now, nextCheckAt }),
    };
  });
}

/** A repeated creation may find the charge paid already: then at once. */
function firstCheck({
  opened,
  schedule,
  now,
}: {
  opened: OpenedCharge;
  schedule: Schedule;
  now: Date;
}): Date {
  if (opened.status !== 'pending') return now;
  const openedAtMs = now.getTime();
  const expiresAtMs = Date.parse(opened.expiresAt);
  return new Date(firstCheckMs(schedule, { openedAtMs, expiresAtMs }));
}
