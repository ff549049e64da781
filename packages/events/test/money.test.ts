/** Goal: cents and decimals mean the same amount. Method: edge cases by hand. */
import t from 'tap';
import { centsToDecimal, formatMoney } from '../src/index.ts';

await t.test('cents become a decimal string', (t) => {
  t.equal(centsToDecimal(1990), '19.90');
  t.equal(centsToDecimal(5), '0.05');
  t.equal(centsToDecimal(0), '0.00');
  t.equal(centsToDecimal(100_000_000_00), '100000000.00');
  t.end();
});

await t.test('money reads as people write it', (t) => {
  t.equal(formatMoney(199_000_00, 'BRL'), 'R$ 199.000,00');
  t.equal(formatMoney(1990, 'EUR'), 'EUR 19,90');
  t.end();
});
