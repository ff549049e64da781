/** The event edge: requests over NATS, stored webhooks, and charges whose time has come. */
import type { paymentsCreate, paymentsRevalidate, ReplyOf, RequestOf } from '@rastro/events';
import type { Catalog, RequestResult } from '@rastro/messaging';
import { type Logger, newId, type Sql } from '@rastro/runtime';
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
  takeQuestion,
} from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import type { ChooseGateway } from './adapters/gateways.ts';
import type { Metrics } from './adapters/metrics.ts';
import type { StoredWebhook, WebhookOutcome } from './adapters/webhook-inbox.ts';
import { mismatchOf } from './core/gateway.ts';
import type { Schedule } from './core/schedule.ts';
import type { Observe } from './observing.ts';
import type { OpenCharges } from './opening.ts';

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
  readonly chooseGateway: ChooseGateway;
  readonly openCharge: OpenCharges;
  readonly publicOrigin: string;
  readonly pixExpirySeconds: number;
}

/** `payments.create`: the caller says what is bought, the catalog for how much. */
export function createPayment(options: CreateOptions) {
  const { sql, openCharge } = options;
  return async (request: CreateRequest): Promise<Reply> => {
    const existing = await findByCheckout(sql, request.checkoutId);
    const charge = existing ?? (await newCharge(request, options));
    if ('ok' in charge) return charge;
    if (charge.workspaceId !== request.workspaceId) {
      return refusal('not_found', `There is no checkout ${request.checkoutId}.`);
    }
    const opened = await openCharge(charge);
    return opened.ok ? { ok: true, value: viewOf(opened.charge) } : opened;
  };
}

async function newCharge(
  request: CreateRequest,
  options: CreateOptions,
): Promise<Charge | ReturnType<typeof refusal>> {
  const { catalog, chooseGateway, publicOrigin, pixExpirySeconds, sql } = options;
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
  const accountId = bot.item.account;
  const account = own(catalog.get('account', accountId));
  if (!account) {
    return refusal('not_found', `There is no account ${accountId} in ${workspaceId}.`);
  }
  const choice = chooseGateway(accountId);
  if (!choice.ok) return refusal('refused', choice.message);
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
    callbackUrl: `${publicOrigin}/webhooks/${accountId}`,
  };
  return reserveCharge(sql, charge);
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
    if (charge.status !== 'pending' && charge.status !== 'expired') {
      return { ok: true, value: viewOf(charge) };
    }
    const question = await takeQuestion(sql, paymentId, schedule.minIntervalMs);
    if (question) await observe(question).catch(ignoreOutage);
    const known = await findCharge(sql, paymentId);
    return { ok: true, value: viewOf(known && isOpen(known) ? known : charge) };
  };
}

/** The gateway is away: what Postgres knows is the answer. */
function ignoreOutage(error: unknown): void {
  if (!(error instanceof GatewayError)) throw error;
}

export interface WebhookOptions {
  readonly sql: Sql;
  readonly schedule: Schedule;
  readonly observe: Observe;
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
      return await act(webhook, options);
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

async function act(webhook: StoredWebhook, options: WebhookOptions): Promise<WebhookOutcome> {
  const { sql, openCharge, metrics, log } = options;
  const { id, accountId, kind } = webhook;
  const alarm = (mismatch: string) => {
    metrics.mismatches.inc({ kind, source: 'webhook' });
    log.error({ webhook: id, accountId, mismatch }, 'a webhook is not about what we asked for');
  };
  const known = await findHinted(sql, webhook);
  if (!known) return 'unknown_charge';
  if (known.accountId !== accountId) {
    alarm(`payment ${known.paymentId} is of account ${known.accountId}`);
    return 'mismatch';
  }
  // It was made, but we were stopped before we heard of it.
  const opened = await openCharge(known);
  if (!opened.ok) throw new GatewayError(opened.error.message);
  const { paymentId, amountCents, currency } = known;
  const chargeId = opened.charge.opened.gatewayChargeId;
  const mismatch = mismatchOf({ chargeId, reference: paymentId, amountCents, currency }, webhook);
  if (mismatch !== null) alarm(mismatch);
  // Only the gateway's own answer counts, so asking is right whatever the message claimed.
  const causationId = `webhook-${id}`;
  const outcome = await observeUntilBelieved(paymentId, { ...options, causationId });
  return outcome === 'observed' && mismatch !== null ? 'mismatch' : outcome;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

async function findHinted(sql: Sql, webhook: StoredWebhook): Promise<Charge | undefined> {
  const { accountId, reference, chargeId } = webhook;
  if (reference !== null) return uuid.test(reference) ? findCharge(sql, reference) : undefined;
  return chargeId === null ? undefined : findByGateway(sql, { accountId, chargeId });
}

const maxQuestions = 5;

/** A webhook says that something is new, so it asks at once, whatever was asked before. */
async function observeUntilBelieved(
  paymentId: string,
  options: Pick<WebhookOptions, 'sql' | 'observe' | 'schedule'> & { causationId: string },
): Promise<WebhookOutcome> {
  const { sql, observe, schedule, causationId } = options;
  for (let asked = 0; asked < maxQuestions; asked += 1) {
    const question = await takeQuestion(sql, paymentId, 0);
    const observation = question && (await observe(question, causationId));
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
