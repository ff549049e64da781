/**
 * Goal: only what Woovi signed is believed, with the keys that it publishes, changes and withdraws;
 * and where no key can be had, nothing is refused for good.
 * Method: the documented vector byte for byte, then each part of it spoilt; own keys and a clock.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { mock } from 'node:test';
import t from 'tap';
import { MockAgent } from 'undici';
import { GatewayError } from '../../src/adapters/gateway-http.ts';
import { createSignatureCheck } from '../../src/adapters/woovi-keys.ts';
import { createWooviGateway } from '../../src/adapters/woovi.ts';
import { mismatchOf, type WebhookDelivery } from '../../src/core/gateway.ts';

// From https://developers.woovi.com/docs/webhook/seguranca, with the people that it made up.
const knownBody =
  '{ "pixQrCode": null, "charge": { "status": "COMPLETED", "customer": { "name": "Antonio Victor", "taxID": { "taxID": "12345678976", "type": "BR:CPF" }, "email": "antoniocliente@example.com", "correlationID": "4979ceba-2132-4292-bd90-bee7fb2125e4" }, "value": 1000, "comment": "Pagamento OpenPix", "transactionID": "ea83401ed4834b3ea6f1f283b389af29", "correlationID": "417bae21-3d08-4cdb-9c2d-fee63c89e9e4", "paymentLinkID": "34697ed2-3790-4b60-8512-e7465b142d84", "createdAt": "2021-03-12T12:43:54.528Z", "updatedAt": "2021-03-12T12:44:09.360Z", "brCode": "https://api.openpix.com.br/openpix/openpix/testing?transactionID=ea83401ed4834b3ea6f1f283b389af29" }, "pix": { "charge": { "status": "COMPLETED", "customer": { "name": "Antonio Victor", "taxID": { "taxID": "12345678976", "type": "BR:CPF" }, "email": "antoniocliente@example.com", "correlationID": "4979ceba-2132-4292-bd90-bee7fb2125e4" }, "value": 1000, "comment": "Pagamento OpenPix", "transactionID": "ea83401ed4834b3ea6f1f283b389af29", "correlationID": "417bae21-3d08-4cdb-9c2d-fee63c89e9e4", "paymentLinkID": "34697ed2-3790-4b60-8512-e7465b142d84", "createdAt": "2021-03-12T12:43:54.528Z", "updatedAt": "2021-03-12T12:44:09.360Z" }, "customer": { "correlationID": "9134e286-6f71-427a-bf00-241681624586", "email": "email1@example.com", "name": "Loma", "phone": "+5511999999999", "taxID": { "taxID": "47043622050", "type": "BR:CPF" } }, "payer": { "correlationID": "9134e286-6f71-427a-bf00-241681624586", "email": "email1@example.com", "name": "Loma", "phone": "+5511999999999", "taxID": { "taxID": "47043622050", "type": "BR:CPF" } }, "time": "2021-03-12T12:44:09.269Z", "value": 1, "transactionID": "ea83401ed4834b3ea6f1f283b389af29", "infoPagador": "OpenPix testing" }, "company": { "id": "624f46f9e93f9f521c8308d7", "name": "Pizzaria do José", "taxID": "4722767300014" }, "account": { "clientId": "ZOJ64B9B-ZM1W-89MI-4UCI-OP2LVIU6NY75" } }';
const knownSignature =
  'lL2nnXgmLFGgxJ8+jCDguqouU4ucrIxYJcU5SPrJFaNcJajTJHYVldqc/z4YFIjAjtPEALe699WosgPY08W7CLpidvtm06Qwa4YMB0l/DcTS93O91NdSH/adjugEKiOb76Zj/0jB8mqOmWCFYbweOBa17bssuEkd5Lw7Q5L314Y=';
const publishedKeys = {
  public_keys: [
    {
      key_identifier: '9dce618794f8986c603915a51b7029126c260e5cfdb2aa47e131d837fd62311c',
      is_current: true,
      key: '-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/+NtIkjzevvqD+I3MMv3bLXDt\npvxBjY4BsRrSdca3rtAwMcRYYvxSnd7jagVLpctMiOxQO8ieUCKLSWHpsMAjO/zZ\nWMKbqoG8MNpi/u3fp6zz0mcHCOSqYsPUUG19buW8bis5ZZ2IZgBObWSpTvJ0cnj6\nHKBAA82Jln+lGwS1MwIDAQAB\n-----END PUBLIC KEY-----\n',
    },
  ],
};

const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
const next = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pemOf = (pair: typeof own): string =>
  pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const listOf = (...pairs: (typeof own)[]) => ({
  public_keys: pairs.map((pair, index) => ({
    key_identifier: String(index),
    is_current: index === 0,
    key: pemOf(pair),
  })),
});
const signed = (body: string, { privateKey } = own): string =>
  sign('RSA-SHA256', Buffer.from(body), privateKey).toString('base64');

const apiUrl = 'https://api.woovi.test';
const noAppId = (headers: Record<string, string>): boolean => !('authorization' in headers);

await t.test(
  'the known-good vector is proven by the published key, and wrong on amount',
  async (t) => {
    const agent = new MockAgent();
    t.teardown(() => agent.close());
    agent.disableNetConnect();
    let asked = 0;
    const keys = { path: '/api/v1/webhook/public-keys', headers: noAppId };
    agent
      .get(apiUrl)
      .intercept(keys)
      .reply(200, () => {
        asked += 1;
        return publishedKeys;
      })
      .persist();
    const gateway = createWooviGateway({ apiUrl, accessToken: 'app-id' }, agent);
    const delivery = {
      query: {},
      body: Buffer.from(knownBody),
      headers: { 'x-webhook-signature': knownSignature },
    };
    const verdict = await gateway.verifyWebhook(delivery);
    t.match(verdict, {
      outcome: 'verified',
      hint: {
        type: 'without event',
        isAboutCharge: true,
        reference: '417bae21-3d08-4cdb-9c2d-fee63c89e9e4',
        amountCents: 1,
        claim: null,
      },
    });
    if (verdict.outcome !== 'verified') return;
    const chargeId = '417bae21-3d08-4cdb-9c2d-fee63c89e9e4';
    const ordered = { chargeId, reference: chargeId, amountCents: 1000, currency: 'BRL' };
    const expected = { ...ordered, receiver: null, isTestMode: null };
    t.equal(mismatchOf(expected, verdict.hint), 'amountCents is 1, expected 1000');
    const kept = JSON.stringify(verdict.hint.record);
    t.notMatch(kept, /Antonio|Loma|12345678976|47043622050|99999|email1/, 'the payer is not kept');
    t.match(kept, /417bae21/);

    const spoilt = async (changes: Partial<WebhookDelivery>) =>
      (await gateway.verifyWebhook({ ...delivery, ...changes })).outcome;
    const header = (value: string | string[] | undefined) =>
      spoilt({ headers: { 'x-webhook-signature': value } });
    t.equal(await header(knownSignature.replace('lL2n', 'lL2m')), 'forged');
    t.equal(await header(knownSignature.slice(4)), 'forged');
    t.equal(await header('é'.repeat(128)), 'forged');
    t.equal(await header(''), 'forged');
    t.equal(await header(undefined), 'forged');
    t.equal(await header([knownSignature, knownSignature]), 'forged');
    t.equal(
      await spoilt({ body: Buffer.from(knownBody.replace('"value": 1,', '"value": 1000,')) }),
      'forged',
    );
    t.equal(await spoilt({ body: Buffer.from(`${knownBody}\n`) }), 'forged', 'the raw bytes');
    t.equal(asked, 1, 'no forger makes us ask again');
  },
);

await t.test('keys: shared, rotated, withdrawn, and away', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  t.teardown(() => mock.timers.reset());
  let answer: () => unknown = () => listOf(own);
  let asked = 0;
  const isSigned = createSignatureCheck(async () => {
    asked += 1;
    await new Promise((resolve) => setImmediate(resolve));
    return answer();
  });
  const body = Buffer.from('{}');
  const check = (pair = own) => isSigned(body, signed('{}', pair));
  const away = () => {
    throw new GatewayError('away');
  };

  answer = away;
  await t.rejects(check(), GatewayError, 'without any key nobody can tell');
  await t.rejects(check(), GatewayError);
  t.equal(asked, 1, 'not asked again at once');
  mock.timers.tick(2_001);
  answer = () => listOf(own);
  t.same(await Promise.all(Array.from({ length: 20 }, () => check())), Array(20).fill(true));
  t.equal(asked, 2, 'all of them shared one question');

  t.equal(await check(next), false, 'unknown, and the list is fresh');
  t.equal(asked, 2);
  mock.timers.tick(60_001);
  answer = away;
  t.equal(await check(), true, 'a known key needs no list');
  await t.rejects(check(next), GatewayError, 'perhaps a new key: not to be refused for good');
  mock.timers.tick(2_001);
  answer = () => listOf(next, own);
  t.same(await Promise.all([check(next), check(), check(next)]), [true, true, true], 'rotated');
  t.equal(asked, 4);
  for (let forged = 0; forged < 50; forged += 1) {
    mock.timers.tick(2_000);
    t.equal(await isSigned(body, knownSignature), false);
  }
  t.equal(asked, 5, 'forgers: once a minute');

  mock.timers.tick(3_600_001);
  answer = away;
  t.equal(await check(own), true, 'an old list is better than none');
  await new Promise((resolve) => setTimeout(resolve, 5));
  mock.timers.tick(2_001);
  answer = () => listOf(next);
  t.equal(await check(next), true);
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(await check(own), false, 'a key that was withdrawn');

  const broken = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
  for (const list of [{}, { public_keys: [] }, { public_keys: [{ key: 'x' }, { key: broken }] }]) {
    await t.rejects(createSignatureCheck(async () => list)(body, 'x'), GatewayError);
  }
  const mixed = { public_keys: [{ key: 'x' }, ...listOf(own).public_keys] };
  t.equal(await createSignatureCheck(async () => mixed)(body, signed('{}')), true);
});
