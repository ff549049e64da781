/** Goal: an outage never loses a message, a poison message never stays for ever. Method: tables. */
import t from 'tap';
import { differences } from '../src/provision.ts';
import { isOutage, maxDeliveries, retryDelayMs, settlementOfError } from '../src/settlement.ts';

await t.test('waiting grows, has a cap and a jitter of a quarter', (t) => {
  t.equal(retryDelayMs(1, 0.5), 500);
  t.equal(retryDelayMs(2, 0.5), 2_000);
  t.equal(retryDelayMs(99, 0.5), 60_000);
  t.equal(retryDelayMs(99, 0), 45_000);
  t.ok(retryDelayMs(99, 0.999) < 75_000);
  t.end();
});

await t.test(
  'a handler that keeps throwing has a poison message, unless something is away',
  (t) => {
    const bug = new TypeError('undefined is not a function');
    const outage = Object.assign(new Error('write CONNECTION_CLOSED'), {
      code: 'CONNECTION_CLOSED',
    });
    t.match(settlementOfError(bug, maxDeliveries - 1, 0.5), { retryInMs: 60_000 });
    t.match(settlementOfError(bug, maxDeliveries, 0.5), {
      deadLetter: /failed 20 times.*undefined/,
    });
    t.match(settlementOfError(outage, 10_000, 0.5), { retryInMs: 2_000 });
    t.end();
  },
);

await t.test('what counts as an outage', (t) => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'CONNECT_TIMEOUT', '57P01', '08006', '53300']) {
    t.ok(isOutage(Object.assign(new Error(), { code })), code);
  }
  for (const code of ['23505', '42P01', 'ERR_INVALID_ARG_TYPE', undefined]) {
    t.notOk(isOutage(Object.assign(new Error(), { code })), String(code));
  }
  t.end();
});

await t.test('a config diff names what differs and leaves alone what is not asked for', (t) => {
  const wanted = { max_age: 5, subjects: ['b', 'a'], discard: 'new' };
  t.same(differences(wanted, { ...wanted, subjects: ['a', 'b'], num_replicas: 3 }), []);
  t.same(differences(wanted, { ...wanted, max_age: 6 }), [
    { setting: 'max_age', actual: 6, wanted: 5 },
  ]);
  t.end();
});
