/** The event edge: requests over NATS, stored webhooks, and charges whose time has come. */
import type { paymentsCreate, paymentsRevalidate, ReplyOf, RequestOf } from '@rastro/events';
import type { Catalog, RequestResult } from '@rastro/messaging';
import { type Logger, newId, type Sql } from '@rastro/runtime';
import { findAttempt } from './adapters/charge-attempts.ts';
import {
  askAgain,
  type Charge,
  findByCheckout,
  findByGateway,
  findCharge,
  isOpen,
  type NewCharge,
  type OpenCharge,
  type Question,
  reserveCharge,
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

type CreateRequest = RequestOf<typeof paymentsCreate>;
type RevalidateRequest = RequestOf<typeof paymentsRevalidate>;
type PaymentView = ReplyOf<typeof paymentsCreate>;
type Reply = RequestResult<PaymentView>;

function refusal(code: 'not_found' | 'refused', message: string) {
  return { ok: false as const, error: { code, message } };
}

export interface CreateOptions {
  readonly sql: Sql;
  readonly catalog: Catalog;
  readonly openCharge: OpenCharges;
  readonly pixExpirySeconds: number;
}

/**
 * `payments.create`: the caller says what is bought, the catalog for how much. It may be somebody
 * else's program: lead, Telegram user and tracking token are told on as they came, in an event of
 * the caller's workspace, and mean nothing in any other.
 */
export function createPayment(options: CreateOptions) {
  const { sql, catalog, openCharge } = options;
  return async (request: CreateRequest): Promise<Reply> => {
    const existing = await findByCheckout(sql, request.checkoutId);
    const charge = existing ?? (await newCharge(request, options));
    if ('ok' in charge) return charge;
    if (charge.workspaceId !== request.workspaceId) {
      return refusal('not_found', `There is no checkout ${request.checkoutId}.`);
    }
    const opened = await openCharge(charge, accountsFor(charge, catalog));
    return opened.ok ? { ok: true, value: viewOf(opened.charge) } : opened;
  };
}

async function newCharge(
  request: CreateRequest,
  options: CreateOptions,
): Promise<Charge | ReturnType<typeof refusal>> {
  const { catalog, pixExpirySeconds, sql } = options;
  const { workspaceId, checkoutId, botId, productId, poolId } = request;
  const own = <T extends { workspaceId: string }>(owned: T | undefined): T | undefined =>
    owned?.workspaceId === workspaceId ? owned : undefined;
  const bot = own(catalog.get('bot', botId));
  if (!bot) return refusal('not_found', `There is no bot ${botId} in ${workspaceId}.`);
  const product = own(catalog.get('product', productId));
  if (!product) return refusal('not_found', `There is no product ${productId} in ${workspaceId}.`);
  // A pool may be gone by the time of the purchase, but never belong to somebody else.
  const pool = poolId === null ? undefined : catalog.get('pool', poolId);
  if (pool && !own(pool))
    return refusal('not_found', `There is no pool ${poolId} in ${workspaceId}.`);
  const { account: first, fallbackAccounts = [] } = bot.item;
  const accountId = [first, ...fallbackAccounts].find((id) => own(catalog.get('account', id)));
  if (accountId === undefined) {
    return refusal('not_found', `There is no account ${first} in ${workspaceId}.`);
  }
  const charge: NewCharge = {
    paymentId: newId(),
    checkoutId,
    workspaceId,
    accountId,
    botId,
    poolId,
    leadId: request.leadId,
    telegramUserId: request.telegramUserId,
    trackingToken: request.trackingToken,
    productId,
    productName: product.item.name,
    amountCents: product.item.priceCents,
    currency: product.item.currency,
    expiresInSeconds: pixExpirySeconds,
  };
  return reserveCharge(sql, charge);
}

/** As the catalog has them now: an account that was added just now is already of help. */
function accountsFor({ workspaceId, botId, accountId }: Charge, catalog: Catalog): string[] {
  const bot = catalog.get('bot', botId);
  // The bot may be gone by now, but not what its customer was promised.
  if (bot?.workspaceId !== workspaceId) return [accountId];
  return [bot.item.account, ...(bot.item.fallbackAccounts ?? [])];
}

function viewOf(charge: OpenCharge): PaymentView {
  const { paymentId, checkoutId, status, productId, amountCents, currency, opened } = charge;
  const { pixCode, expiresAt } = opened;
  const identity = { paymentId, checkoutId, productId, amountCents, currency };
  return { ...identity, status, pixCode, expiresAt: expiresAt.toISOString() };
}

export interface RevalidateOptions {
  readonly sql: Sql;
  readonly observe: Observe;
  readonly schedule: Schedule;
}

/** `payments.revalidate`: asks again where the budget allows it, and answers what is known. */
export function revalidatePayment({ sql, observe, schedule }: RevalidateOptions) {
  return async ({ workspaceId, paymentId }: RevalidateRequest): Promise<Reply> => {
    const charge = await findCharge(sql, paymentId);
    if (!charge || !isOpen(charge) || charge.workspaceId !== workspaceId) {
      return refusal('not_found', `There is no payment ${paymentId} in ${workspaceId}.`);
    }
    if (!isInDoubt(charge)) return { ok: true, value: viewOf(charge) };
    const question = await takeQuestion(sql, paymentId, schedule.minIntervalMs);
    if (question) await observe(question).catch(ignoreOutage);
    const known = await findCharge(sql, paymentId);
    return { ok: true, value: viewOf(known && isOpen(known) ? known : charge) };
  };
}

/** Money that may still come, or be the seller's again, since the last word that we heard. */
const isInDoubt = ({ status }: Charge): boolean =>
  status === 'pending' || status === 'expired' || status === 'disputed';

/** The gateway is away: what Postgres knows is the answer. */
function ignoreOutage(error: unknown): void {
  if (!(error instanceof GatewayError)) throw error;
}

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

/** One charge whose time has come; without an answer it comes again by itself. */
export function reconcileCharge({ observe, log }: { observe: Observe; log: Logger }) {
  return async (question: Question): Promise<void> => {
    const { paymentId, accountId } = question.charge;
    try {
      await observe(question);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      log.warn({ err: error, paymentId, accountId }, 'a pending charge could not be checked');
    }
  };
}
