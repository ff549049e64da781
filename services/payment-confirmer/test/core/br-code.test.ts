/**
 * Goal: no customer is shown a PIX code that cannot be paid or pays something else; charges are
 * asked about when they should be.
 * Method: published codes, codes made by another library, and codes spoilt in one place.
 */
import { createDynamicPix, hasError, parsePix } from 'pix-utils';
import fc from 'fast-check';
import { equal, notEqual } from 'node:assert/strict';
import t from 'tap';
import { brCodeProblem, crc16 } from '../../src/core/br-code.ts';
import { disproofOf, mismatchOf } from '../../src/core/gateway.ts';
import {
  defaultSchedule,
  firstCheckMs,
  nextCheckMs,
  nextFollowUp,
  pauseAfterFailureMs,
} from '../../src/core/schedule.ts';

const woovi =
  '00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-42665544000052040000530398654041.005802BR5915Call_me_Awesome6009Sao_Paulo622905259134e2866f71427abf001000063047029';
const pixUtils =
  '00020126580014br.gov.bcb.pix0136123e4567-e89b-12d3-a456-426655440000520400005303986540519.905802BR5910LOJA TESTE6009SAO PAULO62130509PEDIDO12363042D08';
const brl = (amountCents: number) => ({ amountCents, currency: 'BRL' });
const sealed = (body: string): string => `${body}6304${crc16(`${body}6304`)}`;

await t.test('published codes', async (t) => {
  t.equal(crc16('123456789'), '29B1', 'the check value of CRC-16/CCITT-FALSE');
  t.equal(brCodeProblem(woovi, brl(100)), null);
  t.equal(brCodeProblem(pixUtils, brl(1990)), null);
  t.equal(brCodeProblem(woovi.toLowerCase(), brl(100))?.includes('CRC'), true);
  t.match(brCodeProblem(woovi.replace(/7029$/, '7028'), brl(100)), /CRC/);
  t.match(brCodeProblem('https://api.openpix.com.br/openpix/testing?x=1', brl(100)), /CRC/);
  t.match(brCodeProblem('', brl(100)), /CRC/);
  t.match(brCodeProblem('\ud800'.padEnd(40, '63041234'), brl(100)), /CRC/);
});

await t.test('a right CRC over wrong contents', async (t) => {
  t.match(brCodeProblem(pixUtils, brl(1991)), /amount/);
  t.match(brCodeProblem(pixUtils, { amountCents: 1990, currency: 'USD' }), /currency/);
  const body = pixUtils.slice(0, -8);
  t.equal(brCodeProblem(sealed(body), brl(1990)), null);
  t.equal(brCodeProblem(sealed(body.replace('540519.90', '')), brl(5)), null, 'no amount');
  t.match(brCodeProblem(sealed(body.replace('540519.90', '54051e990')), brl(1990)), /amount/);
  t.match(
    brCodeProblem(sealed(body.replace('br.gov.bcb.pix', 'br.gov.bcb.xxx')), brl(1990)),
    /PIX/,
  );
  t.match(brCodeProblem(sealed(body.replace('5910LOJA', '5999LOJA')), brl(1990)), /lengths/);
  t.equal(brCodeProblem(sealed(body.replace('LOJA TESTE', 'LOJÃ TESTE')), brl(1990)), null);
});

await t.test('agrees with pix-utils, and every changed character is found', async (t) => {
  const property = fc.property(
    fc.integer({ min: 1, max: 9_999_999 }),
    fc.nat(),
    fc.constantFrom('0', '1', '5', '9', 'A', 'x', '.', ' '),
    (cents, at, other) => {
      const made = createDynamicPix({
        merchantName: 'LOJA TESTE',
        merchantCity: 'SAO PAULO',
        url: 'pix.example.com/qr/v2/9d36b84fc70b478fb95c12729b90ca25',
      });
      if (hasError(made)) throw new Error(made.message);
      const plain = made.toBRCode();
      const amount = `${Math.trunc(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
      const body = plain.slice(0, -8).replace(/5303986(54\d\d[\d.]+)?5802/, () => {
        return `530398654${String(amount.length).padStart(2, '0')}${amount}5802`;
      });
      const code = sealed(body);
      const parsed = parsePix(code);
      if (hasError(parsed)) throw new Error(parsed.message);
      equal(brCodeProblem(code, brl(cents)), null);
      equal(brCodeProblem(plain, brl(cents)), null);
      const index = at % code.length;
      if (code[index]?.toUpperCase() === other.toUpperCase()) return;
      const spoilt = code.slice(0, index) + other + code.slice(index + 1);
      notEqual(brCodeProblem(spoilt, brl(cents)), null, `${spoilt} is refused`);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
});

await t.test('comparison and schedule', async (t) => {
  const receipt = { receiver: '7', isTestMode: false };
  const wanted = { chargeId: 'c', reference: 'r', amountCents: 1990, currency: 'BRL', ...receipt };
  t.equal(mismatchOf(wanted, wanted), null);
  t.equal(mismatchOf(wanted, { ...wanted, reference: null, amountCents: null }), null);
  t.match(disproofOf(wanted, { ...wanted, amountCents: null }), /not told/);
  t.match(disproofOf(wanted, { ...wanted, amountCents: 1 }), /amountCents is 1, expected 1990/);
  t.match(disproofOf(wanted, { ...wanted, currency: 'ARS' }), /currency/);
  t.match(disproofOf(wanted, { ...wanted, reference: 'x' }), /reference/);
  t.match(disproofOf(wanted, { ...wanted, receiver: '8' }), /receiver is 8, expected 7/);
  t.match(disproofOf(wanted, { ...wanted, isTestMode: true }), /isTestMode/);
  t.equal(disproofOf({ ...wanted, receiver: null }, wanted), null, 'never told before');

  const minutes = (count: number) => count * 60_000;
  const times: number[] = [];
  for (let nowMs: number | null = 0; nowMs !== null;) {
    const next: number | null = nextCheckMs(defaultSchedule, {
      openedAtMs: 0,
      expiresAtMs: minutes(30),
      nowMs,
    });
    if (next !== null) times.push(next);
    nowMs = next;
  }
  t.same(times, [1, 3, 10, 30, 90, 30 + 1440].map(minutes));
  const short = { openedAtMs: 0, expiresAtMs: minutes(2), nowMs: minutes(1) };
  t.equal(nextCheckMs(defaultSchedule, short), minutes(2), 'none between expiry and the hour');
  const first = (openedAtMs: number) =>
    firstCheckMs(defaultSchedule, { openedAtMs, expiresAtMs: minutes(30) });
  t.equal(first(minutes(2)), minutes(3));
  t.equal(first(minutes(3_000)), minutes(3_000), 'created again when all times are over');

  const followUp = (followUpsLeft: number) =>
    nextFollowUp(defaultSchedule, { followUpsLeft, nowMs: 0 });
  t.same(followUp(2), { atMs: minutes(10), left: 1 });
  t.same(followUp(1), { atMs: minutes(60), left: 0 });
  t.same(followUp(0), { atMs: null, left: 0 });
  const pause = (age: number) => pauseAfterFailureMs(defaultSchedule, minutes(age));
  t.same([0, 3, 40, 10_000].map(pause), [1, 1, 10, 60].map(minutes));
});
