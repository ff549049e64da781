/**
 * Goal: every answer of Meta's is understood by its code, and leads to the right next step.
 * Method: the table of known codes as data, answers as they were seen in the field, and properties
 * over all codes and statuses.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Attempted, aftermathOf } from '../../src/core/aftermath.ts';
import { classify, type OutcomeKind, type Reply } from '../../src/core/outcome.ts';
import {
  batchLimits,
  defaultPace,
  maxAgeMs,
  pauseMs,
  repeatWindowMs,
  retryDelayMs,
  triage,
} from '../../src/core/pace.ts';

function answered(status: number, body: unknown, waitMs: number | null = null): Reply {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { kind: 'answered', status, body: text, waitMs };
}

const failed = (status: number, error: Record<string, unknown>, waitMs: number | null = null) =>
  classify(answered(status, { error: { type: 'OAuthException', ...error } }, waitMs), 3);

await t.test('code and subcode decide, whatever the status', async (t) => {
  const table: [OutcomeKind, [code: number, subcode?: number][]][] = [
    ['transient', [[1], [2], [21_009]]],
    ['throttled', [[4], [17], [32], [341], [613], [80_000], [80_003], [80_004], [80_014]]],
    ['throttled', [[368], [2_859_015], [100, 1_404_078]]],
    ['parked', [[190], [190, 463], [102], [104], [3], [10], [200], [294], [299], [100, 33]]],
    ['parked', [[2_635], [2_500], [12]]],
    ['rejected', [[100], [100, 2_804_003], [100, 2_804_019], [100, 2_804_050]]],
  ];
  for (const [kind, codes] of table) {
    for (const [code, error_subcode] of codes) {
      for (const status of [400, 401, 403, 500]) {
        const outcome = failed(status, { code, error_subcode, message: 'Ceci est localisé' });
        t.equal(outcome.kind, kind, `${code}/${error_subcode} on ${status}`);
      }
    }
  }
  t.equal(failed(400, { code: 368 }).waitMs, 3_600_000, 'blocked: once an hour');
  t.equal(failed(400, { code: 80_004 }, 120_000).waitMs, 120_000, "the headers' own wait");
  t.equal(failed(400, { code: 5_555_555 }).kind, 'rejected', "unknown to us, and Meta's verdict");
  t.equal(failed(400, { code: 5_555_555, is_transient: true }).kind, 'transient');
  t.equal(failed(400, { code: 100, is_transient: true }).kind, 'transient', 'it says so itself');
  const asText = failed(400, { code: '190', error_subcode: '463' });
  t.match(asText, { kind: 'parked', code: 190, subcode: 463 }, 'a code may come as text');
  t.match(failed(400, { code: '1e2' }), { kind: 'transient', code: null });
});

await t.test('a code of 0 or less says nothing; its subcode may', async (t) => {
  const table: [OutcomeKind, { code: number; error_subcode?: number }][] = [
    ['transient', { code: -1 }],
    ['transient', { code: 0, error_subcode: 5_555_555 }],
    ['throttled', { code: -1, error_subcode: 1_404_078 }],
    ['parked', { code: -1, error_subcode: 463 }],
    ['rejected', { code: -3, error_subcode: 2_804_019 }],
  ];
  for (const [kind, error] of table) {
    for (const status of [400, 422]) t.equal(failed(status, error).kind, kind, String(error.code));
  }
  t.equal(failed(500, { code: -1 }).kind, 'unknown', 'whether Meta has it is open');
  t.equal(failed(403, { code: -1 }).kind, 'parked');
  t.equal(failed(429, { code: -1 }, 5_000).waitMs, 5_000);
});

await t.test("what is not Meta's answer rejects nothing", async (t) => {
  const strangers = ['<!doctype html>', '', '{"error":"bad request"}', { error: { message: 'x' } }];
  for (const body of strangers) {
    for (const status of [400, 422]) t.equal(classify(answered(status, body), 2).kind, 'transient');
  }
  const { reason } = classify(answered(400, '<html>'), 1);
  t.match(reason, /^HTTP 400: not an answer of Meta's/);
  t.match(classify(answered(403, '<html>'), 1).reason, /^HTTP 403: not an answer of Meta's/);
  t.equal(classify(answered(413, '<html>'), 2).kind, 'rejected', 'a smaller batch may pass');
});

await t.test(
  'how long Meta asks to stay away is kept, unless there is nothing to repeat',
  async (t) => {
    const waits: [Reply, OutcomeKind, number | null][] = [
      [answered(503, { error: { code: 2 } }, 60_000), 'transient', 60_000],
      [answered(400, { error: { code: 1, is_transient: true } }, 60_000), 'transient', 60_000],
      [answered(408, '', 60_000), 'transient', 60_000],
      [answered(503, '<html>', 60_000), 'unknown', 60_000],
      [answered(429, '', 60_000), 'throttled', 60_000],
      [answered(200, { events_received: 3 }, 60_000), 'accepted', null],
      [answered(400, { error: { code: 100 } }, 60_000), 'rejected', null],
      [answered(401, { error: { code: 190 } }, 60_000), 'parked', null],
    ];
    for (const [reply, kind, waitMs] of waits) t.match(classify(reply, 3), { kind, waitMs });
  },
);

await t.test('a refusal says what to mend, however much Meta says', async (t) => {
  const message = 'Ceci est localisé '.repeat(400);
  const { reason } = failed(400, { code: 100, error_subcode: 2_804_001, message });
  t.match(reason, /^code 100\/2804001: Ceci .*… → to mend: the click id \(fbc\) is malformed/);
  t.ok(reason.length < 1_024, 'it fits into the event that tells of it');
  t.match(failed(400, { code: 100 }).reason, /→ to mend: look at the request with/);
  t.match(classify(answered(413, 'x'), 1).reason, /→ to mend: the event alone is too large/);
  t.notMatch(failed(400, { code: 190 }).reason, /to mend/, 'nothing is wrong with the event');
});

await t.test('success is a 2xx without error that counts all events', async (t) => {
  const body = { events_received: 3, messages: ['note'], fbtrace_id: 'Abc' };
  t.match(classify(answered(200, body), 3), {
    kind: 'accepted',
    httpStatus: 200,
    fbtraceId: 'Abc',
    messages: ['note'],
    reason: '',
  });
  t.equal(classify(answered(200, body), 4).kind, 'unknown', 'fewer than sent');
  t.equal(classify(answered(200, '<html>'), 3).kind, 'unknown');
  t.equal(classify(answered(200, { ...body, error: { code: 190 } }), 3).kind, 'parked');
});

await t.test(
  'without a code the status decides, and what may have arrived is unknown',
  async (t) => {
    const table: [number, OutcomeKind][] = [
      [429, 'throttled'],
      [408, 'transient'],
      [400, 'transient'],
      [413, 'rejected'],
      [401, 'parked'],
      [403, 'parked'],
      [404, 'parked'],
      [301, 'parked'],
      [500, 'unknown'],
      [502, 'unknown'],
      [504, 'unknown'],
    ];
    for (const [status, kind] of table) {
      t.equal(classify(answered(status, '<!doctype html>'), 1).kind, kind, String(status));
    }
    t.equal(classify({ kind: 'lost', reason: 'ECONNRESET' }, 1).kind, 'unknown');
    t.equal(classify({ kind: 'unreachable', reason: 'ECONNREFUSED' }, 1).kind, 'transient');
  },
);

await t.test('property: any answer at all is one of the kinds', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 599 }),
      fc.string(),
      fc.jsonValue(),
      (status, text, json) => {
        for (const body of [text, json, { error: json }, { error: { code: json } }]) {
          const outcome = classify(answered(status, body), 1);
          if (outcome.kind === 'accepted') throw new Error('accepted without a count');
          if (outcome.reason === '') throw new Error('a failure needs a reason');
        }
      },
    ),
  );
});

const row: Attempted = {
  id: '019aa0f0-0000-7000-8000-000000000001',
  workspaceId: 'demo',
  pixelId: '1234567890',
  poolId: 'promo',
  eventName: 'Purchase',
  eventId: 'purchase_019aa0f0-0000-7000-8000-000000000002',
  trackingToken: null,
  paymentId: '019aa0f0-0000-7000-8000-000000000002',
  attempts: 2,
  eventTimeSeconds: 1_800_000_000,
  unknownSinceMs: null,
};
const nowMs = 1_800_000_100_000;
const context = {
  nowMs,
  now: new Date(nowMs).toISOString(),
  random: 0.5,
  retryBaseMs: 1_000,
  hasOtherToken: false,
};
const after = (reply: Reply, changes: Partial<Attempted> = {}, other = {}) =>
  aftermathOf({ ...row, ...changes }, classify(reply, 1), { ...context, ...other });

await t.test('each outcome leads to one state, one event, and attempts that count', async (t) => {
  const lost = after({ kind: 'lost', reason: 'UND_ERR_SOCKET' });
  t.match(lost, {
    state: 'unconfirmed',
    isUnknown: true,
    event: { type: 'ConversionUnconfirmed' },
  });
  t.ok(lost.delayMs >= 1_000 && lost.delayMs <= 2_000, 'the second attempt doubles the wait');

  const success = after(answered(200, { events_received: 1, fbtrace_id: 'Ax' }));
  t.match(success, {
    state: 'accepted',
    event: { type: 'ConversionAccepted', data: { eventTime: 1_800_000_000, fbtraceId: 'Ax' } },
  });
  const token = answered(401, { error: { code: 190 } });
  t.match(after(token), { state: 'parked', isRefunded: true, event: null });
  t.match(after(token, {}, { hasOtherToken: true }), { state: 'due', isRefunded: true });
  t.match(after(answered(400, { error: { code: 4 } })), { state: 'due', isRefunded: true });
  t.match(after(answered(500, { error: { code: 2 } })), { state: 'due', isRefunded: false });
  t.match(after(answered(500, { error: { code: 2 } }), { unknownSinceMs: 1 }), {
    state: 'unconfirmed',
    isUnknown: false,
    event: null,
  });
  const busy = (waitMs: number) => after(answered(503, { error: { code: 2 } }, waitMs)).delayMs;
  t.equal(busy(60_000), 60_000, 'not before Meta wants to be asked again');
  t.equal(busy(10), 1_500, 'nor before the backoff ends');
  t.equal(after(answered(503, '<html>', 60_000)).delayMs, 60_000);
  t.match(after(answered(400, { error: { code: 100, error_subcode: 2_804_010 } })), {
    state: 'rejected',
    event: { type: 'ConversionRejected', data: { code: 100, subcode: 2_804_010, httpStatus: 400 } },
  });
});

await t.test('repeats end before 48 hours, everything before 7 days', async (t) => {
  const sent = (unknownSinceMs: number | null, nowMsThen: number, isForced = false) =>
    triage({ eventTimeSeconds: 1_800_000_000, unknownSinceMs, isForced }, nowMsThen);
  const bornMs = 1_800_000_000_000;
  t.equal(sent(null, bornMs + maxAgeMs), 'send');
  t.equal(sent(null, bornMs + maxAgeMs + 1), 'expired');
  t.equal(sent(null, bornMs + 3 * 86_400_000), 'send', 'surely never received');
  t.equal(sent(bornMs, bornMs + repeatWindowMs), 'send');
  t.equal(sent(bornMs, bornMs + repeatWindowMs + 1), 'dead');
  t.equal(sent(null, bornMs + maxAgeMs + 1, true), 'send', 'an operator insists');
  t.ok(repeatWindowMs < 48 * 3_600_000 && maxAgeMs < 7 * 86_400_000);
});

await t.test('the numbers that others rely on', async (t) => {
  t.same(batchLimits, { PageView: 500, Purchase: 20 }, 'Meta takes 1,000 at most');
  t.ok(defaultPace.lingerMs <= 100, 'a PageView is sent at once, as people see it');
  t.equal(defaultPace.callTimeoutMs, 8_000, 'a sale waits no longer for one answer');
  t.ok(defaultPace.leaseMs > defaultPace.callTimeoutMs + 1_000, 'a lease outlives its call');
  const { laneTurnMs, laneBoundMs, callTimeoutMs } = defaultPace;
  // A turn, half the bound for a search in its last batch, one call, a minute of settling.
  const longestMs = laneTurnMs + laneBoundMs / 2 + callTimeoutMs + 60_000;
  t.ok(longestMs < laneBoundMs, 'only a lane that hangs is replaced');
  t.equal(defaultPace.browserFirstHoldMs, 1_500);
});

await t.test('property: waits grow, with bounds', async () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(1e9), fc.double({ min: 0, max: 0.999 }), (n, ageMs, random) => {
      const wait = retryDelayMs({ attempts: n, ageMs }, 1_000, random);
      const cap = ageMs < 3_600_000 ? 60_000 : 900_000;
      if (wait < 500 || wait > cap) throw new Error(`retry waits ${wait}`);
      const pause = pauseMs(n, 5_000, random);
      if (pause < 3_750 || pause > 1_125_000) throw new Error(`pause of ${pause}`);
    }),
  );
});
