/**
 * How Meta judges the events that it receives: what an answer of the Dataset Quality API says, and
 * when to ask again. Every figure may be missing; what cannot be read is left out, not refused.
 * @see Meta, "Dataset Quality API"
 */
import { parseJson } from '@rastro/events';
import { classify, type Diagnosis, type Reply } from './outcome.ts';
import { storable } from './storable-text.ts';

/** One event of one pixel. Shares are percentages, 0–100. */
export interface EventQuality {
  readonly eventName: string;
  /** Event Match Quality, 0–10; Meta recommends 6.0 and more. */
  readonly compositeScore: number | null;
  /** How many events carry each key, by Meta's names (`email`, `ip_address`, `fbc`, …). */
  readonly matchKeys: readonly { readonly identifier: string; readonly percentage: number }[];
  /** Of the Pixel's events, how many the server sent, too. */
  readonly coverage: number | null;
  readonly coverageGoal: number | null;
  readonly dedupeKeys: readonly DedupeKey[];
  /** `real_time`, `hourly`, …: how soon after it happened an event arrives. */
  readonly uploadFrequency: string | null;
  /** Additional conversions reported: what the server adds to what the Pixel alone reports. */
  readonly acr: number | null;
  readonly diagnostics: readonly Diagnostic[];
}

export interface DedupeKey {
  readonly key: string;
  /** Of the browser's events, and of the server's, how many carry it. */
  readonly browser: number | null;
  readonly server: number | null;
  /** Of the browser's events, how many it joined with one of the server. */
  readonly joined: number | null;
}

export interface Diagnostic {
  readonly name: string;
  readonly description: string | null;
  /** What Meta says would mend it. */
  readonly solution: string | null;
  readonly percentage: number | null;
  readonly affected: number | null;
  readonly total: number | null;
}

export type Reading =
  | (Diagnosis & { readonly kind: 'read'; readonly events: readonly EventQuality[] })
  | (Diagnosis & {
      /** `refused`: this token may not read, or we ask wrongly; neither passes by itself. */
      readonly kind: 'refused' | 'throttled' | 'failed';
      /** How long Meta wants to be left alone, where it says so. */
      readonly waitMs: number | null;
    });

/** `dedupe_…`: the table of Meta's documentation says `dedup_…`, which the API does not know. */
export const qualityFields =
  'web{event_name,event_match_quality{composite_score,' +
  'match_key_feedback{identifier,coverage{percentage}},' +
  'diagnostics{name,description,solution,percentage,affected_event_count,total_event_count}},' +
  'event_coverage{percentage,goal_percentage},' +
  'dedupe_key_feedback{dedupe_key,browser_events_with_dedupe_key{percentage},' +
  'server_events_with_dedupe_key{percentage},overall_browser_coverage_from_dedupe_key{percentage}},' +
  'data_freshness{upload_frequency},acr{percentage}}';

export interface QualityPace {
  /** How often it is looked whose turn it is; also how long after a start the first look comes. */
  readonly lookEveryMs: number;
  /** How long a reading is good. */
  readonly everyMs: number;
  /** How long a refusal is believed, unless the token changes. */
  readonly refusedEveryMs: number;
  /** How long after a failure, or after being throttled, one may ask again. */
  readonly retryMs: number;
}

const hourMs = 3_600_000;

/** Meta itself averages over 7 days: nothing is gained by asking often. */
export const defaultQualityPace: QualityPace = {
  lookEveryMs: 60_000,
  everyMs: 6 * hourMs,
  refusedEveryMs: 24 * hourMs,
  retryMs: hourMs / 2,
};

export function nextReadingMs(reading: Reading, pace: QualityPace): number {
  if (reading.kind === 'read') return pace.everyMs;
  if (reading.kind === 'refused') return pace.refusedEveryMs;
  return Math.max(pace.retryMs, reading.waitMs ?? 0);
}

export function readingOf(reply: Reply): Reading {
  const outcome = classify(reply, 0);
  const json = reply.kind === 'answered' ? parseJson(reply.body) : null;
  const answer = json?.ok ? json.value : null;
  const isAnswer = isRecord(answer) && !('error' in answer) && Array.isArray(answer['web']);
  const status = outcome.httpStatus ?? 0;
  if (isAnswer && status >= 200 && status < 300) {
    const events = bounded(answer['web'], maxEvents, eventOf);
    return { ...outcome, kind: 'read', reason: '', events };
  }
  const isRefused = outcome.kind === 'parked' || outcome.kind === 'rejected';
  if (isRefused) return { ...outcome, kind: 'refused' };
  if (outcome.kind === 'throttled') return { ...outcome, kind: 'throttled' };
  const isSuccess = status >= 200 && status < 300;
  const reason = isSuccess ? `HTTP ${status}: not an answer that Meta documents` : outcome.reason;
  return { ...outcome, kind: 'failed', reason };
}

/** Of a pixel with many custom events, or an answer gone mad, this much is kept. */
const maxEvents = 100;
const maxEntries = 50;

function eventOf(value: unknown): EventQuality | null {
  const event = record(value);
  const eventName = text(event['event_name'], 128);
  if (eventName === null) return null;
  const match = record(event['event_match_quality']);
  const coverage = record(event['event_coverage']);
  return {
    eventName,
    compositeScore: number(match['composite_score']),
    matchKeys: bounded(match['match_key_feedback'], maxEntries, matchKeyOf),
    coverage: number(coverage['percentage']),
    coverageGoal: number(coverage['goal_percentage']),
    dedupeKeys: bounded(event['dedupe_key_feedback'], maxEntries, dedupeKeyOf),
    uploadFrequency: text(record(event['data_freshness'])['upload_frequency'], 64),
    acr: share(event['acr']),
    diagnostics: bounded(match['diagnostics'], maxEntries, diagnosticOf),
  };
}

function matchKeyOf(value: unknown): EventQuality['matchKeys'][number] | null {
  const { identifier, coverage } = record(value);
  const [name, percentage] = [text(identifier, 64), share(coverage)];
  return name === null || percentage === null ? null : { identifier: name, percentage };
}

function dedupeKeyOf(value: unknown): DedupeKey | null {
  const feedback = record(value);
  const key = text(feedback['dedupe_key'], 64);
  if (key === null) return null;
  return {
    key,
    browser: share(feedback['browser_events_with_dedupe_key']),
    server: share(feedback['server_events_with_dedupe_key']),
    joined: share(feedback['overall_browser_coverage_from_dedupe_key']),
  };
}

function diagnosticOf(value: unknown): Diagnostic | null {
  const diagnostic = record(value);
  const name = text(diagnostic['name'], 256);
  if (name === null) return null;
  return {
    name,
    description: text(diagnostic['description'], 1_024),
    solution: text(diagnostic['solution'], 1_024),
    percentage: number(diagnostic['percentage']),
    affected: number(diagnostic['affected_event_count']),
    total: number(diagnostic['total_event_count']),
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  isRecord(value) ? value : {};

function bounded<T>(value: unknown, limit: number, read: (item: unknown) => T | null): T[] {
  const items: unknown[] = Array.isArray(value) ? value.slice(0, limit) : [];
  return items.map(read).filter((item) => item !== null);
}

const share = (value: unknown): number | null => number(record(value)['percentage']);

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(value: unknown, maxLength: number): string | null {
  return typeof value === 'string' ? storable(value, maxLength) || null : null;
}
