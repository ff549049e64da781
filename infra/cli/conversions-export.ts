/** Rows of the ledger as lines, for other programs and spreadsheets. */
import type { ListedRow } from '@rastro/capi-dispatcher/ledger-rows';

type Exported = ListedRow & { readonly body?: string | null };

const time = (date: Date | null): string | null => date?.toISOString() ?? null;

const columns: Readonly<Record<string, (row: Exported) => unknown>> = {
  conversion_id: (row) => row.id,
  workspace: (row) => row.workspaceId,
  pixel: (row) => row.pixelId,
  pool: (row) => row.poolId,
  event: (row) => row.eventName,
  event_id: (row) => row.eventId,
  tracking_token: (row) => row.trackingToken,
  payment_id: (row) => row.paymentId,
  state: (row) => row.state,
  reason: (row) => row.reason,
  attempts: (row) => row.attempts,
  event_time: (row) => row.eventTime,
  created_at: (row) => time(row.createdAt),
  due_at: (row) => time(row.dueAt),
  first_attempt_at: (row) => time(row.firstAttemptAt),
  unknown_since: (row) => time(row.unknownSince),
  accepted_at: (row) => time(row.acceptedAt),
  updated_at: (row) => time(row.updatedAt),
  http_status: (row) => row.httpStatus,
  code: (row) => row.code,
  subcode: (row) => row.subcode,
  fbtrace_id: (row) => row.fbtraceId,
  match_keys: (row) => row.matchKeys,
  complaints: (row) => row.complaints,
  test_event_code: (row) => row.testEventCode,
  is_forced: (row) => row.isForced,
};

const withBody: typeof columns = { ...columns, body: (row) => row.body ?? null };

/** NDJSON, or CSV (RFC 4180, lists as JSON) with its header. */
export async function* exportLines(
  pages: AsyncIterable<readonly Exported[]>,
  { isCsv, hasBodies }: { readonly isCsv: boolean; readonly hasBodies: boolean },
): AsyncGenerator<string> {
  const shown = hasBodies ? withBody : columns;
  // Also where nothing follows it.
  if (isCsv) yield `${Object.keys(shown).join(',')}\r\n`;
  for await (const rows of pages) {
    const records = rows.map((row) =>
      Object.fromEntries(Object.entries(shown).map(([name, of]) => [name, of(row)])),
    );
    yield records.map((record) => (isCsv ? csvLine(record) : jsonLine(record))).join('');
  }
}

const jsonLine = (record: object): string => `${JSON.stringify(record)}\n`;

function csvLine(record: object): string {
  return `${Object.values(record).map(csvField).join(',')}\r\n`;
}

function csvField(value: unknown): string {
  if (value === null) return '';
  const text = typeof value === 'string' ? withoutFormula(value) : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A spreadsheet would reckon what begins so, and the text may be a stranger's. */
const withoutFormula = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
