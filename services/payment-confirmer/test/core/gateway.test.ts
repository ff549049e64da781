/**
 * Goal: where a gateway's API is silent a proven webhook's word counts, and nowhere else; and what
 * is kept of a message does not speak of the payer.
 * Method: each silence with each answer; bodies of the gateways' documentation with a payer in them.
 */
import t from 'tap';
import { type ChargeReport, completeStatus, type PaymentStatus } from '../../src/core/gateway.ts';
import { withoutPayer } from '../../src/core/redaction.ts';

const told = (status: ChargeReport['status']): ChargeReport => ({
  chargeId: 'c',
  reference: 'r',
  amountCents: 1990,
  currency: 'BRL',
  status,
  statusAtGateway: status,
  paidAt: null,
  endToEndId: null,
  refundedCents: null,
  receiver: null,
  isTestMode: null,
});

await t.test('what the API does not tell', async (t) => {
  const silent = { lostDisputes: true } as const;
  const after = (
    status: ChargeReport['status'],
    claim: 'charged_back' | null,
    statusHere: PaymentStatus = 'disputed',
    silentOn: { lostDisputes?: true } = silent,
  ) => completeStatus(told(status), { silentOn, claim, statusHere }).status;
  t.equal(after('disputed', null), 'disputed');
  t.equal(after('disputed', 'charged_back'), 'charged_back');
  t.equal(after('paid', null, 'charged_back'), 'charged_back', 'the API has no word for it');
  t.equal(after('paid', null), 'paid', 'what it does tell counts');
  t.equal(after('refunded', 'charged_back'), 'refunded');
  t.equal(after('pending', 'charged_back', 'pending'), 'pending', 'no money, nothing lost');
  t.equal(after('paid', 'charged_back', 'disputed', {}), 'paid', 'who tells it is asked');
});

await t.test('the payer is dropped, wherever the gateway puts him', async (t) => {
  const bodies = [
    { status: 'paid', payer_name: 'João Silva', payer_national_registration: '12345678901' },
    { charge: { value: 1990, customer: { name: 'Antonio', taxID: { taxID: '12345678976' } } } },
    { pix: { endToEndId: 'E1', infoPagador: 'Loma', payer: { email: 'email1@example.com' } } },
    { data: { payerInformation: { PIX: { name: 'Maria Santos', taxId: '12.***.***/0001-**' } } } },
    { payer: { identification: { type: 'CPF', number: '12345678909' } }, status: 'approved' },
    { pix: [{ txid: 'x', devedor: { cpf: '12345678909', nome: 'Maria' } }] },
    { comment: 'de Maria, 123.456.789-09, maria@example.com, +55' },
  ];
  for (const body of bodies) {
    const text = JSON.stringify(withoutPayer(body));
    t.notMatch(
      text,
      /João|Antonio|Loma|Maria Santos|"Maria|123456789|123\.456|@example|0001/,
      text,
    );
  }
  t.same(withoutPayer({ id: 7, status: 'paid', value: 1990, end_to_end_id: 'E1', list: [true] }), {
    id: 7,
    status: 'paid',
    value: 1990,
    end_to_end_id: 'E1',
    list: [true],
  });
  t.equal((withoutPayer('x'.repeat(5_000)) as string).length, 1_024);
  let deep: unknown = 'payer';
  for (let depth = 0; depth < 5_000; depth += 1) deep = [deep];
  t.doesNotThrow(() => JSON.stringify(withoutPayer(deep)));
});
