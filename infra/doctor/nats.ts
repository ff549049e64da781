/** NATS: the server, its streams, who pulls from them, and what nobody could handle. */
import { setTimeout as delay } from 'node:timers/promises';
import { paymentsCreate } from '@rastro/events';
import {
  ask,
  type ConsumerReport,
  inspectConsumer,
  inspectStreams,
  type Nats,
  type StreamReport,
} from '@rastro/messaging';
import { type Durable, durables } from './durables.ts';
import { failed, type Finding, inTime, ok, startAgain, warning, wordsOf } from './finding.ts';

/** Each question by itself: one that fails is a finding, and the others go on. */
export async function lookAtNats(nats: Nats): Promise<Finding[]> {
  const found = await Promise.all([
    inTime(inspectStreams(nats)).then(
      (reports) => reports.flatMap(judgeStream),
      (error: unknown) => [
        failed({ check: 'streams', subject: 'NATS' }, wordsOf(error), startAgain('nats')),
      ],
    ),
    ...durables.map((durable) => lookAtDurable(nats, durable)),
    lookAtPaymentConfirmer(nats),
  ]);
  return found.flat();
}

async function lookAtDurable(nats: Nats, durable: Durable): Promise<Finding> {
  try {
    const look = () => inTime(inspectConsumer(nats, durable.stream, durable.name));
    const finding = judgeDurable(durable, await look(), Date.now());
    if (finding.status !== 'failed') return finding;
    // Between two pull requests there is none for a moment.
    await delay(500);
    return judgeDurable(durable, await look(), Date.now());
  } catch (error) {
    const about = { check: 'consumer', subject: durable.name };
    return failed(about, wordsOf(error), startAgain('nats'));
  }
}

/** It has no durable consumer; a request that makes no sense is refused by whoever is there. */
async function lookAtPaymentConfirmer({ connection }: Nats): Promise<Finding> {
  const about = { check: 'requests', subject: 'payment-confirmer' };
  const result = await ask(connection, paymentsCreate, {} as never, 2_000);
  const isThere = result.ok || result.error.code === 'invalid_request';
  if (isThere) return ok(about, 'answers');
  return failed(about, 'nobody answers: no PIX can be made', startAgain('payment-confirmer'));
}

export function judgeStream(report: StreamReport): Finding[] {
  const { stream, isThere, messages } = report;
  const about = { check: 'stream', subject: stream };
  if (!isThere) {
    return [failed(about, 'does not exist; every service makes it at its start', 'npm start')];
  }
  const settings = judgeSettings(report);
  if (stream !== 'DEAD') return [settings];
  const dead = { check: 'dead letters', subject: stream };
  if (messages === 0) return [settings, ok(dead, 'none')];
  const list = 'pnpm rastro dead list, then pnpm rastro dead replay <sequence>';
  return [settings, failed(dead, `${messages} messages that nobody could handle`, list)];
}

function judgeSettings({ stream, differences, messages }: StreamReport): Finding {
  const about = { check: 'stream', subject: stream };
  if (differences.length === 0) return ok(about, `${messages} messages`);
  const list = differences.map(
    ({ setting, actual, wanted }) =>
      `${setting} is ${JSON.stringify(actual)}, wanted ${JSON.stringify(wanted)}`,
  );
  const mend =
    'start a service again (npm start, or docker compose restart tracking-store): it sets what can be changed and names what cannot; NATS_REPLICAS has to be the same everywhere';
  return failed(about, list.join('; '), mend);
}

/** A pull request waits at the server nearly always; a full hand is the exception. */
const recentMs = 30_000;
const manyPending = 10_000;

/** @param nowMs Unix milliseconds. */
export function judgeDurable(
  { service, name, stream }: Durable,
  report: ConsumerReport | null,
  nowMs: number,
): Finding {
  const about = { check: 'consumer', subject: name };
  if (report === null) {
    return failed(about, `stream ${stream} has no such durable consumer`, startAgain(service));
  }
  const { pulls, pending, underWay, redelivered, lastActiveMs } = report;
  const counts = `${pending} wait, ${underWay} under way, ${redelivered} again`;
  const isBusy = underWay > 0 && lastActiveMs !== null && nowMs - lastActiveMs < recentMs;
  if (pulls === 0 && !isBusy) {
    return failed(
      about,
      `${service} is not running: nobody pulls (${counts})`,
      startAgain(service),
    );
  }
  if (pending > manyPending) {
    return warning(about, `${service} lags behind: ${counts}`, null);
  }
  if (redelivered > 0) {
    const hint = `the log of ${service} says why it fails; what cannot be handled becomes a dead letter: pnpm rastro dead list`;
    return warning(about, `${service} is at some for the second time: ${counts}`, hint);
  }
  return ok(about, counts);
}
