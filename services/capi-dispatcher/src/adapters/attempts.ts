/** Every call to Meta, kept without anything that names a person or opens a door. */
import type { Queryable } from '@rastro/runtime';
import type { Outcome } from '../core/outcome.ts';
import type { Claimed, Lane } from './lane.ts';

export interface Attempt {
  readonly id: string;
  readonly lane: Lane;
  readonly conversionIds: readonly string[];
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly outcome: Outcome;
  readonly request: unknown;
  readonly answer: string | null;
}

/** Writing down the same call again, after a commit whose answer got lost, changes nothing. */
export async function recordAttempt(sql: Queryable, attempt: Attempt): Promise<void> {
  const { lane, outcome } = attempt;
  await sql`
    insert into attempts (id, workspace_id, pixel_id, event_name, conversion_ids, started_at,
      duration_ms, outcome, http_status, code, subcode, fbtrace_id, messages, reason, request, answer)
    values (${attempt.id}, ${lane.workspaceId}, ${lane.pixelId}, ${lane.eventName},
      ${attempt.conversionIds as string[]}::uuid[], ${attempt.startedAt}, ${attempt.durationMs},
      ${outcome.kind}, ${outcome.httpStatus}, ${outcome.code}, ${outcome.subcode},
      ${outcome.fbtraceId}, ${sql.json(outcome.messages as never)}, ${outcome.reason || null},
      ${sql.json(attempt.request as never)}, ${attempt.answer})
    on conflict (id) do nothing`;
}

const shownEvents = 20;
const shownAnswerChars = 4_000;

/** Which events with which keys: enough to see what Meta was told, not about whom. */
export function redactRequest(rows: readonly Claimed[]): unknown {
  return {
    events: rows.length,
    test_event_code: rows[0]?.testEventCode ?? null,
    data: rows.slice(0, shownEvents).map(({ body }) => redactEvent(body)),
  };
}

function redactEvent(body: string): unknown {
  const { user_data: userData, ...rest } = JSON.parse(body) as { user_data: object };
  const keys = Object.entries(userData).map(([key, value]) => [key, redactValue(value)]);
  const { event_source_url: url, ...event } = rest as { event_source_url?: string };
  return {
    ...event,
    // The query carries the click id and whatever else the ad's link said.
    event_source_url: url?.split('?')[0],
    user_data: Object.fromEntries(keys) as unknown,
  };
}

function redactValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redactValue);
  return typeof value === 'string' ? `${value.slice(0, 4)}…(${value.length})` : null;
}

/** Meta may quote what it was sent: in its answer, and so in the reason that we keep. */
export function redactor(rows: readonly Claimed[], token: string): (text: string) => string {
  const values = rows.slice(0, shownEvents).flatMap(({ body }) => valuesOf(body));
  const escaped = values.map((value) => JSON.stringify(value).slice(1, -1));
  const secrets = [...new Set([token, ...values, ...escaped])];
  return (text) =>
    secrets
      .reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
      .replaceAll(/[0-9a-f]{64}/g, '[hash]')
      .replaceAll(/\b\d{1,3}(\.\d{1,3}){3}\b/g, '[ip]')
      // Postgres keeps no NUL in text.
      .replaceAll('\u0000', '')
      .slice(0, shownAnswerChars);
}

/** @param redact from {@link redactor}. */
export function redactOutcome(outcome: Outcome, redact: (text: string) => string): Outcome {
  const messages = outcome.messages.map((message) =>
    redact(typeof message === 'string' ? message : JSON.stringify(message)),
  );
  return { ...outcome, messages, reason: redact(outcome.reason) };
}

function valuesOf(body: string): string[] {
  const { user_data: userData } = JSON.parse(body) as { user_data: object };
  const values = Object.values(userData).flat() as unknown[];
  return values.filter((value): value is string => typeof value === 'string' && value.length > 3);
}
