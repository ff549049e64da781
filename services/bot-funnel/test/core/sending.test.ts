/**
 * Goal: whatever Telegram answers, or fails to answer, what must not come twice stands in the chat
 * once, and each failure leads to the wait or the end that it deserves.
 * Method: single calls against what has to follow; random walks against a chat that carries calls
 * out or not, with answers that get lost. The seed of a failing walk is printed by fast-check.
 */
import fc from 'fast-check';
import t from 'tap';
import type { MessagePart } from '../../src/core/message-part.ts';
import { sendGiveUpMs } from '../../src/core/retry.ts';
import {
  afterCall,
  type Call,
  type CallFailure,
  type CallResult,
  nextCall,
  type Outcome,
  type Progress,
} from '../../src/core/sending.ts';

const plain: MessagePart = {
  html: 'thanks',
  keyboard: [],
  media: null,
  placeholder: null,
  hasPreview: false,
};
const link: MessagePart = {
  ...plain,
  html: 'link',
  placeholder: '…',
  keyboard: [[{ text: 'open', url: 'http://localhost' }]],
};
const fresh: Progress = { partsSent: 0, placeholderId: null, isWithoutLinks: false, attempts: 0 };
const young = { ageMs: 0, random: 1 };
const failed = (failure: CallFailure): CallResult<number> => ({ ok: false, failure });
const unknown = { type: 'unknown', code: 500, reason: 'x' } as const;

await t.test('parts go one after the other, each in as many calls as it needs', (t) => {
  const parts = [plain, link];
  const first = nextCall(parts, fresh);
  t.match(first, { type: 'send', part: { html: 'thanks' } });
  const afterFirst = afterCall(parts, fresh, { ok: true, value: 1 }, young);
  t.match(afterFirst, { type: 'unfinished', waitMs: 1_000, progress: { partsSent: 1 } });
  const second = progressOf(afterFirst);
  t.match(nextCall(parts, second), { type: 'placeholder', part: { html: '…', keyboard: [] } });
  const afterSecond = afterCall(parts, second, { ok: true, value: 2 }, young);
  const third = progressOf(afterSecond);
  t.match(nextCall(parts, third), { type: 'edit', telegramMessageId: 2, part: link });
  t.strictSame(afterCall(parts, third, { ok: true, value: 2 }, young), {
    type: 'sent',
    telegramMessageId: 2,
  });
  t.end();
});

await t.test('each failure has its consequence', (t) => {
  const after = (failure: CallFailure, progress = fresh, more = young, parts = [plain]) =>
    afterCall(parts, progress, failed(failure), more);
  const limited = { type: 'rate_limited', retryAfterMs: 7_000, reason: 'x' } as const;
  t.match(after(limited, fresh, { ageMs: sendGiveUpMs + 1, random: 1 }), {
    type: 'unfinished',
    waitMs: 7_000,
    progress: { attempts: 0 },
  });
  const tried = { ...fresh, attempts: 3 };
  t.match(after(unknown, tried), { waitMs: 8_000, progress: { attempts: 4 } });
  t.match(after(unknown, tried, { ageMs: 0, random: 0.5 }), { waitMs: 4_000 });
  t.match(
    after(unknown, tried, { ageMs: 0, random: 0 }),
    { waitMs: 1_000 },
    'never under the pace',
  );
  t.match(after(unknown, fresh, { ageMs: sendGiveUpMs + 1, random: 1 }), { type: 'failed' });
  t.match(after({ ...unknown, type: 'blocked', code: 403 }), { type: 'failed', code: 403 });
  t.match(after({ ...unknown, type: 'unauthorized', code: 401 }), { type: 'unfinished' });
  t.match(after({ ...unknown, type: 'refused', code: 400 }), { type: 'failed', code: 400 });
  const edited = { ...fresh, placeholderId: 5 };
  const refused = { ...unknown, type: 'refused', code: 400 } as const;
  const bare = progressOf(after(refused, edited, young, [link]));
  t.match(bare, { isWithoutLinks: true, placeholderId: 5 });
  t.strictSame(nextCall([link], bare).part.keyboard, [[]], 'the text comes without its button');
  t.match(after(refused, bare, young, [link]), { type: 'failed' }, 'and is refused once more');
  const gone = after({ ...unknown, type: 'gone', code: 400 }, edited, young, [link]);
  t.match(gone, { type: 'unfinished', progress: { placeholderId: null, attempts: 1 } });
  t.end();
});

function progressOf(outcome: Outcome): Progress {
  if (outcome.type !== 'unfinished') throw new Error(`it is ${outcome.type}`);
  return outcome.progress;
}

/** A chat as Telegram keeps it: texts by message id. */
function createChat() {
  const texts = new Map<number, string>();
  return {
    texts,
    carryOut(call: Call): CallResult<number> {
      if (call.type !== 'edit') {
        const id = texts.size + 1;
        texts.set(id, call.part.html);
        return { ok: true, value: id };
      }
      texts.set(call.telegramMessageId, call.part.html);
      return { ok: true, value: call.telegramMessageId };
    },
  };
}

const fate = fc.constantFrom('done', 'lost answer', 'not done', 'too many', 'died');

await t.test('lost answers and crashes never show the same thing twice', async () => {
  fc.assert(
    fc.property(fc.array(fate, { maxLength: 60 }), (fates) => {
      const chat = createChat();
      const parts = [plain, link];
      let progress = fresh;
      // Everything works in the end: no walk goes on for ever.
      for (const what of [...fates, ...Array.from({ length: 4 }, () => 'done')]) {
        const call = nextCall(parts, progress);
        const result = what === 'not done' ? failed(unknown) : chat.carryOut(call);
        if (what === 'died') continue;
        const limited = { type: 'rate_limited', retryAfterMs: 1, reason: 'x' } as const;
        const heard = { 'lost answer': failed(unknown), 'too many': failed(limited) }[what];
        const outcome = afterCall(parts, progress, heard ?? result, young);
        if (outcome.type === 'sent') {
          const links = [...chat.texts.values()].filter((text) => text === 'link');
          return links.length === 1;
        }
        progress = progressOf(outcome);
      }
      return false;
    }),
    { numRuns: 500 },
  );
});
