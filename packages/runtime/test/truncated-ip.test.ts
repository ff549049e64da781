/**
 * Goal: an address is told as it is or as its network, and never leaks through an odd form.
 * Method: addresses of all kinds, and random ones (fast-check).
 */
import fc from 'fast-check';
import t from 'tap';
import { publicIp, truncatedIp } from '../src/index.ts';

await t.test('an address becomes its network', (t) => {
  const expectations: [string, string | null][] = [
    ['177.10.20.30', '177.10.20.0'],
    ['177.10.20.0', '177.10.20.0'],
    ['::ffff:177.10.20.30', '177.10.20.0'],
    ['2804:14c:1:2:3:4:5:6', '2804:14c:1::'],
    ['2804:14c:1::', '2804:14c:1::'],
    ['2804:14C:0001:ffff::1', '2804:14c:1::'],
    ['fe80::1%eth0', 'fe80::'],
    ['::1', '::'],
    ['', null],
    ['177.10.20', '177.10.0.0'],
    ['177.10.20.30.AQQAAQMC', null],
    ['somewhere', null],
  ];
  for (const [address, network] of expectations) t.equal(truncatedIp(address), network, address);
  t.end();
});

await t.test('all addresses of a network become the same, and stay so', (t) => {
  const network = (of: fc.Arbitrary<string>) =>
    fc.property(of, (address) => {
      const truncated = truncatedIp(address) ?? '';
      t.equal(truncatedIp(truncated), truncated);
      t.ok(publicIp(address) === null || truncated !== '', address);
    });
  fc.assert(network(fc.ipV4()), { numRuns: 100 });
  fc.assert(network(fc.ipV6()), { numRuns: 100 });
  t.end();
});
