import type { RastroEvent } from '@rastro/events';
import {
  Counter,
  Gauge,
  Histogram,
  type Queryable,
  type Registry,
  type Sql,
} from '@rastro/runtime';
import { endOf } from '../core/conversion.ts';
import type { Complaint } from '../core/lint.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Lane } from './lane.ts';

export interface Metrics {
  /** After each call. */
  called(lane: Lane, call: { outcome: Outcome; events: number; durationMs: number }): void;
  /** After an event's JSON was made, with what Meta is likely to complain of. */
  composed(lane: Lane, complaints: readonly Complaint[]): void;
  /** After events were published: what was said in public is what became of them. */
  announced(events: readonly RastroEvent[]): void;
}

/** What an operator watches: what Meta answers, how late we are, which pixel stands still. */
export function addMetrics(registry: Registry, sql: Sql): Metrics {
  addLedgerGauges(registry, sql);
  addQualityGauges(registry, sql);
  const complained = new Counter({
    name: 'rastro_conversions_complaints_total',
    help: 'Events that Meta is likely to complain of, by what of.',
    labelNames: ['pixel', 'event', 'complaint'],
    registers: [registry],
  });
  return {
    called: countCalls(registry),
    announced: countOutcomes(registry),
    composed({ pixelId, eventName }, complaints) {
      for (const { code } of complaints) {
        complained.inc({ pixel: pixelId, event: eventName, complaint: code });
      }
    },
  };
}

function countCalls(registry: Registry): Metrics['called'] {
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
  return ({ pixelId, eventName }, { outcome, events, durationMs }) => {
    const { kind, code, subcode } = outcome;
    sent.inc(
      { pixel: pixelId, event: eventName, outcome: kind, code: code ?? '', subcode: subcode ?? '' },
      events,
    );
    duration.observe({ event: eventName, outcome: kind }, durationMs / 1_000);
  };
}

/**
 * Counted as they are published, so that a day of the ledger need not be counted at each scrape.
 * Unconfirmed per million is `unconfirmed` over all the others; see the README.
 */
function countOutcomes(registry: Registry): Metrics['announced'] {
  const outcomes = new Counter({
    name: 'rastro_conversions_outcomes_total',
    help: 'Events by what became of them; one whose outcome was unknown counts there each time.',
    labelNames: ['pixel', 'event', 'outcome'],
    registers: [registry],
  });
  const skipped = new Counter({
    name: 'rastro_conversions_skipped_total',
    help: 'Events that are recorded and never sent, by reason.',
    labelNames: ['pixel', 'event', 'reason'],
    registers: [registry],
  });
  return (events) => {
    for (const event of events) {
      const outcome = outcomeOf(event);
      const { type, data } = event;
      if (outcome !== null && 'pixelId' in data && 'eventName' in data) {
        outcomes.inc({ pixel: data.pixelId ?? '', event: data.eventName, outcome });
      } else if (type === 'ConversionScheduled' && data.skippedReason !== null) {
        const { pixelId, eventName, skippedReason } = data;
        skipped.inc({ pixel: pixelId, event: eventName, reason: skippedReason });
      }
    }
  };
}

function outcomeOf({ type, data }: RastroEvent): string | null {
  if (type === 'ConversionAccepted') return 'accepted';
  if (type === 'ConversionUnconfirmed') return 'unconfirmed';
  return type === 'ConversionRejected' ? endOf(data) : null;
}

interface LaneAge {
  readonly pixelId: string;
  readonly eventName: string;
  readonly age: number;
}

/** Per lane; of a long queue the first thousand are looked at, whose oldest is the queue's. */
const lookedAt = 1_000;

/**
 * Three questions that each have a partial index of their own: a ledger of millions of accepted
 * events costs as much as an empty one.
 */
export function oldestUnsent(sql: Queryable): Promise<LaneAge[]> {
  return sql<LaneAge[]>`
    select pixel_id, event_name,
      extract(epoch from now() - to_timestamp(min(event_time)))::float8 as age
    from (
      select p.pixel_id, e.event_name, unsent.event_time
      from pixels p
      cross join (values ('Purchase'), ('PageView')) e(event_name)
      cross join lateral (
        (select event_time from conversions c
          where c.workspace_id = p.workspace_id and c.pixel_id = p.pixel_id
            and c.event_name = e.event_name and c.state in ('waiting', 'due', 'unconfirmed')
            and c.due_at <= now()
          order by c.due_at limit ${lookedAt})
        union all
        (select event_time from conversions c
          where c.workspace_id = p.workspace_id and c.pixel_id = p.pixel_id
            and c.event_name = e.event_name and c.state = 'parked'
          order by c.event_time limit 1)) unsent
      union all
      select pixel_id, event_name, event_time from conversions where state = 'sending') oldest
    group by pixel_id, event_name`;
}

function addLedgerGauges(registry: Registry, sql: Sql): void {
  const oldest = new Gauge({
    name: 'rastro_conversions_oldest_unsent_seconds',
    help: 'Age of the oldest event that is due and that Meta has not confirmed.',
    labelNames: ['pixel', 'event'],
    registers: [registry],
    async collect() {
      const rows = await oldestUnsent(sql).catch(() => []);
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

/** Of each pixel's last reading, while there is one of the last two days. */
function addQualityGauges(registry: Registry, sql: Sql): void {
  addQualityGauge(registry, sql, {
    name: 'rastro_meta_event_match_quality',
    help: 'Event Match Quality, 0 to 10, as Meta says; it recommends 6 and more.',
    column: 'composite_score',
  });
  addQualityGauge(registry, sql, {
    name: 'rastro_meta_event_coverage_percent',
    help: "Share of the Pixel's events that the server sent, too, as Meta says; its goal is 75.",
    column: 'coverage',
  });
}

function addQualityGauge(
  registry: Registry,
  sql: Sql,
  { name, help, column }: { name: string; help: string; column: 'composite_score' | 'coverage' },
): void {
  const gauge = new Gauge({
    name,
    help,
    labelNames: ['pixel', 'event'],
    registers: [registry],
    async collect() {
      const rows = await sql<{ pixelId: string; eventName: string; value: number | null }[]>`
        select q.pixel_id, q.event_name, q.${sql(column)} as value
        from quality_reads r join dataset_quality q
          on q.workspace_id = r.workspace_id and q.pixel_id = r.pixel_id
            and q.day = (r.read_at at time zone 'utc')::date and q.read_at = r.read_at
        where r.read_at > now() - interval '2 days'`.catch(() => []);
      gauge.reset();
      for (const { pixelId, eventName, value } of rows) {
        if (value !== null) gauge.set({ pixel: pixelId, event: eventName }, value);
      }
    },
  });
}
