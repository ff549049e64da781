/** Acts upon a stored webhook: it only ever leads to a question to the gateway. */
import type { Logger, Sql } from '@rastro/runtime';
import { findAttempt } from './adapters/charge-attempts.ts';
import {
  askAgain,
  type Charge,
  findByGateway,
  findCharge,
  type OpenCharge,
  saveToldCents,
  takeQuestion,
} from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import type { ChooseGateway } from './adapters/gateways.ts';
import type { Metrics } from './adapters/metrics.ts';
import type { StoredWebhook, WebhookOutcome } from './adapters/webhook-inbox.ts';
import { mismatchOf } from './core/gateway.ts';
import type { Schedule } from './core/schedule.ts';
import { type Cause, identityOf, type Observe } from './observing.ts';
import type { OpenCharges } from './opening.ts';
import type { ObserveStray } from './straying.ts';

export interface WebhookOptions {
  readonly sql: Sql;
  readonly chooseGateway: ChooseGateway;
  readonly schedule: Schedule;
  readonly observe: Observe;
  readonly observeStray: ObserveStray;
  readonly openCharge: OpenCharges;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const maxAttempts = 15;

/** What becomes of one stored webhook; it only ever leads to a question. */
export function processWebhook(options: WebhookOptions) {
  const { log } = options;
  return async (webhook: StoredWebhook): Promise<WebhookOutcome> => {
    try {
      return await act(await withChargeId(webhook, options), options);
    } catch (error) {
      const { id, accountId, attempts } = webhook;
      if (attempts < maxAttempts) {
        log.warn({ err: error, webhook: id, accountId, attempts }, 'a webhook has to wait');
        return { retryInMs: Math.min(1_000 * 2 ** (attempts - 1), 300_000) };
      }
      log.error(
        { err: error, webhook: id, accountId },
        'a webhook is given up; see the reconciler',
      );
      return 'abandoned';
    }
  };
}

/** Where it names only the bank's payment, the gateway says of which charge that is. */
async function withChargeId(
  webhook: StoredWebhook,
  { chooseGateway }: WebhookOptions,
): Promise<StoredWebhook> {
  const { accountId, reference, chargeId } = webhook;
  if (reference !== null || chargeId === null) return webhook;
  const choice = chooseGateway(accountId);
  if (!choice.ok) throw new GatewayError(choice.message);
  const { gateway } = choice;
  if (!gateway.chargeIdOf) return webhook;
  return { ...webhook, chargeId: await gateway.chargeIdOf(chargeId) };
}

async function act(webhook: StoredWebhook, options: WebhookOptions): Promise<WebhookOutcome> {
  const { sql, schedule, openCharge, observeStray, metrics, log } = options;
  const { id, accountId, kind } = webhook;
  const alarm = (mismatch: string) => {
    metrics.mismatches.inc({ kind, source: 'webhook' });
    log.error({ webhook: id, accountId, mismatch }, 'a webhook is not about what we asked for');
  };
  const known = await findHinted(sql, webhook);
  if (!known) return 'unknown_charge';
  const attempt = await findAttempt(sql, { paymentId: known.paymentId, accountId });
  if (!attempt) {
    alarm(`payment ${known.paymentId} is of account ${known.accountId}`);
    return 'mismatch';
  }
  // It was made, but we were stopped before we heard of it.
  const opening = await openCharge(known, [accountId]);
  if (!opening.ok) throw new GatewayError(opening.error.message);
  const { charge } = opening;
  const causationId = `webhook-${id}`;
  if (isStray(charge, webhook)) {
    const chargeId = webhook.chargeId ?? attempt.gatewayChargeId;
    const isKnown = chargeId !== null && chargeId === attempt.gatewayChargeId;
    const found = await observeStray({ charge, accountId, chargeId, isKnown }, causationId);
    if (found === 'not_yet') return retryStray(webhook, schedule);
    if (found !== 'not_found') return found === 'mismatch' ? 'mismatch' : 'observed';
    if (charge.accountId !== accountId) {
      alarm(`account ${accountId} has no charge ${chargeId} for payment ${charge.paymentId}`);
      return 'mismatch';
    }
  }
  const { paymentId } = charge;
  const mismatch = mismatchOf(identityOf(charge), webhook);
  if (mismatch !== null) alarm(mismatch);
  const choice = options.chooseGateway(accountId);
  if (!choice.ok) throw new GatewayError(choice.message);
  const { silentOn, requeryIntervalMs } = choice.gateway;
  if (silentOn.amount === true && webhook.amountCents !== null) {
    await saveToldCents(sql, paymentId, webhook.amountCents);
  }
  // Only the gateway's own answer counts, so asking is right whatever the message claimed.
  const cause = { causationId, claim: mismatch === null ? webhook.claim : null };
  const outcome = await observeUntilBelieved(paymentId, { ...options, cause, requeryIntervalMs });
  return outcome === 'observed' && mismatch !== null ? 'mismatch' : outcome;
}

/** About a charge that was made for this payment as well, and that no customer was shown. */
const isStray = (charge: OpenCharge, webhook: StoredWebhook): boolean =>
  charge.accountId !== webhook.accountId ||
  (webhook.chargeId !== null && webhook.chargeId !== charge.opened.gatewayChargeId);

const maxStrayAttempts = 4;

/** Some gateways send the webhook before their own API knows; nobody else asks about a stray. */
function retryStray({ attempts }: StoredWebhook, { minIntervalMs }: Schedule): WebhookOutcome {
  return attempts < maxStrayAttempts ? { retryInMs: minIntervalMs } : 'observed';
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

async function findHinted(sql: Sql, webhook: StoredWebhook): Promise<Charge | undefined> {
  const { accountId, reference, chargeId } = webhook;
  if (reference !== null) return uuid.test(reference) ? findCharge(sql, reference) : undefined;
  return chargeId === null ? undefined : findByGateway(sql, { accountId, chargeId });
}

const maxQuestions = 5;

type Asking = Pick<WebhookOptions, 'sql' | 'observe' | 'schedule'> & {
  readonly cause: Cause;
  readonly requeryIntervalMs: number;
};

/**
 * A webhook says that something is new, so it asks at once, whatever was asked before; only where
 * the gateway's terms forbid that, it waits.
 */
async function observeUntilBelieved(paymentId: string, options: Asking): Promise<WebhookOutcome> {
  const { sql, observe, schedule, cause, requeryIntervalMs } = options;
  for (let asked = 0; asked < maxQuestions; asked += 1) {
    const question = await takeQuestion(sql, paymentId, requeryIntervalMs);
    if (!question && requeryIntervalMs > 0) return { retryInMs: requeryIntervalMs / 6 };
    const observation = question && (await observe(question, cause));
    if (observation?.kind === 'mismatch') return 'mismatch';
    if (observation?.kind === 'recorded') {
      // Some gateways send the webhook before their own API knows of it.
      if (!observation.isNews) await askAgain(sql, paymentId, schedule.minIntervalMs);
      return 'observed';
    }
  }
  return { retryInMs: 1_000 };
}
