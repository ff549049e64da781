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
  findCharge,
  isOpen,
  type OpenCharge,
  type Question,
  takeQuestion,
} from './adapters/charges.ts';
import { GatewayError } from './adapters/gateway-http.ts';
import { evolve, initialState, type OpenPayment, type PaymentEvent } from './core/payment.ts';
import {
  balanceAtGateway,
  balanceHere,
  balanceOfStray,
  isDifferent,
} from './core/reconciliation.ts';
import type { Schedule } from './core/schedule.ts';
import { type Observe, streamOf } from './observing.ts';
import { type AskAboutStray, type StrayAnswer, StrayAskedError } from './straying.ts';

type Request = RequestOf<typeof paymentsReconcile>;
type Reply = ReplyOf<typeof paymentsReconcile>;

export interface ReconcilingOptions {
  readonly sql: Sql;
  readonly observe: Observe;
  readonly askAboutStray: AskAboutStray;
  readonly schedule: Schedule;
}

export function reconcilePayment(options: ReconcilingOptions) {
  const { sql, schedule } = options;
  const { minIntervalMs } = schedule;
  return async ({ workspaceId, paymentId }: Request): Promise<RequestResult<Reply>> => {
    const charge = await findCharge(sql, paymentId);
    if (!charge || !isOpen(charge) || charge.workspaceId !== workspaceId) {
      const message = `There is no payment ${paymentId} in ${workspaceId}.`;
      return { ok: false, error: { code: 'not_found', message } };
    }
    const before = await paymentOf(sql, paymentId);
    const question = await takeQuestion(sql, paymentId, minIntervalMs);
    if (!question) {
      const own = {
        ...keyOf(charge),
        answer: notAsked('asked less than a minute ago', minIntervalMs),
      };
      const unchanged = { charge, payment: before };
      return { ok: true, value: replyOf([own], unchanged, unchanged) };
    }
    const asked = question.charge;
    const own = { ...keyOf(asked), answer: await askAbout(question, before, options) };
    const strays = await askAboutStrays(asked, options);
    const payment = await paymentOf(sql, paymentId);
    const now = await findCharge(sql, paymentId);
    const after = { charge: now && isOpen(now) ? now : asked, payment };
    return {
      ok: true,
      value: replyOf([own, ...strays], { charge: asked, payment: before }, after),
    };
  };
}

/** What came of the question about one charge; amounts as in the reply. */
type Answer = Pick<
  Reply,
  'statusAtGateway' | 'keptCentsAtGateway' | 'isDifferent' | 'retryInMs' | 'problem'
>;

interface ChargeKey {
  readonly accountId: string;
  readonly chargeId: string;
}

type Answered = ChargeKey & { readonly answer: Answer };

const keyOf = ({ accountId, opened }: OpenCharge): ChargeKey => ({
  accountId,
  chargeId: opened.gatewayChargeId,
});

const notAsked = (problem: string, retryInMs: number | null): Answer => ({
  statusAtGateway: null,
  keptCentsAtGateway: null,
  isDifferent: false,
  retryInMs,
  problem,
});

async function askAbout(
  question: Question,
  before: OpenPayment,
  { observe, schedule }: ReconcilingOptions,
): Promise<Answer> {
  const observation = await observe(question).catch(unlessAway);
  if (observation instanceof GatewayError) return notAsked(observation.message, null);
  if (observation.kind === 'overtaken') {
    return notAsked('asked by somebody else meanwhile', schedule.minIntervalMs);
  }
  const statusAtGateway = observation.report?.statusAtGateway ?? null;
  const retryInMs = null;
  if (observation.kind === 'mismatch') {
    const { disproof: problem } = observation;
    const keptCentsAtGateway = null;
    return { statusAtGateway, keptCentsAtGateway, isDifferent: true, retryInMs, problem };
  }
  const there = balanceAtGateway(observation.report, before);
  return {
    statusAtGateway,
    keptCentsAtGateway: there === null ? null : there.keptCents,
    isDifferent: there === null || isDifferent(balanceHere(before), there),
    retryInMs,
    problem: observation.contradiction,
  };
}

/** Only a webhook asks about them otherwise, and if that is lost nobody does. */
async function askAboutStrays(
  charge: OpenCharge,
  { sql, askAboutStray }: ReconcilingOptions,
): Promise<Answered[]> {
  const { paymentId, amountCents } = charge;
  const answers: Answered[] = [];
  for (const key of await findStrayAttempts(sql, paymentId)) {
    const stray = { charge, ...key, isKnown: true };
    const found = await askAboutStray(stray, `reconciliation-${paymentId}`).catch(unlessAway);
    answers.push({ ...key, answer: strayAnswer(found, amountCents) });
  }
  return answers;
}

function strayAnswer(found: StrayAnswer | GatewayError, amountCents: number): Answer {
  if (found instanceof GatewayError) {
    return notAsked(found.message, found instanceof StrayAskedError ? found.retryInMs : null);
  }
  const { finding, report, disproof } = found;
  const statusAtGateway = report?.statusAtGateway ?? null;
  const there = report && balanceOfStray(report, amountCents);
  // The gateway that knows no such charge has no money for it either.
  const keptCents = report === null ? 0 : (there?.keptCents ?? null);
  const isMismatch = finding === 'mismatch';
  return {
    statusAtGateway,
    keptCentsAtGateway: isMismatch ? null : keptCents,
    isDifferent: isMismatch || finding === 'accepted' || keptCents !== 0,
    retryInMs: null,
    problem: disproof === null ? strayProblem(finding, statusAtGateway, keptCents) : disproof,
  };
}

function strayProblem(
  finding: StrayAnswer['finding'],
  statusAtGateway: string | null,
  keptCents: number | null,
): string | null {
  if (keptCents === null) return `unknown status ${statusAtGateway}`;
  if (finding === 'accepted') return 'the payment was paid by this charge, that nobody was shown';
  const isSurplus = finding === 'surplus' && keptCents > 0;
  return isSurplus ? 'the payment was paid a second time by this charge: give that back' : null;
}

/** A gateway that is away is an answer of its own kind: why there is none. */
function unlessAway(error: unknown): GatewayError {
  if (!(error instanceof GatewayError)) throw error;
  return error;
}

async function paymentOf(sql: Sql, paymentId: string): Promise<OpenPayment> {
  const history = (await readStream(sql, streamOf(paymentId))) as unknown as PaymentEvent[];
  const state = history.reduce(evolve, initialState);
  if (state.status === 'none') throw new Error(`payment ${paymentId} is open without a history`);
  return state;
}

interface Standing {
  /** The one that counts for the payment. */
  readonly charge: OpenCharge;
  readonly payment: OpenPayment;
}

/** @param answers the own charge's first. */
function replyOf(answers: [Answered, ...Answered[]], before: Standing, after: Standing): Reply {
  const { paymentId, amountCents, currency } = before.charge;
  const keptBy = ({ accountId, chargeId }: ChargeKey, { charge, payment }: Standing): number => {
    const counts = keyOf(charge);
    const isIt = counts.accountId === accountId && counts.chargeId === chargeId;
    return isIt ? balanceHere(payment).keptCents : 0;
  };
  const entryOf = ({ answer, ...key }: Answered) => ({
    accountId: key.accountId,
    keptCentsBefore: keptBy(key, before),
    keptCentsHere: keptBy(key, after),
    ...answer,
    statusAtGateway: answer.statusAtGateway?.slice(0, 256) ?? null,
    problem: answer.problem?.slice(0, 1024) ?? null,
  });
  const [own, ...strays] = answers;
  return {
    paymentId,
    amountCents,
    currency,
    statusBefore: before.payment.status,
    statusHere: after.payment.status,
    ...entryOf(own),
    strays: strays.map(entryOf),
  };
}
