/**
 * Goal: a bot is taken out for what is its own fault, at once where Telegram says so, never for an
 * outage of Telegram, and comes back by steps; also where several processes look at it.
 * Method: the pure breaker, fed with histories of signals and their times, by hand and generated.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  type BreakerState,
  breakerTimes,
  evolveBreaker,
  initialBreaker,
  nextCheckMs,
  type Signal,
  verdictOf,
} from '../../src/core/bot-breaker.ts';
import { countSends, emptyWindow, isSuspect, noteSend } from '../../src/core/send-window.ts';
import { differenceOf, judgeWebhook, type WantedWebhook } from '../../src/core/webhook-check.ts';

const answered: Signal = { type: 'ProbeAnswered', username: 'Demo_A_bot', wanted: 'demo_a_bot' };
const refused: Signal = { type: 'ProbeRefused', reason: '401: Unauthorized' };
const works: Signal = { type: 'WebhookWorks' };
const fails: Signal = { type: 'WebhookFails', reason: '502 Bad Gateway', pending: 7 };
const failed = (othersServedAtMs: number | null, isSuspicious = false): Signal => ({
  type: 'ProbeFailed',
  reason: 'no answer',
  othersServedAtMs,
  isSuspect: isSuspicious,
});

type History = readonly (readonly [seconds: number, signal: Signal])[];

const after = (history: History): BreakerState =>
  history.reduce((s, [at, signal]) => evolveBreaker(s, signal, at * 1_000), initialBreaker);

/** e.g. `healthy 10 %`. */
function said(history: History): string {
  const verdict = verdictOf(after(history));
  if (verdict === null) return 'nothing';
  const { health, check, sharePercent } = verdict;
  return [health, check, sharePercent === null ? null : `${sharePercent} %`]
    .filter((word) => word !== null)
    .join(' ');
}

await t.test('what Telegram says of the bot counts at once', async (t) => {
  t.equal(said([]), 'nothing');
  t.equal(said([[0, answered]]), 'healthy', 'the case of a username does not matter');
  t.equal(said([[0, refused]]), 'unhealthy token', 'also the first time');
  const another: Signal = { type: 'ProbeAnswered', username: 'other_bot', wanted: 'demo_a_bot' };
  const state = after([
    [0, answered],
    [1, another],
  ]);
  t.match(verdictOf(state)?.reason, /@other_bot.*@demo_a_bot/, 'links would lead elsewhere');
  const noWebhook: Signal = { type: 'WebhookRefused', reason: 'bad webhook' };
  const twice: History = [
    [0, answered],
    [1, noWebhook],
    [2, answered],
  ];
  t.equal(said(twice), 'unhealthy webhook', 'a token that works does not mend a webhook');
  t.equal(said([...twice, [3, works]]), 'healthy 10 %');
});

await t.test('silence counts only while others are served', async (t) => {
  const silent = (others: number | null): History => [
    [0, answered],
    ...[10, 20, 30, 3_600].map((at) => [at, failed(others)] as const),
  ];
  t.equal(said(silent(null)), 'healthy', 'the only bot cannot tell');
  t.equal(said(silent(9_000)), 'healthy', 'the others were served before that, so all are hit');
  t.equal(said(silent(11_000)), 'unhealthy calls', 'the others are served meanwhile');
  t.equal(
    said([
      [10, failed(11_000)],
      [20, failed(21_000)],
    ]),
    'nothing',
    'not yet',
  );
  t.equal(
    said([
      [0, answered],
      [5, failed(null, true)],
    ]),
    'unhealthy calls',
    'one whose sends fail is believed at once',
  );
});

await t.test('recovery goes by steps, and a setback keeps it where it is', async (t) => {
  const out: History = [
    [0, answered],
    [10, refused],
  ];
  t.equal(said([...out, [20, answered]]), 'healthy 10 %');
  t.equal(said([...out, [20, answered], [79, answered]]), 'healthy 10 %');
  const half: History = [...out, [20, answered], [80, answered]];
  t.equal(said(half), 'healthy 50 %');
  t.equal(said([...half, [199, answered]]), 'healthy 50 %');
  t.equal(said([...half, [200, answered]]), 'healthy');
  t.equal(said([...half, [190, { type: 'SendsFailed' }], [200, answered]]), 'healthy 50 %');
  t.equal(said([...half, [190, failed(null)], [309, answered]]), 'healthy 50 %');
  t.equal(said([...half, [90, refused]]), 'unhealthy token', 'from any step');
  t.equal(said([...half, [90, refused], [100, answered]]), 'healthy 10 %', 'and from the start');
  t.equal(said([...out, [20, answered], [9_000, answered]]), 'healthy 50 %', 'one at a time');
});

await t.test('updates that do not arrive', async (t) => {
  const wanted: WantedWebhook = {
    url: 'https://go.example.com/telegram/bot-a',
    allowedUpdates: ['message', 'callback_query'],
    maxConnections: 100,
    fingerprint: 'f',
  };
  const info = {
    url: wanted.url,
    pending_update_count: 0,
    max_connections: 100,
    allowed_updates: ['callback_query', 'message'],
  };
  t.equal(differenceOf(info, wanted, 'f'), null);
  t.equal(differenceOf({ ...info, url: '' }, wanted, 'f'), 'its address');
  t.equal(differenceOf(info, wanted, null), 'its secret');
  t.equal(differenceOf({ ...info, max_connections: 40 }, wanted, 'f'), 'its connections');
  const fewer = { ...info, allowed_updates: undefined };
  t.equal(differenceOf(fewer, wanted, 'f'), 'the kinds of updates');

  const nowMs = 1_000_000;
  const error = { last_error_date: 990, last_error_message: 'Connection refused' };
  const judge = (rest: object, trouble: BreakerState['webhookTrouble'] = null) =>
    judgeWebhook({ ...info, ...rest }, wanted, { fingerprint: 'f', trouble }, nowMs);
  t.match(judge(error), works, 'an error that is over');
  t.match(judge({ ...error, pending_update_count: 3 }), {
    type: 'WebhookFails',
    reason: /Connection refused/,
  });
  t.match(judge({ ...error, last_error_date: 600, pending_update_count: 3 }), works, 'long ago');
  const trouble = { sinceMs: 0, pending: 5 };
  t.match(judge({ ...error, pending_update_count: 4 }, trouble), works, 'the backlog drains');
  t.match(judge({ pending_update_count: 5 }, trouble), { type: 'WebhookFails' });
  const theirs = judge({ url: 'https://u:p@evil.example/bot123:abc' });
  t.match(theirs, { type: 'WebhookFails', reason: /evil\.example$/ });

  t.match(judge({ url: '' }), { type: 'WebhookFails', reason: /took its updates away$/ });
  const fresh = { fingerprint: null, trouble: null };
  t.match(judgeWebhook({ ...info, url: '' }, wanted, fresh, nowMs), works, 'never set before');

  const long: History = [
    [0, answered],
    [10, fails],
    [54, fails],
  ];
  t.equal(said(long), 'healthy', 'not at once');
  t.equal(said([...long, [55, fails]]), 'unhealthy webhook');
  t.equal(said([...long, [55, works], [60, fails]]), 'healthy', 'it begins anew');
});

await t.test('a bot is suspected for its own failures only', async (t) => {
  const sends = (ok: number, failures: number, nowMs = 0) => {
    let window = emptyWindow;
    for (let at = 0; at < ok + failures; at += 1) window = noteSend(window, at < ok, nowMs);
    return window;
  };
  const well = { ok: 50, failed: 2 };
  t.ok(isSuspect(countSends(sends(5, 5), 0), well));
  t.notOk(isSuspect(countSends(sends(6, 5), 0), well), 'most of them work');
  t.notOk(isSuspect(countSends(sends(0, 9), 0), well), 'too few to tell');
  t.notOk(isSuspect(countSends(sends(0, 20), 0), { ok: 3, failed: 9 }), 'it is everybody');
  t.same(countSends(sends(1, 19), 59_999), { ok: 1, failed: 19 });
  t.same(countSends(sends(1, 19), 60_000), { ok: 0, failed: 0 }, 'a minute later');
});

const signals = fc.oneof(
  fc.constant(answered),
  fc.constant(refused),
  fc.constant(works),
  fc.constant(fails),
  fc.constant<Signal>({ type: 'SendsFailed' }),
  fc.boolean().map((isSuspicious) => failed(null, isSuspicious)),
);

await t.test('rules that hold for every history', async (t) => {
  const entries = fc.array(fc.tuple(fc.nat({ max: 90 }), signals), { maxLength: 60 });
  fc.assert(
    fc.property(entries, fc.double({ min: 0, max: 0.999, noNaN: true }), (steps, random) => {
      let [state, nowMs, share, wasOut] = [initialBreaker, 0, 0, false];
      for (const [seconds, signal] of steps) {
        nowMs += seconds * 1_000;
        state = evolveBreaker(state, signal, nowMs);
        const verdict = verdictOf(state);
        const next = verdict === null || verdict.health === 'unhealthy' ? 0 : verdict.sharePercent;
        const isOut = Object.keys(state.problems).length > 0;
        if (isOut !== (verdict?.health === 'unhealthy')) return false;
        // From 0 to 10 to 50 to all; only the first verdict of all may begin at the end.
        const shares = [0, 10, 50, null];
        const isFirst = !wasOut && next === null;
        const climbed = shares.indexOf(next) - shares.indexOf(share);
        if (climbed > 1 && !isFirst) return false;
        share = next as number;
        wasOut ||= isOut;
        const waitMs = nextCheckMs(state, nowMs, random);
        if (waitMs < 0.8 * breakerTimes.retryMs || waitMs > 72_000) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass('held');
});
