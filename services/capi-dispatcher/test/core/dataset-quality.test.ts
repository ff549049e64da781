/**
 * Goal: an answer of the Dataset Quality API is read as far as it can be, whatever it is, and the
 * next question waits as long as the answer says.
 * Method: answers as Meta documents them, torn ones, refusals; generated JSON.
 */
import fc from 'fast-check';
import t from 'tap';
import { defaultQualityPace, nextReadingMs, readingOf } from '../../src/core/dataset-quality.ts';

const answered = (body: unknown, status = 200, waitMs: number | null = null) =>
  readingOf({ kind: 'answered', status, body: JSON.stringify(body), waitMs });
const hourMs = 3_600_000;

function eventsOf(web: unknown[]) {
  const reading = answered({ web });
  return reading.kind === 'read' ? reading.events : [];
}

await t.test('a documented answer becomes a row per event', (t) => {
  const diagnostic = {
    name: 'Server sending mismatched IP addresses',
    description: 'They do not match.',
    solution: 'Send those of the visitor.',
    percentage: 61.5,
    affected_event_count: 19_567,
    total_event_count: 31_830,
  };
  const reading = answered({
    web: [
      {
        event_name: 'Purchase',
        event_match_quality: {
          composite_score: 6.2,
          match_key_feedback: [{ identifier: 'user_agent', coverage: { percentage: 100 } }],
          diagnostics: [diagnostic],
        },
        event_coverage: { percentage: 34.1, goal_percentage: 75 },
        dedupe_key_feedback: [
          {
            dedupe_key: 'event_id',
            browser_events_with_dedupe_key: { percentage: 100 },
            server_events_with_dedupe_key: { percentage: 99 },
            overall_browser_coverage_from_dedupe_key: { percentage: 14.8 },
          },
        ],
        data_freshness: { upload_frequency: 'real_time' },
        acr: { percentage: 12 },
      },
    ],
  });
  t.match(reading, { kind: 'read', reason: '' });
  t.strictSame(reading.kind === 'read' && reading.events, [
    {
      eventName: 'Purchase',
      compositeScore: 6.2,
      matchKeys: [{ identifier: 'user_agent', percentage: 100 }],
      coverage: 34.1,
      coverageGoal: 75,
      dedupeKeys: [{ key: 'event_id', browser: 100, server: 99, joined: 14.8 }],
      uploadFrequency: 'real_time',
      acr: 12,
      diagnostics: [
        {
          name: diagnostic.name,
          description: diagnostic.description,
          solution: diagnostic.solution,
          percentage: 61.5,
          affected: 19_567,
          total: 31_830,
        },
      ],
    },
  ]);
  t.end();
});

await t.test('what is missing or wrong is left out, and the rest is kept', (t) => {
  const keys = [{ identifier: 'fbc' }, 7, { identifier: 'fbp', coverage: { percentage: '5' } }];
  const match = { composite_score: 'high', match_key_feedback: keys, diagnostics: 'none' };
  const web = [null, { event_name: 5 }, { event_name: 'PageView', event_match_quality: match }];
  t.match(answered({ web }), {
    kind: 'read',
    events: [{ eventName: 'PageView', compositeScore: null, matchKeys: [], diagnostics: [] }],
  });
  const [event] = eventsOf([{ event_name: 'a\u0000b' }]);
  t.match(event, { eventName: 'ab' }, 'what Postgres keeps no place for');
  const many = Array.from({ length: 500 }, (_, index) => ({ event_name: `e${index}` }));
  t.equal(eventsOf(many).length, 100, 'bounded');
  t.end();
});

await t.test('what is no answer says why, and when to ask again', (t) => {
  const error = (code: number, message: string, subcode?: number) => ({
    error: { code, message, error_subcode: subcode },
  });
  const cases = [
    [answered(error(200, '(#200) Permissions error'), 403), 'refused', 24 * hourMs],
    [answered(error(10, '(#10) No permission'), 403), 'refused', 24 * hourMs],
    [answered(error(190, 'Session has expired'), 401), 'refused', 24 * hourMs],
    [answered(error(100, '(#100) nonexisting field'), 400), 'refused', 24 * hourMs],
    [answered(error(100, 'missing', 33), 400), 'refused', 24 * hourMs],
    [answered(error(80_004, 'too many calls'), 400), 'throttled', hourMs / 2],
    [answered(error(80_004, 'too many calls'), 400, 3 * hourMs), 'throttled', 3 * hourMs],
    [answered(error(2, 'unavailable'), 500), 'failed', hourMs / 2],
    [answered({ web: {} }), 'failed', hourMs / 2],
    [answered([]), 'failed', hourMs / 2],
    [answered({ web: [] }, 502), 'failed', hourMs / 2],
    [readingOf({ kind: 'lost', reason: 'TimeoutError' }), 'failed', hourMs / 2],
    [readingOf({ kind: 'unreachable', reason: 'ECONNREFUSED' }), 'failed', hourMs / 2],
    [answered({ web: [] }), 'read', 6 * hourMs],
  ] as const;
  for (const [reading, kind, waitMs] of cases) {
    t.equal(reading.kind, kind, reading.reason);
    t.equal(nextReadingMs(reading, defaultQualityPace), waitMs, `${kind}: ${reading.reason}`);
    t.equal(reading.reason === '', kind === 'read', 'a reason wherever there is nothing else');
  }
  t.end();
});

await t.test('no JSON makes it throw', (t) => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.jsonValue(),
      fc.integer({ min: 200, max: 599 }),
      (a, b, status) => {
        answered(a, status);
        answered(
          { web: [a, { event_name: 'x', event_match_quality: b, event_coverage: a }] },
          status,
        );
        answered({ error: a }, status);
      },
    ),
  );
  t.end();
});
