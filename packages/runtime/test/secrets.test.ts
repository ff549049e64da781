/** Goal: a sealed secret opens only where it belongs and only unaltered. Method: seal, spoil, open. */
import fc from 'fast-check';
import t from 'tap';
import { deriveSecret, isSameSecret, openSecret, SealError, sealSecret } from '../src/index.ts';

const key = Buffer.alloc(32, 1);

await t.test('what is sealed opens again, and sealing again changes nothing', (t) => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (plain) => {
      const sealed = sealSecret(key, 'bot/a/token', plain);
      return (
        openSecret(key, 'bot/a/token', sealed) === plain &&
        sealed === sealSecret(key, 'bot/a/token', plain)
      );
    }),
  );
  t.end();
});

await t.test(
  'another place, another key or one changed bit is refused without a trace of it',
  (t) => {
    const sealed = sealSecret(key, 'bot/a/token', 'very secret');
    t.notMatch(sealed, /very/);
    const bytes = Buffer.from(sealed.slice(7), 'base64url');
    for (let i = 0; i < bytes.length; i += 1) {
      const spoilt = Buffer.from(bytes);
      spoilt[i] = (spoilt[i] ?? 0) ^ 1;
      t.throws(
        () => openSecret(key, 'bot/a/token', `enc:v1:${spoilt.toString('base64url')}`),
        SealError,
      );
    }
    t.throws(() => openSecret(key, 'bot/b/token', sealed), SealError);
    t.throws(() => openSecret(Buffer.alloc(32, 2), 'bot/a/token', sealed), SealError);
    for (const junk of ['', 'enc:v1:', 'plain', 'enc:v1:AAAA']) {
      t.throws(
        () => openSecret(key, 'bot/a/token', junk),
        /bot\/a\/token.*apply the catalog again/,
      );
    }
    t.end();
  },
);

await t.test('the same secret in two places looks different', (t) => {
  t.not(
    sealSecret(key, 'bot/a/token', 'x').slice(0, 20),
    sealSecret(key, 'bot/b/token', 'x').slice(0, 20),
  );
  t.end();
});

await t.test('derived secrets differ by purpose; comparing stands any length', (t) => {
  t.not(deriveSecret(key, 'a'), deriveSecret(key, 'b'));
  t.ok(isSameSecret('çã', 'çã'));
  t.notOk(isSameSecret('', 'x'));
  t.notOk(isSameSecret('a much longer one', 'x'));
  t.end();
});
