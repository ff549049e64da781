import { Counter, Gauge, Histogram, type Registry, type Sql } from '@rastro/runtime';
import type { Outcome } from '../core/outcome.ts';
import type { Lane } from './lane.ts';

export interface Metrics {
  /** After each call. */
  called(lane: Lane, call: { outcome: Outcome; events: number; durationMs: number }): void;
}

/** What an operator watches: what Meta answers, how late we are, which pixel stands still. */
export function addMetrics(registry: Registry, sql: Sql): Metrics {
  const sent = new Counter({
    name: 'rastro_conversions_sent_total',
    help: 'Events that took part in a call to Meta, by how the call ended.',
    labelNames: ['pixel', 'event', 'outcome', 'code', 'subcode'],
    registers: [registry],
  });
  const duration = new Histogram({
    name: 'rastro_meta_call_seconds',
    help: 'Duration of calls to Meta.',
    labelNames: ['event', 'outcome'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8],
    registers: [registry],
  });
  addLedgerGauges(registry, sql);
  return {
    called({ pixelId, eventName }, { outcome, events, durationMs }) {
      const { kind, code, subcode } = outcome;
      sent.inc(
        {
          pixel: pixelId,
          event: eventName,
          outcome: kind,
          code: code ?? '',
          subcode: subcode ?? '',
        },
        events,
      );
      duration.observe({ event: eventName, outcome: kind }, durationMs / 1_000);
    },
  };
}

function addLedgerGauges(registry: Registry, sql: Sql): void {
  const oldest = new Gauge({
    name: 'rastro_conversions_oldest_unsent_seconds',
    help: 'Age of the oldest event that is due and that Meta has not confirmed.',
    labelNames: ['pixel', 'event'],
    registers: [registry],
    async collect() {
      const rows = await sql<{ pixelId: string; eventName: string; age: number }[]>`
        select pixel_id, event_name,
          extract(epoch from now() - min(to_timestamp(event_time)))::float8 as age
        from conversions
        where state in ('waiting', 'due', 'unconfirmed', 'sending', 'parked') and due_at <= now()
        group by pixel_id, event_name`.catch(() => []);
      oldest.reset();
      for (const { pixelId, eventName, age } of rows) {
        oldest.set({ pixel: pixelId, event: eventName }, age);
      }
    },
  });
  const parked = new Gauge({
    name: 'rastro_pixels_parked',
    help: 'Pixels whose token or set-up Meta refuses.',
    registers: [registry],
    async collect() {
      const [row] = await sql<{ count: number }[]>`
        select count(*) as count from pixels where state = 'parked'`.catch(() => []);
      if (row) parked.set(row.count);
    },
  });
}
