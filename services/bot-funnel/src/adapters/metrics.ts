import { Counter, Gauge, type Registry } from '@rastro/runtime';

export function createFunnelMetrics(registry: Registry) {
  const registers = [registry];
  return {
    updates: new Counter({
      name: 'rastro_telegram_updates_total',
      help: 'Customer updates stored in stream UPDATES.',
      labelNames: ['type'] as const,
      registers,
    }),
    sends: new Counter({
      name: 'rastro_telegram_sends_total',
      help: 'Attempts to send a message, by how they ended.',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    requests: new Counter({
      name: 'rastro_payment_requests_total',
      help: 'Answers of payment-confirmer to requests for a charge.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    botHealth: new Gauge({
      name: 'rastro_bot_health',
      help: 'Share of its visitors that a bot may get: 0 out of rotation, 1 healthy.',
      labelNames: ['bot'] as const,
      registers,
    }),
  };
}
