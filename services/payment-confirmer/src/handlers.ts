/** The event edge: requests over NATS, and charges whose time has come. */
import type { paymentsCreate, paymentsRevalidate, ReplyOf, RequestOf } from '@rastro/events';
import type { Catalog, RequestResult } from '@rastro/messaging';
import { type Logger, newId, type Sql } from '@rastro/runtime';
import {
  type Charge,
  findByCheckout,
  findCharge,
  isOpen,
  type NewCharge,
  type OpenCharge,
  postponeQuestion,
  type Question,
  reserveCharge,
  takeQuestion,
} from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import { pauseAfterFailureMs, type Schedule } from './core/schedule.ts';
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

/** One charge whose time has come; without an answer its turn comes again, later and later. */
export function askDue({ sql, observe, schedule, log }: RevalidateOptions & { log: Logger }) {
  return async (question: Question): Promise<void> => {
    const { paymentId, accountId, opened } = question.charge;
    try {
      await observe(question);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const inMs = pauseAfterFailureMs(schedule, Date.now() - opened.openedAt.getTime());
      await postponeQuestion(sql, paymentId, inMs);
      log.warn({ err: error, paymentId, accountId, inMs }, 'a charge could not be asked about');
    }
  };
}
