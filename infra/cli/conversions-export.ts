/** Rows of the ledger as lines, for other programs and spreadsheets. */
import type { ListedRow } from '@rastro/capi-dispatcher/ledger-rows';

type Exported = ListedRow & { readonly body?: string | null };

function fieldsOf(row: Exported, hasBodies: boolean) {
  const time = (date: Date | null): string | null => date?.toISOString() ?? null;
  return {
    conversion_id: row.id,
    workspace: row.workspaceId,
    pixel: row.pixelId,
    pool: row.poolId,
    event: row.eventName,
    event_id: row.eventId,
    tracking_token: row.trackingToken,
    payment_id: row.paymentId,
    state: row.state,
    reason: row.reason,
    attempts: row.attempts,
    event_time: row.eventTime,
    created_at: time(row.createdAt),
    due_at: time(row.dueAt),
    first_attempt_at: time(row.firstAttemptAt),
    unknown_since: time(row.unknownSince),
    accepted_at: time(row.acceptedAt),
    updated_at: time(row.updatedAt),
    http_status: row.httpStatus,
    code: row.code,
    subcode: row.subcode,
    fbtrace_id: row.fbtraceId,
    match_keys: row.matchKeys,
    complaints: row.complaints,
    test_event_code: row.testEventCode,
    is_forced: row.isForced,
    ...(hasBodies ? { body: row.body ?? null } : {}),
  };
}

/** NDJSON, or CSV (RFC 4180, lists as JSON) with its header. */
export async function* exportLines(
  pages: AsyncIterable<readonly Exported[]>,
  { isCsv, hasBodies }: { readonly isCsv: boolean; readonly hasBodies: boolean },
): AsyncGenerator<string> {
  let isFirst = isCsv;
  for await (const rows of pages) {
    const records = rows.map((row) => fieldsOf(row, hasBodies));
    const [first] = records;
    if (isFirst && first) yield `${Object.keys(first).join(',')}\r\n`;
    isFirst = false;
    yield records.map((record) => (isCsv ? csvLine(record) : jsonLine(record))).join('');
  }
}

const jsonLine = (record: object): string => `${JSON.stringify(record)}\n`;

function csvLine(record: object): string {
  return `${Object.values(record).map(csvField).join(',')}\r\n`;
}

function csvField(value: unknown): string {
  if (value === null) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
