/**
 * Goal: an account whose secret can be guessed is not used, and the message says what mends it.
 * Method: accounts as the catalog has them, with sealed secrets of each length.
 */
import { sealSecret } from '@rastro/runtime';
import { testMasterKey } from '@rastro/testing';
import t from 'tap';
import { MockAgent } from 'undici';
import { type Account, createGateways } from '../../src/adapters/gateways.ts';
import { createPaymentMetrics } from '../../src/adapters/metrics.ts';

const dispatcher = new MockAgent();
t.teardown(() => dispatcher.close());

function choose(webhookSecret: string) {
  const place = (name: string) => `account/pix/credentials/${name}`;
  const seal = (name: string, value: string) => sealSecret(testMasterKey, place(name), value);
  const item: Account = {
    id: 'pix',
    kind: 'standard-webhooks',
    apiUrl: 'https://pix.test',
    credentials: {
      apiKey: seal('apiKey', 'key'),
      webhookSecret: seal('webhookSecret', webhookSecret),
    },
    checkoutNotice: null,
  };
  const url = 'https://gateway.test';
  const gateways = createGateways({
    catalog: { get: () => ({ item, workspaceId: 'demo' }) } as never,
    masterKey: testMasterKey,
    dispatcher,
    apiUrls: { mercadopago: url, pushinpay: url, woovi: url, abacatepay: url },
    publicOrigin: 'https://pay.example.test',
    metrics: createPaymentMetrics('payment-confirmer'),
  });
  return gateways('pix');
}

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;

await t.test('a secret of 24 bytes at least, as Standard Webhooks wants it', (t) => {
  for (const bytes of [24, 32, 64]) t.match(choose(secretOf(bytes)), { ok: true });
  for (const bytes of [1, 16, 22, 23]) {
    const message = new RegExp(`has ${bytes} bytes, 24 are needed`);
    t.match(choose(secretOf(bytes)), { ok: false, why: 'unusable', message });
  }
  for (const secret of ['whsec_', 'whsec_ab', secretOf(24).slice(6), `${secretOf(25)}=`]) {
    t.match(choose(secret), { ok: false, message: /not whsec_ and base64/ });
  }
  t.end();
});
