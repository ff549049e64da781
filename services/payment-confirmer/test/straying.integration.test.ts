/**
 * Goal: money that comes for a charge that nobody was shown is not lost, and counts once.
 * Method: a gateway whose answer is lost, so that the next account's code is shown; then the bank
 * pays the lost charge, both, or the other way round, and the gateway tells other things.
 */
import { newId } from '@rastro/runtime';
import t from 'tap';
import { counted, finalTypesOf, firstOutcomeAbout, heeded } from './arrivals.ts';
import { botId, eventOf, hurried, startTwoAccounts, strayed } from './two-accounts.ts';
import {
  bought,
  chargeAtBank,
  chargesOf,
  deliver,
  paidBody,
  processed,
  secondSecrets,
  sees,
  setFaults,
  start,
} from './world.ts';

const accounts = await startTwoAccounts();
t.teardown(() => accounts[Symbol.asyncDispose]());
const { world } = accounts;

await t.test('the charge that nobody was shown is paid', async (t) => {
  await using service = await start(world, { failover: hurried });
  const { paymentId, own, stray, checkoutId, pixCode } = await strayed(accounts);
  // As the gateway of the shown one told it; the other is another seller's number.
  await world.sql`
    update charges set receiver = 'of-the-second', told_cents = 1 where payment_id = ${paymentId}`;
  await chargeAtBank(world, stray, 'pay');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid');
  t.match(eventOf(world, paymentId, 'PaymentCreated'), { data: { accountId: 'pix-second' } });
  const paid = { accountId: 'pix-sandbox', amountCents: 1990, proof: 'requery' };
  t.match(eventOf(world, paymentId, 'PaymentPaid'), { workspaceid: 'demo', data: paid });
  await counted(service.url, /stray_charges_total\{[^}]*outcome="accepted"[^}]*\} 1\n/);
  t.match(await bought(world, { botId, checkoutId }), { status: 'paid', pixCode });
  const [row] = await world.sql`
    select receiver, told_cents from charges where payment_id = ${paymentId}`;
  t.same(row, { receiver: null, toldCents: null }, 'compared with its own account from now on');
  // The message once more, and the customer pays what he was shown as well.
  const delivery = { accountId: 'pix-sandbox' };
  t.equal(await deliver(world, paidBody(stray), delivery), 200);
  await chargeAtBank(world, own, 'pay');
  await counted(service.url, /stray_charges_total\{[^}]*outcome="surplus"[^}]*\} 1\n/);
  t.same(await finalTypesOf(world, paymentId), ['PaymentCreated', 'PaymentPaid']);
  // From here on the account that has the money is the one that counts.
  await chargeAtBank(world, stray, 'refund');
  await sees(world, paymentId, 'PaymentCreated', 'PaymentPaid', 'PaymentRefunded');
  t.match(eventOf(world, paymentId, 'PaymentRefunded'), { data: { accountId: 'pix-sandbox' } });
  await processed(world);
});

await t.test('it is paid second, ends unpaid, or is not what was asked for', async (t) => {
  await using service = await start(world, { failover: hurried });
  const twice = await strayed(accounts);
  await chargeAtBank(world, twice.own, 'pay');
  await sees(world, twice.paymentId, 'PaymentCreated', 'PaymentPaid');
  await chargeAtBank(world, twice.stray, 'pay');
  await counted(service.url, /stray_charges_total\{[^}]*outcome="surplus"[^}]*\} 1\n/);
  t.match(eventOf(world, twice.paymentId, 'PaymentPaid'), { data: { accountId: 'pix-second' } });

  const ended = await strayed(accounts);
  await chargeAtBank(world, ended.stray, 'expire');
  t.equal(await firstOutcomeAbout(world, ended.stray.charge_id), 'observed');
  const delivery = { accountId: 'pix-sandbox' };
  const told = async (changes: object, claimed: object = {}) => {
    const body = { ...ended.stray, status: 'paid', ...changes };
    const match = { method: 'GET', path: `/charges/${ended.stray.charge_id}` };
    await setFaults(world, [{ api: 'pix', match, action: { status: 200, body } }]);
    const outcome = await heeded(world, paidBody(ended.stray, claimed), delivery);
    await setFaults(world, []);
    return outcome;
  };
  t.equal(await told({ amount_cents: 1989 }), 'mismatch');
  t.equal(await told({ currency: 'ARS' }), 'mismatch');
  t.equal(await told({ external_reference: newId() }), 'mismatch');
  t.equal(await told({}, { charge_id: 'chg_x' }), 'mismatch', 'the gateway knows no such charge');
  t.equal(await told({ status: 'refunded' }), 'observed');
  t.same(await finalTypesOf(world, ended.paymentId), ['PaymentCreated']);
  // An account that was never asked has nothing to say.
  const { paymentId } = await bought(world, { botId: 'bot-a' });
  const [charge] = await chargesOf(world, paymentId);
  if (!charge) throw new Error('there is no charge');
  const secret = secondSecrets.webhookSecret;
  const strange = { accountId: 'pix-second', secret };
  t.equal(await heeded(world, paidBody(charge), strange), 'mismatch');
  await chargeAtBank(world, ended.own, 'pay');
  await sees(world, ended.paymentId, 'PaymentCreated', 'PaymentPaid');
  t.same(await finalTypesOf(world, twice.paymentId), ['PaymentCreated', 'PaymentPaid']);
});
