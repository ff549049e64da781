/**
 * Goal: each message keeps within Telegram's limits and no value breaks out of its markup.
 * Method: renders messages with hostile values and looks at what would be sent.
 */
import t from 'tap';
import { renderMessage } from '../../src/core/rendering.ts';
import type { Message, Notice, Pix } from '../../src/core/message.ts';
import { plainText } from '../../src/core/simulation-text.ts';
import { readConfig } from '../../src/config.ts';

const hostile = '</code><a href="tg://x">&lt;';
const pix: Pix = {
  paymentId: '019aa0f0-0000-7000-8000-000000000002',
  productName: 'E-book',
  amountCents: 123_456,
  currency: 'BRL',
  pixCode: '00020126',
  checkoutNotice: null,
  expiresAt: '2026-11-21T02:30:20.500Z',
};
const buttonsOf = (message: Message) =>
  renderMessage(message).flatMap(({ keyboard }) => keyboard.flat());

await t.test('a PIX has price, Brazilian time, code, QR picture and its buttons', async (t) => {
  const [part, ...rest] = renderMessage({ kind: 'pix', pix });
  t.equal(rest.length, 0);
  t.match(part?.html, 'R$ 1.234,56');
  t.match(part?.html, '20/11 às 23:30');
  t.match(part?.html, '<code>00020126</code>');
  t.strictSame(part?.media, { type: 'qr', text: '00020126' });
  t.ok(part?.placeholder, 'it is edited into a text, so that it never stands there twice');
  t.match(buttonsOf({ kind: 'pix', pix }), [{ copy_text: { text: '00020126' } }, {}]);
  const long = { ...pix, pixCode: 'x'.repeat(257) };
  t.equal(buttonsOf({ kind: 'pix', pix: long }).length, 1, 'no copy button past 256 characters');
});

await t.test('what does not fit a caption stands in a message of its own', async (t) => {
  const noticed = renderMessage({
    kind: 'pix',
    pix: { ...pix, checkoutNotice: 'n'.repeat(1_024) },
  });
  t.strictSame(
    noticed.map(({ html, media }) => [html === 'n'.repeat(1_024), media?.type ?? null]),
    [
      [true, null],
      [false, 'qr'],
    ],
  );
  const [bare, ...rest] = renderMessage({
    kind: 'pix',
    pix: { ...pix, pixCode: 'x'.repeat(1_024) },
  });
  t.strictSame([bare?.media, rest.length], [null, 0], 'a code too long comes without its picture');
  const media = { type: 'photo', url: 'https://example.com/a.jpg' } as const;
  const step = { kind: 'step', snapshotKey: '1', step: 0, media, buttons: [] } as const;
  t.equal(renderMessage({ ...step, text: 'a'.repeat(1_024) }).length, 1);
  const parts = renderMessage({ ...step, text: 'a'.repeat(1_025) });
  t.strictSame(
    parts.map(({ html, media: shown }) => [html.length, shown]),
    [
      [0, media],
      [1_025, null],
    ],
  );
});

const reversal = {
  about: 'refunded',
  productName: hostile,
  cents: 1,
  currency: 'USD',
  isPartial: true,
} as const;
const checkoutId = pix.paymentId;
const place = { snapshotKey: '1', step: 0, button: 0 };
const at = pix.expiresAt;

/** One of each, so that a new one has to be added here: the compiler asks for it. */
const notices: { readonly [K in Notice['about']]: Notice & { about: K } } = {
  expired: { about: 'expired', productName: hostile, checkoutId },
  refused: { about: 'refused', productName: hostile, checkoutId },
  delayed: { about: 'delayed', checkoutId },
  unavailable: { about: 'unavailable', checkoutId },
  bump: { about: 'bump', place, text: hostile, accept: 'Sim', decline: 'Não' },
  reversal: { about: 'reversal', reversal, text: `{product} {amount} ${hostile}` },
  privacy: {
    about: 'privacy',
    privacy: { controller: hostile, contact: hostile, policyUrl: 'https://example.com' },
  },
  my_data: {
    about: 'my_data',
    data: {
      telegramUserId: 5,
      languageCode: hostile,
      isPremium: true,
      firstSeenAt: at,
      clicks: Array.from({ length: 100 }, () => ({ trackingToken: hostile, boundAt: at })),
      checkouts: Array.from({ length: 100 }, () => ({
        productId: hostile,
        startedAt: at,
        status: 'paid',
      })),
    },
  },
  erase_question: { about: 'erase_question' },
  erased: { about: 'erased', contact: hostile },
  reversal_note: {
    about: 'reversal_note',
    reversal,
    paymentId: hostile,
    telegramUserId: 5,
    accessStays: false,
  },
  erasure_note: { about: 'erasure_note', leadId: hostile },
};

await t.test('nothing breaks out, and nothing is longer than Telegram takes', async (t) => {
  const messages: Message[] = [
    { kind: 'step', snapshotKey: '1', step: 0, text: hostile, media: null, buttons: [] },
    {
      kind: 'pix',
      pix: { ...pix, productName: hostile, pixCode: hostile, checkoutNotice: hostile },
    },
    { kind: 'paid', productName: hostile, text: null },
    { kind: 'paid', productName: hostile, text: `Obrigado por {product}! ${hostile}` },
    { kind: 'delivery', productName: hostile, link: `https://x/${hostile}` },
    { kind: 'delivery', productName: hostile, link: null },
    ...Object.values(notices).map((notice): Message => ({ kind: 'notice', notice })),
    {
      kind: 'notice',
      notice: { about: 'reversal', reversal: { ...reversal, isPartial: false }, text: null },
    },
  ];
  for (const part of messages.flatMap(renderMessage)) {
    const rest = part.html.replaceAll(/<\/?(?:b|code)>/g, '');
    t.notMatch(rest, /[<>"]|&(?!(?:amp|lt|gt|quot);)/);
    const opened = part.html.match(/<(?:b|code)>/g)?.length;
    t.equal(opened, part.html.match(/<\/(?:b|code)>/g)?.length);
    t.ok(plainText(part.html).length <= 4_096, `${plainText(part.html).length} characters`);
    for (const button of part.keyboard.flat()) {
      if ('callback_data' in button) t.ok(Buffer.byteLength(button.callback_data) <= 64);
    }
  }
  const [thanks] = renderMessage({ kind: 'paid', productName: 'E', text: 'Oba: {product}!' });
  t.equal(thanks?.html, 'Oba: E!');
  const [delivery] = renderMessage({ kind: 'delivery', productName: 'E', link: 'https://x/1' });
  t.equal(delivery?.hasPreview, false, 'a preview would open the delivery page');
  t.ok(delivery?.placeholder, 'a link never stands there twice');
});

await t.test('updates are pushed to https and fetched elsewhere', async (t) => {
  const environment = {
    NATS_URL: 'nats://127.0.0.1:4222',
    POSTGRES_URL: 'postgres://127.0.0.1/rastro',
    RASTRO_MASTER_KEY: Buffer.alloc(32).toString('base64'),
  };
  const mode = (more: object) => readConfig({ ...environment, ...more }).telegramUpdates;
  t.equal(mode({}), 'polling');
  t.equal(mode({ PUBLIC_ORIGIN: 'https://go.example.com' }), 'webhook');
  t.equal(mode({ PUBLIC_ORIGIN: 'https://x.example', TELEGRAM_UPDATES: 'polling' }), 'polling');
  t.throws(() => mode({ TELEGRAM_UPDATES: 'pigeons' }), { code: 'CONFIG_INVALID' });
});

await t.test('the operator reads what becomes of the access', (t) => {
  const note = (about: 'refunded' | 'charged_back', isPartial: boolean, accessStays: boolean) => {
    const notice = {
      about: 'reversal_note',
      reversal: { ...reversal, about, isPartial },
      paymentId: '1',
      telegramUserId: null,
      accessStays,
    } as const;
    return renderMessage({ kind: 'notice', notice })[0]?.html ?? '';
  };
  t.match(note('refunded', false, false), 'Retire o acesso');
  t.match(note('refunded', false, true), 'O acesso continua');
  t.match(note('refunded', true, true), 'Decida se o acesso continua');
  t.match(note('charged_back', false, true), 'Retire o acesso', 'a chargeback always ends it');
  t.end();
});
