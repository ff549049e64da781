/**
 * Goal: an operator can send again what does no harm, has to insist on what Meta would count twice
 * or refuse, and can never send what nobody consented to.
 * Method: a table of every state for both commands; the edges of the two windows; the change of a
 * repeat held against the dispatcher's own triage.
 */
import t from 'tap';
import { endOf } from '../../src/core/conversion.ts';
import { conversionStates, keyOf } from '../../src/core/ledger-filter.ts';
import { maxAgeMs, repeatWindowMs, triage } from '../../src/core/pace.ts';
import type { SkippedReason } from '../../src/core/plan.ts';
import { type Candidate, type Command, judge, type Verdict } from '../../src/core/replay.ts';
import { requestsOf } from '../../src/core/requests.ts';

const bornMs = 1_800_000_000_000;
const hourMs = 3_600_000;

const rowIn = (state: Candidate['state'], changes: Partial<Candidate> = {}): Candidate => ({
  state,
  reason: null,
  eventTimeSeconds: bornMs / 1_000,
  dueAtMs: bornMs + 5 * hourMs,
  firstAttemptAtMs: bornMs,
  acceptedAtMs: state === 'accepted' ? bornMs : null,
  unknownSinceMs: null,
  plan: null,
  ...changes,
});

const judged = (
  command: Command,
  row: Candidate,
  { nowMs = bornMs + hourMs, isForced = false } = {},
): Verdict => judge(command, row, { nowMs, isForced });

/** In a few words: the kind, and why or with what. */
function told(verdict: Verdict): string {
  if (verdict.kind === 'probe') return 'probe';
  if (verdict.kind === 'left') return verdict.why;
  if (verdict.kind === 'refused') return `refused ${verdict.doubts.join()}`;
  const { state, ...how } = verdict.change;
  const names = Object.entries(how).flatMap(([name, isSo]) => (isSo ? [name] : []));
  return [state, ...names, ...verdict.doubts].join(' ');
}

await t.test('every state, retried and replayed within the hour', async (t) => {
  const expected: Record<(typeof conversionStates)[number], [retry: string, replay: string]> = {
    waiting: ['waits_for_its_time', 'waits_for_its_time'],
    due: ['due', 'belongs_to_retry'],
    sending: ['being_sent', 'being_sent'],
    accepted: ['belongs_to_replay', 'unconfirmed isBegunAnew isRepeat'],
    rejected: ['due isComposedAnew isBegunAnew', 'belongs_to_retry'],
    unconfirmed: ['unconfirmed isRepeat', 'belongs_to_retry'],
    parked: ['probe', 'belongs_to_retry'],
    expired: ['belongs_to_replay', 'refused too_old'],
    dead: ['belongs_to_replay', 'refused counts_twice'],
    skipped: ['belongs_to_replay', 'still_skipped'],
  };
  for (const state of conversionStates) {
    const unknownSinceMs = state === 'unconfirmed' || state === 'dead' ? bornMs : null;
    const row = rowIn(state, { unknownSinceMs });
    t.equal(told(judged('retry', row)), expected[state][0], `${state}, retry`);
    t.equal(told(judged('replay', row)), expected[state][1], `${state}, replay`);
  }
  const due = rowIn('due', { dueAtMs: bornMs });
  t.equal(told(judged('retry', due)), 'already_due', 'what goes by itself is let be');
});

await t.test('the 48 hours count only for what Meta may have', async (t) => {
  const late = { nowMs: bornMs + repeatWindowMs + 1 };
  const edge = { nowMs: bornMs + repeatWindowMs };
  t.equal(told(judged('replay', rowIn('accepted'), edge)), 'unconfirmed isBegunAnew isRepeat');
  t.equal(told(judged('replay', rowIn('accepted'), late)), 'refused counts_twice');
  const rejected = rowIn('rejected');
  t.equal(told(judged('retry', rejected, late)), 'due isComposedAnew isBegunAnew');
  const unclear = rowIn('rejected', { unknownSinceMs: bornMs });
  t.equal(told(judged('retry', unclear, late)), 'refused counts_twice', 'an earlier call may have');
  t.equal(
    told(judged('retry', unclear, edge)),
    'unconfirmed isComposedAnew isBegunAnew isRepeat',
    'and until then it stays a repeat',
  );
  const taken = rowIn('rejected', { acceptedAtMs: bornMs, unknownSinceMs: bornMs });
  t.equal(
    told(judged('retry', taken, edge)),
    'unconfirmed isBegunAnew isRepeat',
    'what Meta took and then refused is repeated as it was',
  );
});

await t.test('the 7 days count for all, and force overrules both, alone', async (t) => {
  const old = { nowMs: bornMs + maxAgeMs + 1 };
  for (const state of ['rejected', 'due', 'parked'] as const) {
    t.equal(told(judged('retry', rowIn(state), old)), 'refused too_old', state);
  }
  t.equal(told(judged('replay', rowIn('expired'), old)), 'refused too_old');
  const forced = { ...old, isForced: true };
  for (const state of ['dead', 'expired'] as const) {
    t.equal(told(judged('retry', rowIn(state), forced)), 'belongs_to_replay', `${state}, forced`);
  }
  t.equal(
    told(judged('replay', rowIn('accepted'), forced)),
    'due isForced isBegunAnew isWindowNew counts_twice too_old',
  );
  t.equal(told(judged('retry', rowIn('parked'), forced)), 'parked isForced isWindowNew too_old');
  const young = told(judged('replay', rowIn('accepted'), { isForced: true }));
  t.equal(young, 'unconfirmed isBegunAnew isRepeat', 'what needs no force is not forced');
});

await t.test('skipped: by what the catalog says now, and never without consent', async (t) => {
  const skipped = (reason: SkippedReason, now: SkippedReason | null) =>
    judged('replay', rowIn('skipped', { reason, plan: { skippedReason: now } }));
  for (const reason of ['no_access_token', 'event_off', 'meta_disabled', 'trigger_off'] as const) {
    t.equal(told(skipped(reason, null)), 'due isBegunAnew', `${reason}, mended`);
    t.match(skipped(reason, reason), { why: 'still_skipped', skippedReason: reason });
    // A switch was looked at before consent was.
    t.match(skipped(reason, 'no_consent'), { why: 'still_skipped', skippedReason: 'no_consent' });
  }
  for (const reason of ['no_consent', 'not_human', 'no_match_keys'] as const) {
    t.equal(told(skipped(reason, null)), 'never', reason);
    const row = rowIn('skipped', { reason, plan: { skippedReason: null } });
    t.equal(told(judged('replay', row, { isForced: true })), 'never', `${reason}, forced`);
  }
});

await t.test('what goes again is neither dead at once nor repeated for ever', async (t) => {
  const born = { eventTimeSeconds: bornMs / 1_000 };
  const repeat = { ...born, unknownSinceMs: bornMs, isForced: false };
  t.equal(triage(repeat, bornMs + hourMs), 'send');
  t.equal(triage(repeat, bornMs + repeatWindowMs + 1), 'dead', 'if the pixel stood still so long');
  const forcedMs = bornMs + 9 * 24 * hourMs;
  const forced = { ...born, isForced: true };
  t.equal(triage({ ...forced, unknownSinceMs: null }, forcedMs), 'send');
  const unknown = { ...forced, unknownSinceMs: forcedMs };
  t.equal(triage(unknown, forcedMs + hourMs), 'send');
  t.equal(triage(unknown, forcedMs + repeatWindowMs + 1), 'dead');
});

await t.test('what we gave up is told apart from what Meta refused', async (t) => {
  const reason = 'the outcome stayed unknown for 48 hours';
  t.equal(endOf({ httpStatus: null, reason }), 'dead');
  t.equal(
    endOf({
      httpStatus: null,
      reason: 'older than 7 days: Meta would refuse it and all that is sent with it',
    }),
    'expired',
  );
  t.equal(endOf({ httpStatus: 400, reason }), 'rejected', 'whatever Meta says');
  t.equal(endOf({ httpStatus: null, reason: 'older than 7 days' }), 'rejected');
});

await t.test('requests: by test code, repeats apart, a forced event alone', async (t) => {
  const row = (id: string, testEventCode: string | null = null, isForced = false) => ({
    id,
    testEventCode,
    unknownSinceMs: null,
    isForced,
  });
  const rows = [
    row('a'),
    row('b', 'TEST1'),
    row('c', null, true),
    row('d'),
    row('e', 'b', true),
    { ...row('f'), unknownSinceMs: bornMs },
    { ...row('g'), unknownSinceMs: bornMs },
  ];
  const ids = requestsOf(rows).map((batch) => batch.map(({ id }) => id).join(''));
  t.same(ids.toSorted(), ['ad', 'b', 'c', 'e', 'fg']);
});

await t.test('an id tells what it names', async (t) => {
  const token = '0123456789abcdef0123456789abcdef';
  const id = '01890000-0000-7000-8000-000000000001';
  t.same(keyOf(token), { kind: 'token', token });
  t.same(keyOf(id), { kind: 'uuid', id });
  t.same(keyOf(`evt_${token}`), { kind: 'event', eventId: `evt_${token}` });
  t.same(keyOf(`purchase_${id}`), { kind: 'event', eventId: `purchase_${id}` });
  for (const none of ['', 'evt_1', 'purchase_x', `evt_${id}`]) t.equal(keyOf(none), null, none);
});
