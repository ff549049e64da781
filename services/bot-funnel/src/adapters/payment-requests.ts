/** Asks payment-confirmer for charges until it has answered; tells the customer when it does not. */
import type { Sql } from '@rastro/event-store';
import type { RequestProblem } from '@rastro/events';
import type { RequestResult } from '@rastro/messaging';
import type { Counter, Logger } from '@rastro/runtime';
import { decide } from '../core/decide.ts';
import { paymentGiveUpMs, paymentRetryMs, paymentTellMs } from '../core/retry.ts';
import { saveDecision } from './decision-store.ts';
import { findLead } from './lead-store.ts';
import {
  claimPaymentRequests,
  failPaymentRequest,
  finishPaymentRequest,
  type PaymentRequest,
  postponePaymentRequest,
  renewPaymentRequests,
} from './payment-request-table.ts';
import { startWorkLoop, type WorkLoop } from './work-loop.ts';

export interface PaymentRequestsOptions {
  readonly sql: Sql;
  readonly log: Logger;
  /** The same checkout always gets the same charge, so asking again is harmless. */
  readonly createPayment: (request: PaymentRequest['request']) => Promise<RequestResult<unknown>>;
  /** A message to the customer was queued. */
  readonly onMessage: () => void;
  readonly requests: Counter<'outcome'>;
}

const concurrency = 16;

export function startPaymentRequests(options: PaymentRequestsOptions): WorkLoop {
  const { sql, log } = options;
  return startWorkLoop<PaymentRequest>({
    concurrency,
    claim: (limit) => claimPaymentRequests(sql, limit),
    renew: (requests) => renewPaymentRequests(sql, requests),
    work: (request) => askForPayment(options, request),
    onError: (error) => log.error({ err: error }, 'asking for payments was interrupted'),
  });
}

async function askForPayment(
  options: PaymentRequestsOptions,
  request: PaymentRequest,
): Promise<void> {
  const { sql, createPayment, requests } = options;
  const { checkoutId } = request;
  const result = await createPayment(request.request);
  requests.inc({ outcome: result.ok ? 'created' : result.error.code });
  // The PIX is shown when PaymentCreated arrives: the event is what lasts, not this answer.
  if (result.ok) await finishPaymentRequest(sql, checkoutId);
  else await settleTrouble(options, request, result.error);
}

async function settleTrouble(
  { sql, log, onMessage }: PaymentRequestsOptions,
  request: PaymentRequest,
  problem: RequestProblem,
): Promise<void> {
  const { checkoutId, attempts, round, requestedAt, isCustomerTold, leadId } = request;
  const { code, message } = problem;
  const waitedMs = Date.now() - requestedAt.getTime();
  const isFinal = code !== 'unavailable' || waitedMs > paymentGiveUpMs;
  const isToTell = isFinal || (!isCustomerTold && waitedMs > paymentTellMs);
  log.warn({ checkoutId, attempts, code, reason: message, isFinal }, 'no charge was opened');
  await sql.begin(async (tx) => {
    const loaded = isToTell ? await findLead(tx, leadId) : null;
    if (isFinal) await failPaymentRequest(tx, checkoutId, message);
    else {
      const afterMs = paymentRetryMs(attempts);
      const told = isCustomerTold || isToTell;
      const postponement = { afterMs, error: message, isCustomerTold: told };
      await postponePaymentRequest(tx, checkoutId, postponement);
    }
    if (!loaded) return;
    const decision = decide(loaded.lead, { type: 'ReportTrouble', checkoutId, round, isFinal });
    const at = new Date().toISOString();
    await saveDecision(tx, loaded, decision, { at, causationId: checkoutId });
  });
  if (isToTell) onMessage();
}
