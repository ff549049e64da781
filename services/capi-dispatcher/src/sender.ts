/** Sends the rows of one lane, call after call, and settles each call before the next. */
import { type Logger, newId, type Sql } from '@rastro/runtime';
import { setTimeout as delay } from 'node:timers/promises';
import { type Attempt, keptAnswer, redactRequest } from './adapters/attempts.ts';
import type { Claims } from './adapters/claims.ts';
import type { Graph } from './adapters/graph.ts';
import type { Claimed, Lane } from './adapters/lane.ts';
import type { Metrics } from './adapters/metrics.ts';
import { type Call, settle } from './adapters/settlements.ts';
import type { Token, Tokens } from './adapters/tokens.ts';
import { classify, type Outcome } from './core/outcome.ts';
import { batchLimits, type Pace } from './core/pace.ts';
import { redactedReply } from './core/redaction.ts';
import { requestsOf } from './core/requests.ts';
import { requestBody } from './core/server-event.ts';

export interface SenderOptions {
  readonly sql: Sql;
  readonly claims: Claims;
  readonly graph: Graph;
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly pace: Pace;
  /** Leases whose answer is here and not written down yet; the sweep leaves them alone. */
  readonly answered: Set<string>;
  readonly signal: AbortSignal;
}

/** With what and for what a lane is sent. */
export interface Errand {
  readonly lane: Lane;
  readonly token: Token;
  readonly failedTokens: readonly string[];
  readonly isProbe: boolean;
  /** Aborted once another one does this errand: whoever wakes after that touches nothing. */
  readonly signal: AbortSignal;
}

export function createSender(options: SenderOptions) {
  const { claims, pace, signal } = options;

  /** Until nothing is due, Meta wants no more for now, or the lane's turn is over. */
  async function drain(errand: Errand): Promise<void> {
    const { lane } = errand;
    const limit = batchLimits[lane.eventName];
    const endsAt = performance.now() + pace.laneTurnMs;
    for (let isFull = false; !signal.aborted && performance.now() < endsAt;) {
      // PageViews gather for a moment; a Purchase waits for nobody.
      if (lane.eventName === 'PageView' && !isFull) await delay(pace.lingerMs);
      const leasedAt = performance.now();
      const rows = await whileOurs(errand, claims.claim(lane, limit));
      if (rows.length === 0 || !(await deliverAll(rows, errand, leasedAt))) return;
      isFull = rows.length === limit;
    }
  }

  /** @returns whether there was a row to probe with. */
  async function probe(errand: Errand): Promise<boolean> {
    const leasedAt = performance.now();
    const [row] = await whileOurs(errand, claims.claimProbe(errand.lane));
    if (!row) return false;
    const lane = { ...errand.lane, eventName: row.eventName };
    await deliverAll([row], { ...errand, lane }, leasedAt);
    return true;
  }

  /** @param leasedAt no later than the lease began. */
  function deliverAll(
    rows: readonly Claimed[],
    errand: Errand,
    leasedAt: number,
  ): Promise<boolean> {
    return sendBatches(options, requestsOf(rows), errand, leasedAt);
  }
  return { drain, probe };
}

/** @throws when the errand was given up meanwhile: the rows may be in other hands by now. */
async function whileOurs<T>({ signal }: Errand, work: Promise<T>): Promise<T> {
  const result = await work;
  signal.throwIfAborted();
  return result;
}

/**
 * A batch in which Meta finds fault is bisected until the culprit stands alone, for one bad event
 * makes Meta refuse all that came with it.
 * @returns whether the lane may go on.
 */
async function sendBatches(
  options: SenderOptions,
  batches: Claimed[][],
  errand: Errand,
  leasedAt: number,
): Promise<boolean> {
  const { claims, pace } = options;
  let isFirst = true;
  const endsAt = leasedAt + pace.laneBoundMs / 2;
  for (let batch = batches.shift(); batch; batch = batches.shift()) {
    // A long search goes on in another turn, with the culprits gone that were found in this one.
    if (!isFirst && performance.now() > endsAt) {
      await Promise.all([batch, ...batches].map((rest) => claims.release(rest)));
      return false;
    }
    // A lease that could run out during the call would let another dispatcher send the same.
    const isShort = performance.now() - leasedAt > pace.leaseMs - pace.callTimeoutMs - 1_000;
    const waiting = batches.flat();
    const rows =
      isFirst && !isShort ? batch : await whileOurs(errand, claims.renew(batch, waiting));
    isFirst = false;
    if (rows.length === 0) continue;
    const outcome = await whileOurs(errand, sendOnce(options, rows, errand));
    if (outcome.kind === 'rejected' && rows.length > 1) {
      const middle = Math.ceil(rows.length / 2);
      batches.unshift(rows.slice(0, middle), rows.slice(middle));
    } else if (outcome.kind !== 'accepted' && outcome.kind !== 'rejected') {
      await Promise.all(batches.map((rest) => claims.release(rest)));
      return false;
    }
  }
  return true;
}

async function sendOnce(
  options: SenderOptions,
  rows: readonly Claimed[],
  errand: Errand,
): Promise<Outcome> {
  const { graph, log, metrics, tokens } = options;
  const { lane, token, failedTokens, isProbe } = errand;
  const { pixelId } = lane;
  const startedAt = new Date();
  const started = performance.now();
  const testEventCode = rows[0]?.testEventCode ?? null;
  const bodies = rows.map(({ body }) => body);
  const body = requestBody(bodies, testEventCode);
  const reply = await whileOurs(errand, graph.send({ pixelId, token: token.value, body }));
  const durationMs = Math.round(performance.now() - started);
  const redacted = redactedReply(reply, { bodies, token: token.value });
  const outcome = classify(redacted, rows.length);
  const answer = keptAnswer(redacted);
  metrics.called(lane, { outcome, events: rows.length, durationMs });
  logAnswer(log, lane, rows, { outcome, answer, durationMs });
  const attempt: Attempt = {
    id: newId(),
    lane,
    startedAt,
    durationMs,
    outcome,
    answer,
    conversionIds: rows.map(({ id }) => id),
    request: redactRequest(rows),
  };
  const failed = [...failedTokens, token.fingerprint];
  const hasOtherToken = tokens.fresh(lane, failed) !== undefined;
  const { fingerprint } = token;
  // A batch that is about to be bisected stays leased; only its attempt is written down.
  const settled = outcome.kind === 'rejected' && rows.length > 1 ? [] : rows;
  const call = { lane, outcome, attempt, fingerprint, isProbe, hasOtherToken };
  const lease = rows[0]?.lease ?? '';
  const { answered } = options;
  answered.add(lease);
  // Whoever takes over a lane that hangs takes over its leases as well.
  errand.signal.addEventListener('abort', () => answered.delete(lease), { once: true });
  try {
    await settleStubbornly(options, settled, call, errand);
  } finally {
    answered.delete(lease);
  }
  return outcome;
}

const settleTries = 60;

/** Meta's answer is worth more than a moment of Postgres' absence. */
async function settleStubbornly(
  options: SenderOptions,
  rows: readonly Claimed[],
  call: Call,
  errand: Errand,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await settle(options, rows, call);
    } catch (error) {
      options.log.error({ err: error, tries }, 'an outcome could not be written down');
      if (tries >= (options.signal.aborted ? 10 : settleTries)) throw error;
      await whileOurs(errand, delay(Math.min(1_000, 50 * 2 ** tries)));
    }
  }
}

const shownIds = 20;

function logAnswer(
  log: Logger,
  { workspaceId, pixelId, eventName }: Lane,
  rows: readonly Claimed[],
  call: { outcome: Outcome; answer: string | null; durationMs: number },
): void {
  const { kind, httpStatus, code, subcode, fbtraceId, messages, reason } = call.outcome;
  const level = kind === 'accepted' ? 'info' : 'warn';
  log[level](
    {
      workspaceId,
      pixelId,
      eventName,
      events: rows.length,
      eventIds: rows.slice(0, shownIds).map(({ eventId }) => eventId),
      attempts: Math.max(...rows.map(({ attempts }) => attempts)),
      outcome: kind,
      httpStatus,
      code,
      subcode,
      fbtraceId,
      messages,
      reason,
      durationMs: call.durationMs,
      answer: call.answer,
    },
    '[META RAW RESPONSE]',
  );
}
