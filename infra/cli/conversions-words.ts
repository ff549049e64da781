/** What the ledger says, in rows and sentences for people. */
import type { Ledger } from '@rastro/capi-dispatcher/ledger';
import type { Preview, PreviewGroup } from '@rastro/capi-dispatcher/ledger-judgement';
import type { Count, ListedRow } from '@rastro/capi-dispatcher/ledger-rows';
import type { Command, Doubt, WhyLeft } from '@rastro/capi-dispatcher/replay';

export function listRow(row: ListedRow) {
  const { createdAt, eventName, eventId, pixelId, poolId, state, attempts, code, reason } = row;
  return {
    time: createdAt.toISOString(),
    event: eventName,
    event_id: eventId,
    pixel: pixelId,
    pool: poolId,
    state,
    attempts,
    code: codeOf(row),
    // Of what Meta says the code comes first, and stands beside it already.
    reason: code === null ? reason : (reason?.replace(/^code \S+ /, '').slice(0, 100) ?? null),
  };
}

const codeOf = ({ code, subcode }: Pick<ListedRow, 'code' | 'subcode'>): string | null =>
  code === null ? null : `${code}/${subcode ?? '–'}`;

export function countRow(count: Count) {
  const { workspaceId, pixelId, eventName, state, events, oldest, newest } = count;
  return {
    workspace: workspaceId,
    pixel: pixelId,
    event: eventName,
    state,
    events,
    oldest: oldest.toISOString(),
    newest: newest.toISOString(),
  };
}

const doubtWords: Readonly<Record<Doubt, string>> = {
  counts_twice: 'first sent more than 48 h ago, Meta would count it twice',
  too_old: 'event_time is older than 7 days, Meta would refuse it',
};

const leftWords: Readonly<Record<WhyLeft, string>> = {
  being_sent: 'is being sent right now',
  waits_for_its_time: 'waits for the browser, the delivery page or the grace; goes by itself',
  already_due: 'is due already; the dispatcher takes it up by itself',
  belongs_to_retry: 'Meta does not have it, or it goes again by itself: rastro conversions retry',
  belongs_to_replay: 'was sent, skipped or given up before: rastro conversions replay',
  never: 'is never sent, whoever asks: no consent, not a person, or nobody to match',
  still_skipped: 'would be skipped again',
};

/** What mends a reason to skip, where anything does. */
const mendings: Readonly<Record<string, string>> = {
  no_access_token: 'the pixel has no access token in the catalog',
  event_off: 'the event is switched off in the catalog (meta.events)',
  meta_disabled: 'Meta is switched off in the catalog (meta.enabled)',
  trigger_off: 'purchaseTrigger is off in the catalog',
  unknown_pool: 'the pool is not in the catalog',
  no_pixel: 'there is no pixel',
  no_consent: 'there is no consent',
  not_human: 'it was not a person',
  no_match_keys: 'nothing is known that Meta could match',
};

function fateOf({ verdict, notes }: PreviewGroup): string {
  const doubts = notes.map((note) => doubtWords[note as Doubt] ?? note).join('; ');
  if (verdict === 'again') return doubts === '' ? 'goes again' : `goes again by force (${doubts})`;
  if (verdict === 'probe') return 'its parked pixel is tried at once';
  if (verdict === 'refused') return `stays without --force (${doubts})`;
  const [why = '', skipped] = notes;
  const words = leftWords[why as WhyLeft] ?? why;
  return skipped === undefined ? words : `${words}: ${mendings[skipped] ?? skipped}`;
}

export function previewRow(group: PreviewGroup) {
  const { pixelId, eventName, state, events } = group;
  return { pixel: pixelId, event: eventName, state, events, fate: fateOf(group) };
}

export type Counts = Readonly<Record<PreviewGroup['verdict'], number>>;

export function countsOf({ groups }: Preview): Counts {
  const sum = (verdict: PreviewGroup['verdict']): number =>
    groups.reduce((all, group) => all + (group.verdict === verdict ? group.events : 0), 0);
  return {
    again: sum('again'),
    probe: sum('probe'),
    refused: sum('refused'),
    left: sum('left'),
  };
}

/** What somebody should know before they say yes. */
export function warningsOf(command: Command, { groups }: Preview): string[] {
  const doubted = (doubt: Doubt): number =>
    groups.reduce((all, { notes, events }) => all + (notes.includes(doubt) ? events : 0), 0);
  const accepted = groups
    .filter(({ state, verdict }) => verdict === 'again' && state === 'accepted')
    .reduce((all, { events }) => all + events, 0);
  const [twice, old] = [doubted('counts_twice'), doubted('too_old')];
  const warnings = [
    command === 'replay' || twice > 0
      ? `${twice} first sent more than 48 h ago: Meta would count them twice.`
      : null,
    command === 'replay' || old > 0
      ? `${old} with an event_time older than 7 days: Meta would refuse them.`
      : null,
    accepted > 0
      ? `${accepted} accepted before: Meta says that it drops a second copy beside the browser's; of two copies from a server it says nothing, so they may count twice.`
      : null,
  ];
  return warnings.filter((warning) => warning !== null);
}

type Explained = Awaited<ReturnType<Ledger['find']>>[number];

/** Everything about one event: a line for each fact, then its calls. */
export function explainLines(row: Explained): string[] {
  const time = (date: Date | null): string | null => date?.toISOString() ?? null;
  const { workspaceId, poolId, pixelId, eventTime, httpStatus, fbtraceId } = row;
  const facts: readonly (readonly [string, string | number | null])[] = [
    ['conversion', row.id],
    ['workspace', workspaceId],
    ['pool', poolId],
    ['pixel', pixelId],
    ['click', row.trackingToken],
    ['payment', row.paymentId],
    ['state', row.isForced ? `${row.state} (forced)` : row.state],
    ['reason', row.reason],
    ['event_time', `${eventTime} (${new Date(eventTime * 1_000).toISOString()})`],
    ['taken up', time(row.createdAt)],
    ['due', time(row.dueAt)],
    ['attempts', row.attempts],
    ['first attempt', time(row.firstAttemptAt)],
    ['unknown since', time(row.unknownSince)],
    ['accepted', time(row.acceptedAt)],
    ['last change', time(row.updatedAt)],
    ['last answer', httpStatus === null ? null : `HTTP ${httpStatus}, code ${codeOf(row) ?? '–'}`],
    ['fbtrace_id', fbtraceId],
    ['test_event_code', row.testEventCode],
    ['match keys', row.matchKeys?.join(', ') ?? null],
    ...(row.complaints ?? []).map(
      ({ code, detail }) => ['complaint', `${code}: ${detail}`] as const,
    ),
    ['sent', row.sent === null ? null : JSON.stringify(row.sent)],
  ];
  const known = facts.filter(([, value]) => value !== null);
  return [
    `${row.eventName} ${row.eventId}`,
    ...known.map(([name, value]) => `  ${name.padEnd(15)} ${value}`),
    ...row.calls.flatMap(attemptLines),
  ];
}

function attemptLines(attempt: Explained['calls'][number]): string[] {
  const { startedAt, durationMs, outcome, httpStatus, events, fbtraceId, messages } = attempt;
  const told = messages?.length ? ` messages ${JSON.stringify(messages)}` : '';
  const trace = fbtraceId === null ? '' : ` fbtrace_id ${fbtraceId}`;
  const code = codeOf(attempt);
  return [
    `  ${startedAt.toISOString()}  ${outcome}, ${durationMs} ms, HTTP ${httpStatus ?? '–'}${
      code === null ? '' : `, code ${code}`
    }, ${events} in the request${trace}${told}`,
    ...(attempt.reason === null ? [] : [`    ${attempt.reason}`]),
    `    sent   ${attempt.request === null ? unkept(events) : JSON.stringify(attempt.request)}`,
    ...(attempt.answer === null ? [] : [`    answer ${attempt.answer}`]),
  ];
}

/** Of a call with many events only the first are kept with it; the others' bodies are the ledger's. */
const unkept = (events: number): string =>
  `one of ${events} events in this call: its frozen body, under "sent" above unless made anew since`;
