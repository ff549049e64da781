/** How long a gateway waits for its 200, and how soon a payment is on JetStream. */
import { setTimeout as delay } from 'node:timers/promises';
import { eventFilter, type RastroEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { sampleSecrets } from '@rastro/testing';
import { Webhook } from 'standardwebhooks';
import { Pool } from 'undici';
import type { Figures } from './figures.ts';
import { type PaidCharge, type PaymentsDesk, startPaymentsDesk } from './payments-desk.ts';
import { loadSteadily, percentileOf, type SteadyAnswers } from './steady-load.ts';

const perSecond = 300;
const durationMs = 20_000;
const warmUpMs = 5_000;
const drainWithinMs = 60_000;

export async function measureWebhooks(): Promise<Figures> {
  await using desk = await startPaymentsDesk();
  // As a process that has run for a while: what is measured is not the compiler.
  await announce(desk, warmUpMs);
  const { answerMs, notOk, paidMs, handledAtEnd } = await announce(desk, durationMs);
  const answers = answerMs.toSorted();
  const payments = paidMs.toSorted();
  return {
    webhooks: answers.length,
    'not 200': notOk,
    'answer p50 ms': percentileOf(answers, 0.5),
    'answer p99 ms': percentileOf(answers, 0.99),
    'answer max ms': percentileOf(answers, 1),
    'paid by the last one': handledAtEnd,
    'PaymentPaid p50 ms': percentileOf(payments, 0.5),
    'PaymentPaid p99 ms': percentileOf(payments, 0.99),
    'PaymentPaid max ms': percentileOf(payments, 1),
  };
}

/** One webhook for each charge, at a constant rate; times in ms from when each one was due. */
async function announce(desk: PaymentsDesk, forMs: number) {
  const total = Math.round((perSecond * forMs) / 1_000);
  const charges = await desk.paidCharges(total);
  const numbers = new Map(charges.map(({ paymentId }, index) => [paymentId, index]));
  const paidAtMs = new Float64Array(total);
  await using payments = await watchPayments(desk, ({ paymentId, atMs }) => {
    const index = numbers.get(paymentId);
    if (index !== undefined) paidAtMs[index] = atMs;
  });
  const { latencyMs: answerMs, notOk, startedAtMs } = await postSteadily(desk.url, charges);
  const handledAtEnd = payments.seen();
  const deadline = performance.now() + drainWithinMs;
  while (payments.seen() < total) {
    if (performance.now() > deadline) throw new Error(`${payments.seen()} of ${total} were paid`);
    await delay(50);
  }
  const paidMs = paidAtMs.map((atMs, index) => atMs - startedAtMs - (index * 1_000) / perSecond);
  return { answerMs, notOk, paidMs, handledAtEnd };
}

/** When JetStream had each `PaymentPaid`, by its own clock, which is this machine's. */
async function watchPayments(
  { nats }: PaymentsDesk,
  onPaid: (paid: { paymentId: string; atMs: number }) => void,
): Promise<AsyncDisposable & { seen: () => number }> {
  let seen = 0;
  const consumer = await nats.js.consumers.get('COMMERCE', {
    filter_subjects: [eventFilter('PaymentPaid')],
    deliver_policy: 'new',
  });
  const messages = await consumer.consume({ max_messages: 1_000 });
  const reading = (async () => {
    for await (const message of messages) {
      const { data } = message.json<RastroEvent<'PaymentPaid'>>();
      onPaid({ paymentId: data.paymentId, atMs: message.info.timestampNanos / 1e6 });
      seen += 1;
    }
  })();
  return {
    seen: () => seen,
    [Symbol.asyncDispose]: async () => {
      messages.stop();
      await reading;
    },
  };
}

async function postSteadily(url: string, charges: readonly PaidCharge[]): Promise<SteadyAnswers> {
  const pool = new Pool(url, { connections: 64 });
  const verifier = new Webhook(sampleSecrets.webhookSecret);
  try {
    return await loadSteadily({
      total: charges.length,
      perSecond,
      send: (index) => post(pool, verifier, charges[index] as PaidCharge),
    });
  } finally {
    await pool.destroy();
  }
}

/** @returns the status, or null where there was no answer */
async function post(
  pool: Pool,
  verifier: Webhook,
  { paymentId, chargeId, amountCents }: PaidCharge,
): Promise<number | null> {
  const id = newId();
  const sentAt = new Date();
  const data = {
    charge_id: chargeId,
    external_reference: paymentId,
    amount_cents: amountCents,
    currency: 'BRL',
  };
  const body = JSON.stringify({ type: 'charge.paid', timestamp: sentAt.toISOString(), data });
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1_000)),
    'webhook-signature': verifier.sign(id, sentAt, body),
  };
  try {
    const answer = await pool.request({
      method: 'POST',
      path: '/webhooks/pix-sandbox',
      headers,
      body,
    });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return null;
  }
}
