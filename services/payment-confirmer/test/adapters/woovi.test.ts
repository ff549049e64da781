/**
 * Goal: what Woovi's messages say is understood: its pings, its doubled and unknown messages and
 * its words about disputes; the payer is not kept, and nothing crashes it.
 * Method: the documented samples, then values of wrong types and mutated bodies.
 */
import fc from 'fast-check';
import t from 'tap';
import { readWebhook } from '../../src/adapters/woovi.ts';
import type { WebhookDelivery } from '../../src/core/gateway.ts';

const correlationID = '019500a0-0000-7000-8000-000000000001';
const bytes = (text: string): WebhookDelivery => ({
  headers: {},
  query: {},
  body: Buffer.from(text),
});
const read = (value: unknown) => readWebhook(bytes(JSON.stringify(value)));
const hintOf = (value: unknown) => {
  const verdict = read(value);
  if (verdict.outcome !== 'verified') throw new Error(verdict.problem);
  return verdict.hint;
};

await t.test('messages, by their documented samples', async (t) => {
  const ping = {
    data_criacao: '2021-08-10T20:32:14.429Z',
    evento: 'teste_webhook',
    event: 'OPENPIX:CHARGE_COMPLETED',
  };
  t.match(hintOf(ping), { isAboutCharge: false, type: 'teste_webhook', chargeId: null });
  const charge = { value: 1990, correlationID, status: 'COMPLETED' };
  t.match(hintOf({ ...ping, charge }), { isAboutCharge: false }, 'a ping stays a ping');
  const pix = { value: 1990, endToEndId: 'E18236120202012032010s0133872GZA', payer: { name: 'M' } };
  const asked = { isAboutCharge: true, chargeId: correlationID, reference: correlationID };
  for (const event of [
    'OPENPIX:CHARGE_COMPLETED',
    'OPENPIX:CHARGE_COMPLETED_NOT_SAME_CUSTOMER_PAYER',
    'OPENPIX:TRANSACTION_RECEIVED',
    'OPENPIX:CHARGE_EXPIRED',
    'woovi:CHARGE_COMPLETED',
  ]) {
    const hint = hintOf({ event, charge, pix });
    t.match(hint, { ...asked, type: event, amountCents: 1990, currency: null, claim: null });
  }
  t.match(hintOf({ event: 'OPENPIX:CHARGE_COMPLETED', charge }), { amountCents: 1990 });
  const paidLess = { event: 'OPENPIX:CHARGE_COMPLETED', charge, pix: { ...pix, value: 1 } };
  t.match(hintOf(paidLess), { amountCents: 1 }, 'what was paid is compared');
  const inPix = { event: 'OPENPIX:TRANSACTION_RECEIVED', charge: null, pix: { ...pix, charge } };
  t.match(hintOf(inPix), { ...asked, amountCents: 1990 });
  const refund = { event: 'OPENPIX:TRANSACTION_REFUND_RECEIVED', charge, pix: { value: 151 } };
  t.match(hintOf(refund), { ...asked, amountCents: 1990 }, 'its pix is the refund');

  const keys = [{ event: 'OPENPIX:CHARGE_COMPLETED', charge, pix }, paidLess, refund].map(
    (one) => hintOf(one).webhookId,
  );
  t.equal(new Set(keys).size, 3);
  t.equal(hintOf(refund).webhookId, keys[2], 'the same for each delivery');

  const nobody = { isAboutCharge: false, chargeId: null, record: { type: String } };
  t.match(hintOf({ event: 'OPENPIX:CHARGE_CREATED', charge }), nobody);
  t.match(
    hintOf({ event: 'OPENPIX:TRANSACTION_RECEIVED', charge: null, pix }),
    nobody,
    'no charge',
  );
  t.match(hintOf({ event: 'OPENPIX:MOVEMENT_CONFIRMED', payment: {} }), nobody);
  t.match(hintOf({ event: 'ACCOUNT_REGISTER_APPROVED' }), nobody);
  t.match(hintOf({}), nobody);
});

await t.test('disputes and refunds name the payment at the bank', async (t) => {
  const endToEndId = 'E3524a995bbd54034b6d07c1c36014557';
  const dispute = {
    status: 'OPENED',
    endToEndId,
    name: 'Seu jorge',
    email: 'test@email.com.br',
    phoneNumber: '+5519989673846',
    value: 1000,
    disputeReason: 'Golpe',
  };
  const about = { isAboutCharge: true, chargeId: endToEndId, reference: null, amountCents: null };
  for (const word of ['CREATED', 'ACCEPTED', 'REJECTED', 'CANCELED', 'OF_ANOTHER_KIND']) {
    for (const prefix of ['OPENPIX:', 'woovi:', '']) {
      const hint = hintOf({ event: `${prefix}DISPUTE_${word}`, dispute });
      t.match(hint, { ...about, claim: null }, 'how it stands is asked for');
    }
  }
  const { record } = hintOf({ event: 'OPENPIX:DISPUTE_CREATED', dispute });
  t.same(record, {
    event: 'OPENPIX:DISPUTE_CREATED',
    dispute: { status: 'OPENED', endToEndId, value: 1000, disputeReason: 'Golpe' },
  });
  t.match(read({ event: 'OPENPIX:DISPUTE_CREATED' }), { outcome: 'malformed' });

  const party = { holder: { name: 'Sapataria Xiq Bom', taxID: { taxID: '06888687000120' } } };
  const sent = hintOf({
    event: 'PIX_TRANSACTION_REFUND_SENT_CONFIRMED',
    refundTransaction: { value: 10001, status: 'CONFIRMED', creditParty: party },
    originalTransaction: { value: 10001, endToEndId, debitParty: party, payer: { name: 'S' } },
  });
  t.match(sent, { ...about, claim: null });
  t.notMatch(JSON.stringify(sent.record), /Sapataria|06888687000120/);
  const received = { event: 'PIX_TRANSACTION_REFUND_RECEIVED_CONFIRMED' };
  t.match(hintOf({ ...received, originalTransaction: { endToEndId } }), { isAboutCharge: false });
});

await t.test('what is not of the documented shape, and nothing crashes it', async (t) => {
  for (const text of ['', '{', 'null', '[]', '"x"', '5', '{"event":5}', '{"charge":[]}']) {
    t.equal(readWebhook(bytes(text)).outcome, 'malformed', text);
  }
  const charge = { correlationID, value: 1990 };
  for (const value of [19.9, '1990', -1, 1e300, true]) {
    t.match(read({ event: 'OPENPIX:CHARGE_COMPLETED', charge: { ...charge, value } }), {
      outcome: 'malformed',
    });
    t.match(read({ charge, pix: { value } }), { outcome: 'malformed' });
  }
  for (const id of [null, '', 5, {}, 'x'.repeat(257)]) {
    t.match(read({ charge: { ...charge, correlationID: id } }), { outcome: 'malformed' });
  }
  const raw = { ...bytes(''), body: Buffer.from([0x7b, 0xff, 0x7d]) };
  t.equal(readWebhook(raw).outcome, 'malformed', 'no UTF-8');
  const deep = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`;
  t.equal(readWebhook(bytes(deep)).outcome, 'verified', 'deep, and of no interest');

  const events = fc.constantFrom('CHARGE_COMPLETED', 'DISPUTE_CREATED', '__proto__', 'constructor');
  const of = fc.record(
    {
      event: fc.oneof(events, fc.jsonValue()),
      charge: fc.oneof(fc.constant(charge), fc.jsonValue()),
      pix: fc.jsonValue(),
      dispute: fc.oneof(fc.constant({ endToEndId: 'E1' }), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const sane = (delivery: WebhookDelivery) => {
    const verdict = readWebhook(delivery);
    if (verdict.outcome !== 'verified') return verdict.outcome === 'malformed';
    return verdict.hint.claim === null;
  };
  t.doesNotThrow(() => {
    fc.assert(
      fc.property(of, (value) => sane(bytes(JSON.stringify(value)))),
      { numRuns: 1_000 },
    );
    const noise = fc.uint8Array({ maxLength: 200 });
    fc.assert(fc.property(noise, (body) => sane({ headers: {}, query: {}, body })));
  });
});
