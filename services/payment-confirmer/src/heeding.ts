/** Acts upon a stored webhook: it leads to a question, and the gateway's answer counts. */
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
import { type AskAboutStray, StrayAskedError } from './straying.ts';

export interface WebhookOptions {
  readonly sql: Sql;
  readonly chooseGateway: ChooseGateway;
  readonly schedule: Schedule;
  readonly observe: Observe;
  readonly askAboutStray: AskAboutStray;
  readonly openCharge: OpenCharges;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const hourMs = 3_600_000;
/** Longer than a gateway's longest outage; nobody tells us twice of a refund. */
const giveUpAfterMs = 72 * hourMs;
const longestWaitMs = 15 * 60_000;

/** What becomes of one stored webhook. */
export function processWebhook(options: WebhookOptions) {
  const { log } = options;
  return async (webhook: StoredWebhook): Promise<WebhookOutcome> => {
    try {
      return await act(await withChargeId(webhook, options), options);
    } catch (error) {
      if (error instanceof StrayAskedError) return { retryInMs: error.retryInMs / 6 };
      const { id, accountId, attempts } = webhook;
      if (ageMs(webhook) < giveUpAfterMs) {
        log.warn({ err: error, webhook: id, accountId, attempts }, 'a webhook has to wait');
        return { retryInMs: Math.min(1_000 * 2 ** Math.min(attempts - 1, 20), longestWaitMs) };
      }
      const hint = 'a webhook is given up after three days; rastro payments reconcile asks again';
      log.error({ err: error, webhook: id, accountId }, hint);
      return 'abandoned';
    }
  };
}

const ageMs = ({ receivedAt }: StoredWebhook): number => Date.now() - receivedAt.getTime();

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
  const { sql, schedule, openCharge, askAboutStray, metrics, log } = options;
  const { id, accountId, kind } = webhook;
  const alarm = (mismatch: string) => {
    metrics.mismatches.inc({ kind, source: 'webhook' });
    log.error({ webhook: id, accountId, mismatch }, 'a webhook is not about what we asked for');
  };
  const known = await findHinted(sql, webhook);
  if (!known) {
    log.info(
      { webhook: id, accountId, type: webhook.type },
      'a webhook is about no charge of ours',
    );
    return 'unknown_charge';
  }
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
    const stray = { charge, accountId, chargeId, isKnown };
    const { finding } = await askAboutStray(stray, causationId);
    if (finding === 'not_yet') return retryStray(webhook, schedule);
    if (finding !== 'not_found') return finding === 'mismatch' ? 'mismatch' : 'observed';
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
  const asking = { ...options, webhook, cause, requeryIntervalMs };
  const outcome = await observeUntilBelieved(paymentId, asking);
  return outcome === 'observed' && mismatch !== null ? 'mismatch' : outcome;
}

/** About a charge that was made for this payment as well, and that no customer was shown. */
const isStray = (charge: OpenCharge, webhook: StoredWebhook): boolean =>
  charge.accountId !== webhook.accountId ||
  (webhook.chargeId !== null && webhook.chargeId !== charge.opened.gatewayChargeId);

/** Some gateways send the webhook before their own API knows. */
const apiLagsForMs = 10 * 60_000;

/** Nobody else asks about a stray. */
function retryStray(webhook: StoredWebhook, { minIntervalMs }: Schedule): WebhookOutcome {
  return ageMs(webhook) < apiLagsForMs ? { retryInMs: minIntervalMs } : 'observed';
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

async function findHinted(sql: Sql, webhook: StoredWebhook): Promise<Charge | undefined> {
  const { accountId, reference, chargeId } = webhook;
  if (reference !== null) return uuid.test(reference) ? findCharge(sql, reference) : undefined;
  return chargeId === null ? undefined : findByGateway(sql, { accountId, chargeId });
}

const maxQuestions = 5;

type Asking = Pick<WebhookOptions, 'sql' | 'observe' | 'schedule'> & {
  readonly webhook: StoredWebhook;
  readonly cause: Cause;
  readonly requeryIntervalMs: number;
};

/**
 * A webhook says that something is new, so it asks at once, whatever was asked before; only where
 * the gateway's terms forbid that, it waits.
 */
async function observeUntilBelieved(paymentId: string, options: Asking): Promise<WebhookOutcome> {
  const { sql, observe, schedule, webhook, cause, requeryIntervalMs } = options;
  for (let asked = 0; asked < maxQuestions; asked += 1) {
    const question = await takeQuestion(sql, paymentId, requeryIntervalMs);
    if (!question && requeryIntervalMs > 0) return { retryInMs: requeryIntervalMs / 6 };
    const observation = question && (await observe(question, cause));
    if (observation?.kind === 'mismatch') {
      const isUnknown = observation.report === null && ageMs(webhook) < apiLagsForMs;
      return isUnknown ? { retryInMs: schedule.minIntervalMs } : 'mismatch';
    }
    if (observation?.kind === 'recorded') {
      if (!observation.isNews) await followUp(paymentId, options);
      return 'observed';
    }
  }
  return { retryInMs: 1_000 };
}

/** Nobody sends a webhook for nothing: the API may know of its news a little later. */
async function followUp(paymentId: string, { sql, schedule }: Asking): Promise<void> {
  const [inMs, ...rest] = schedule.followUpMs;
  if (inMs !== undefined) await askAgain(sql, paymentId, { inMs, followUpsLeft: rest.length });
}
