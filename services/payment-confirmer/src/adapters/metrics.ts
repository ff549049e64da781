/** What an operator watches. */
import { Counter, createMetrics, Histogram, type Registry } from '@rastro/runtime';

export interface Metrics {
  readonly registry: Registry;
  /** As they come in: accepted, duplicate, unproven, forged, stale, malformed, unchecked. */
  readonly webhooks: Counter<'kind' | 'outcome'>;
  /** What became of the accepted ones. */
  readonly webhooksProcessed: Counter<'kind' | 'outcome'>;
  /** Status changes. */
  readonly payments: Counter<'status'>;
  /** Words about a charge that contradict what we asked for: somebody should look. */
  readonly mismatches: Counter<'kind' | 'source'>;
  /** Statuses that are unknown or impossible: somebody should look. */
  readonly contradictions: Counter<'kind'>;
  /** Each account that was asked for a charge, and whether it made one. */
  readonly attempts: Counter<'kind' | 'outcome'>;
  /** Money for a charge that no customer was shown: somebody should look. */
  readonly strays: Counter<'kind' | 'outcome'>;
  readonly gatewaySeconds: Histogram<'kind' | 'operation' | 'outcome'>;
}

export function createPaymentMetrics(service: string): Metrics {
  const registry = createMetrics(service);
  const registers = [registry];
  return {
    registry,
    webhooks: new Counter({
      name: 'rastro_webhooks_total',
      help: 'Webhooks received, by kind of account and outcome',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    webhooksProcessed: new Counter({
      name: 'rastro_webhooks_processed_total',
      help: 'Accepted webhooks, by what became of them',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    payments: new Counter({
      name: 'rastro_payments_total',
      help: 'Payments that came to a status',
      labelNames: ['status'],
      registers,
    }),
    mismatches: new Counter({
      name: 'rastro_payment_mismatches_total',
      help: 'Amount, currency, reference or account was not as asked for; nothing was changed',
      labelNames: ['kind', 'source'],
      registers,
    }),
    contradictions: new Counter({
      name: 'rastro_payment_contradictions_total',
      help: 'The gateway reported an unknown or impossible status; nothing was changed',
      labelNames: ['kind'],
      registers,
    }),
    attempts: new Counter({
      name: 'rastro_charge_attempts_total',
      help: 'Accounts asked for a charge, by whether one was opened and why not',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    strays: new Counter({
      name: 'rastro_payment_stray_charges_total',
      help: 'Money for a charge that no customer was shown: accepted, or a surplus to give back',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    gatewaySeconds: new Histogram({
      name: 'rastro_gateway_request_seconds',
      help: 'How long gateways take to answer',
      labelNames: ['kind', 'operation', 'outcome'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8],
      registers,
    }),
  };
}
