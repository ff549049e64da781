/** Holds what Meta's stand-in saw against what the ledger says and what was to be told. */
import { createHash } from 'node:crypto';
import type { Sql } from '@rastro/runtime';
import type { EventCopy, EventGroup, GraphRequest } from '@rastro/sandbox';
import { briskPace } from './brisk-pace.ts';
import type { Expected, Victim } from './conversion-storm.ts';

export interface Evidence {
  readonly expected: ReadonlyMap<string, Expected>;
  readonly ledger: ReadonlyMap<string, LedgerRow>;
  /** Of the calls whose answer was written down: Meta's own name of each answer. */
  readonly settledTraces: ReadonlySet<string>;
  /** Events of the ledger in public, by `event_id`. */
  readonly announced: ReadonlyMap<string, Readonly<Record<string, number>>>;
  /** `ConversionAccepted` and `ConversionRejected` on JetStream. */
  readonly told: { readonly accepted: number; readonly rejected: number };
  /** In any order. */
  readonly requests: readonly GraphRequest[];
  readonly groups: readonly EventGroup[];
  readonly killed: readonly {
    readonly victim: Victim;
    readonly atMs: number;
    readonly backAtMs: number;
  }[];
}

export interface LedgerRow {
  readonly eventId: string;
  readonly eventName: string;
  readonly state: string;
  readonly reason: string | null;
  readonly code: number | null;
  readonly subcode: number | null;
  readonly body: string | null;
}

/** What of the evidence stands in Postgres. */
export async function readLedger(
  sql: Sql,
): Promise<Pick<Evidence, 'ledger' | 'settledTraces' | 'announced'>> {
  const rows = await sql<LedgerRow[]>`
    select event_id, event_name, state, reason, code, subcode, body from conversions`;
  const traces = await sql<{ fbtraceId: string }[]>`
    select fbtrace_id from attempts where fbtrace_id is not null`;
  const said = await sql<{ eventId: string; type: string; times: number }[]>`
    select event->'data'->>'eventId' as event_id, type, count(*)::int as times
    from events where type like 'Conversion%' group by 1, 2`;
  const announced = Map.groupBy(said, ({ eventId }) => eventId);
  return {
    ledger: new Map(rows.map((row) => [row.eventId, row])),
    settledTraces: new Set(traces.map(({ fbtraceId }) => fbtraceId)),
    announced: new Map(
      [...announced].map(([eventId, each]) => [
        eventId,
        Object.fromEntries(each.map(({ type, times }) => [type, times])),
      ]),
    ),
  };
}

/** What is wrong, one line each; empty when every promise was kept. */
export function problemsOf(evidence: Evidence): string[] {
  const copies = copiesByEvent(evidence.groups);
  const requests = requestsByEvent(evidence.requests);
  const problems = [...countProblems(evidence, copies)];
  for (const [eventId, { isPoison }] of evidence.expected) {
    const row = evidence.ledger.get(eventId);
    const own = { copies: copies.get(eventId) ?? [], requests: requests.get(eventId) ?? [] };
    const found = [
      ...(isPoison ? poisonProblems(row, own) : healthyProblems(row, own)),
      ...repeatProblems(evidence, own.requests, evidence.announced.get(eventId) ?? {}),
      ...sameness(row, own),
      ...announcementProblems(evidence.announced.get(eventId) ?? {}, isPoison, own.copies.length),
    ];
    problems.push(...found.map((problem) => `${eventId}: ${problem}`));
  }
  return problems;
}

interface Own {
  readonly copies: readonly EventCopy[];
  readonly requests: readonly GraphRequest[];
}

export function copiesByEvent(groups: readonly EventGroup[]): Map<string, EventCopy[]> {
  return Map.groupBy(
    groups.flatMap(({ server }) => server),
    ({ eventId }) => eventId ?? '',
  );
}

function requestsByEvent(requests: readonly GraphRequest[]): Map<string, GraphRequest[]> {
  const found = new Map<string, GraphRequest[]>();
  // Logged when they end; a slow one began before those that it was overtaken by.
  for (const request of requests.toSorted((a, b) => a.atMs - b.atMs)) {
    for (const { eventId } of request.events) {
      const known = found.get(eventId ?? '');
      if (known) known.push(request);
      else found.set(eventId ?? '', [request]);
    }
  }
  return found;
}

/** Nothing lost, nothing invented, and the ledger counts what Meta counts. */
function* countProblems(
  { expected, ledger, told }: Evidence,
  copies: ReadonlyMap<string, readonly EventCopy[]>,
): Iterable<string> {
  const invented = [...ledger.keys(), ...copies.keys()].filter((id) => !expected.has(id));
  if (invented.length > 0) yield `nobody asked for ${invented.slice(0, 3).join()}`;
  const rows = [...ledger.values()];
  for (const name of ['PageView', 'Purchase']) {
    const ofName = rows.filter(({ eventName }) => eventName === name);
    const accepted = ofName.filter(({ state }) => state === 'accepted').length;
    const taken = [...copies.values()].filter(([one]) => one?.eventName === name).length;
    if (accepted !== taken) yield `${name}: ${accepted} accepted, Meta took in ${taken}`;
  }
  const inState = (state: string): number => rows.filter((row) => row.state === state).length;
  const counts = { accepted: inState('accepted'), rejected: inState('rejected') };
  if (JSON.stringify(counts) !== JSON.stringify(told)) {
    yield `the ledger counts ${JSON.stringify(counts)}, JetStream ${JSON.stringify(told)}`;
  }
}

function* healthyProblems(row: LedgerRow | undefined, { copies }: Own): Iterable<string> {
  if (row?.state !== 'accepted') yield `is ${row?.state ?? 'lost'} (${row?.reason})`;
  if (copies.length === 0) yield 'is not at Meta';
  for (const { customData, eventId, eventName } of copies) {
    const orderId = customData['order_id'];
    const isOwn = eventName !== 'Purchase' || eventId === `purchase_${String(orderId)}`;
    if (!isOwn) yield `order ${String(orderId)} goes under this id too`;
  }
}

function* poisonProblems(row: LedgerRow | undefined, own: Own): Iterable<string> {
  if (row?.state !== 'rejected') yield `is poison and ${row?.state ?? 'lost'} (${row?.reason})`;
  if (row?.code !== 100 || row.subcode !== 2_804_001) yield `code ${row?.code}/${row?.subcode}`;
  if (!row?.reason?.includes('to mend')) yield `does not say what to mend: ${row?.reason}`;
  if (own.copies.length > 0) yield 'is poison and at Meta';
  const wasAlone = own.requests.some(
    ({ eventCount, subcode }) => eventCount === 1 && subcode === 2_804_001,
  );
  if (!wasAlone) yield 'was rejected in company';
}

/** A call that Meta took in is the event's last, unless nobody could know that Meta had it. */
function* repeatProblems(
  evidence: Evidence,
  requests: readonly GraphRequest[],
  { ConversionUnconfirmed = 0 }: Readonly<Record<string, number>>,
): Iterable<string> {
  for (const [index, request] of requests.entries()) {
    const next = requests[index + 1];
    if (!next || !request.accepted || isUnknown(evidence, request, next.atMs)) continue;
    const { atMs, durationMs, fbtraceId } = request;
    const isSettled = evidence.settledTraces.has(fbtraceId ?? '');
    // By the dispatcher's own clock the call took too long, and so it said: the answer was there in
    // time, but not its turn to be read.
    const isGivenUp = ConversionUnconfirmed > 0 && next.atMs - atMs >= briskPace.callTimeoutMs;
    if (isGivenUp && !isSettled) continue;
    const kills = evidence.killed
      .filter((kill) => kill.backAtMs >= atMs && kill.atMs <= next.atMs)
      .map((kill) => `${kill.victim} after ${kill.atMs - atMs} ms`);
    yield (
      `sent again ${next.atMs - atMs} ms after a known success that took ${durationMs} ms; ` +
      `written down: ${isSettled}; killed meanwhile: ${kills.join() || 'nobody'}`
    );
  }
}

function isUnknown(evidence: Evidence, request: GraphRequest, nextAtMs: number): boolean {
  const { settledTraces, killed } = evidence;
  const { atMs, dropped, durationMs, fbtraceId } = request;
  const wasKilled = (name: Victim): boolean =>
    killed.some((k) => k.victim === name && k.backAtMs >= atMs && k.atMs <= nextAtMs);
  // The answer could not be written down before the lease ran out.
  const isLeaseLost =
    wasKilled('postgres') && nextAtMs - atMs >= briskPace.leaseMs - briskPace.callTimeoutMs;
  if (isLeaseLost) return true;
  if (fbtraceId !== null && settledTraces.has(fbtraceId)) return false;
  return dropped || durationMs >= briskPace.callTimeoutMs || wasKilled('capi-dispatcher');
}

/** The same time and the same bytes in every call and every copy, which are the ledger's. */
function* sameness(row: LedgerRow | undefined, { copies, requests }: Own): Iterable<string> {
  const body = row?.body ?? '';
  const digest = createHash('sha256').update(body).digest('hex');
  const sent = requests.flatMap(({ events }) =>
    events.filter(({ eventId }) => eventId === row?.eventId),
  );
  if (sent.some((one) => one.digest !== digest)) yield 'was sent with another body';
  if (new Set(sent.map(({ eventTime }) => eventTime)).size > 1) yield 'had several times';
  if (copies.some(({ raw }) => JSON.stringify(raw) !== body)) yield 'is at Meta with another body';
}

function* announcementProblems(
  said: Readonly<Record<string, number>>,
  isPoison: boolean,
  copies: number,
): Iterable<string> {
  const { ConversionAccepted = 0, ConversionRejected = 0, ConversionUnconfirmed = 0 } = said;
  const wanted = isPoison ? [0, 1] : [1, 0];
  if (wanted.join() !== [ConversionAccepted, ConversionRejected].join()) {
    yield `announced ${JSON.stringify(said)}`;
  }
  if (copies > 1 && ConversionUnconfirmed === 0) yield 'was repeated, and nobody was told so';
}
