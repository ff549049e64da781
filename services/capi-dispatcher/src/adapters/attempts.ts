/** Every call to Meta, kept without anything that names a person or opens a door. */
import type { Queryable } from '@rastro/runtime';
import type { Outcome, Reply } from '../core/outcome.ts';
import { storable } from '../core/storable-text.ts';
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

const keptEvents = 20;
const keptAnswerChars = 4_000;

/** What is kept of an answer that was redacted before. */
export function keptAnswer(reply: Reply): string | null {
  return reply.kind === 'answered' ? storable(reply.body, keptAnswerChars) : null;
}

/** Which events with which keys: enough to see what Meta was told, not about whom. */
export function redactRequest(rows: readonly Pick<Claimed, 'body' | 'testEventCode'>[]): unknown {
  return {
    events: rows.length,
    test_event_code: rows[0]?.testEventCode ?? null,
    data: rows.slice(0, keptEvents).map(({ body }) => redactEvent(body)),
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
  return typeof value === 'string' ? `${storable(value, 4)}…(${value.length})` : null;
}
