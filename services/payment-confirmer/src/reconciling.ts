/**
 * `payments.reconcile`: the gateway is asked whatever the status, also about money that came long
 * ago, so that a refund or a stray charge whose webhook was lost is found and recorded.
 */
import { readStream } from '@rastro/event-store';
import type { paymentsReconcile, ReplyOf, RequestOf } from '@rastro/events';
import type { RequestResult } from '@rastro/messaging';
import type { Sql } from '@rastro/runtime';
import { findStrayAttempts } from './adapters/charge-attempts.ts';
import {
  type Charge,
  findCharge,
  isOpen,
  type OpenCharge,
  type Question,
  takeQuestion,
} from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import { evolve, initialState, type OpenPayment, type PaymentEvent } from './core/payment.ts';
import { balanceAtGateway, balanceHere, isDifferent } from './core/reconciliation.ts';
import type { Schedule } from './core/schedule.ts';
import { type Observe, streamOf } from './observing.ts';
import type { ObserveStray } from './straying.ts';

type Request = RequestOf<typeof paymentsReconcile>;
type Reply = ReplyOf<typeof paymentsReconcile>;

export interface ReconcilingOptions {
  readonly sql: Sql;
  readonly observe: Observe;
  readonly observeStray: ObserveStray;
  readonly schedule: Schedule;
}

export function reconcilePayment(options: ReconcilingOptions) {
  const { sql, schedule } = options;
  return async ({ workspaceId, paymentId }: Request): Promise<RequestResult<Reply>> => {
    const charge = await findCharge(sql, paymentId);
    if (!charge || !isOpen(charge) || charge.workspaceId !== workspaceId) {
      const message = `There is no payment ${paymentId} in ${workspaceId}.`;
      return { ok: false, error: { code: 'not_found', message } };
    }
    const before = await paymentOf(sql, paymentId);
    const question = await takeQuestion(sql, paymentId, schedule.minIntervalMs);
    if (!question) return { ok: true, value: replyOf(charge, before, before, notAsked(tooSoon)) };
    const own = await askAbout(question, before, options);
    const answer = await askAboutStrays(question.charge, own, options);
    const after = await paymentOf(sql, paymentId);
    const now = (await findCharge(sql, paymentId)) ?? charge;
    return { ok: true, value: replyOf(now, before, after, answer) };
  };
}

/** What came of the questions; amounts as in the reply. */
type Answer = Pick<Reply, 'statusAtGateway' | 'keptCentsAtGateway' | 'isDifferent' | 'problem'>;

const tooSoon = 'asked less than a minute ago';

const notAsked = (problem: string): Answer => ({
  statusAtGateway: null,
  keptCentsAtGateway: null,
  isDifferent: false,
  problem,
});

async function askAbout(
  question: Question,
  before: OpenPayment,
  { observe }: ReconcilingOptions,
): Promise<Answer> {
  const observation = await observe(question).catch(unlessAway);
  if (typeof observation === 'string') return notAsked(observation);
  if (observation.kind === 'overtaken') return notAsked('asked by somebody else meanwhile');
  const statusAtGateway = observation.report?.statusAtGateway.slice(0, 256) ?? null;
  if (observation.kind === 'mismatch') {
    const { disproof: problem } = observation;
    return { statusAtGateway, keptCentsAtGateway: null, isDifferent: true, problem };
  }
  const there = balanceAtGateway(observation.report, before);
  return {
    statusAtGateway,
    keptCentsAtGateway: there === null ? null : there.keptCents,
    isDifferent: there === null || isDifferent(balanceHere(before), there),
    problem: observation.contradiction,
  };
}

/** Only a webhook asks about them otherwise, and if that is lost nobody does. */
async function askAboutStrays(
  charge: OpenCharge,
  own: Answer,
  { sql, observeStray }: ReconcilingOptions,
): Promise<Answer> {
  let answer = own;
  const { paymentId, amountCents } = charge;
  for (const { accountId, chargeId } of await findStrayAttempts(sql, paymentId)) {
    const stray = { charge, accountId, chargeId, isKnown: true };
    const found = await observeStray(stray, `reconciliation-${paymentId}`).catch(unlessAway);
    const hasMoney = found === 'accepted' || found === 'surplus';
    const problem = strayProblem(accountId, found);
    answer = {
      ...answer,
      keptCentsAtGateway: hasMoney
        ? (answer.keptCentsAtGateway ?? 0) + amountCents
        : answer.keptCentsAtGateway,
      isDifferent: answer.isDifferent || hasMoney || found === 'mismatch',
      problem: [answer.problem, problem].filter((text) => text !== null).join('; ') || null,
    };
  }
  return answer;
}

function strayProblem(accountId: string, found: string): string | null {
  switch (found) {
    case 'not_yet':
    case 'nothing':
    case 'not_found':
      return null;
    case 'accepted':
      return `it was paid at ${accountId}, by a charge that nobody was shown`;
    case 'surplus':
      return `it was paid a second time at ${accountId}: give that back`;
    case 'mismatch':
      return `its other charge, at ${accountId}, is not what we asked for`;
    default:
      return `its other charge, at ${accountId}: ${found}`;
  }
}

/** A gateway that is away is an answer of its own kind: why there is none. */
function unlessAway(error: unknown): string {
  if (!(error instanceof GatewayError)) throw error;
  return error.message;
}

async function paymentOf(sql: Sql, paymentId: string): Promise<OpenPayment> {
  const history = (await readStream(sql, streamOf(paymentId))) as unknown as PaymentEvent[];
  const state = history.reduce(evolve, initialState);
  if (state.status === 'none') throw new Error(`payment ${paymentId} is open without a history`);
  return state;
}

function replyOf(charge: Charge, before: OpenPayment, after: OpenPayment, answer: Answer): Reply {
  const { paymentId, accountId, amountCents, currency } = charge;
  return {
    paymentId,
    accountId,
    amountCents,
    currency,
    statusBefore: before.status,
    statusHere: after.status,
    keptCentsBefore: balanceHere(before).keptCents,
    keptCentsHere: balanceHere(after).keptCents,
    ...answer,
    problem: answer.problem?.slice(0, 1024) ?? null,
  };
}
