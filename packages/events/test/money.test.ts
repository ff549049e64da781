/** Goal: cents and decimals mean the same amount. Method: edge cases by hand. */
import t from 'tap';
import { centsToDecimal, decimalToCents, formatMoney } from '../src/index.ts';

await t.test('cents become a decimal string', (t) => {
  t.equal(centsToDecimal(1990), '19.90');
  t.equal(centsToDecimal(5), '0.05');
  t.equal(centsToDecimal(0), '0.00');
  t.equal(centsToDecimal(100_000_000_00), '100000000.00');
  t.end();
});

await t.test('a decimal becomes cents, to the cent', (t) => {
  // 19.9 * 100 is 1989.9999999999998.
  for (const text of ['19.9', '19.90', '19.900']) t.equal(decimalToCents(text), 1990, text);
  t.equal(decimalToCents('42.39'), 4239);
  t.equal(decimalToCents('0.05'), 5);
  t.equal(decimalToCents('7'), 700);
  t.equal(decimalToCents('9999999999999.99'), 999_999_999_999_999);
  for (const text of ['', '.', '1.', '.5', '1.005', '-1', '1e3', '1,5', ' 1', '1'.repeat(14)]) {
    t.equal(decimalToCents(text), null, text);
  }
  for (let cents = 0; cents < 20_000; cents += 1) {
    if (decimalToCents(centsToDecimal(cents)) !== cents) t.fail(`${cents} cents`);
    if (decimalToCents(String(Number(centsToDecimal(cents)))) !== cents) t.fail(`${cents} as JSON`);
  }
  t.end();
});

await t.test('money reads as people write it', (t) => {
  t.equal(formatMoney(199_000_00, 'BRL'), 'R$ 199.000,00');
  t.equal(formatMoney(1990, 'EUR'), 'EUR 19,90');
  t.end();
});
