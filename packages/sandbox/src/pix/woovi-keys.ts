/** Woovi's own keys: one pair signs the webhooks of all its sellers, whoever they are. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const pairs = new Map<'own' | 'stranger', KeyPair>();

/** Made when first needed: a sandbox that starts anew signs with another key, as after a rotation. */
function pairOf(whose: 'own' | 'stranger'): KeyPair {
  const pair = pairs.get(whose) ?? generateKeyPairSync('rsa', { modulusLength: 2048 });
  pairs.set(whose, pair);
  return pair;
}

/** The answer of `GET /api/v1/webhook/public-keys`. */
export function publicKeys(): object {
  const { publicKey } = pairOf('own');
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const entry = {
    key_identifier: createHash('sha256').update(der).digest('hex'),
    is_current: true,
    key: publicKey.export({ type: 'spki', format: 'pem' }),
  };
  return { public_keys: [entry] };
}

/** Of `x-webhook-signature`: base64 of RSA-SHA256 over the raw body. */
export function signatureOf(body: string, isForged: boolean): string {
  const { privateKey } = pairOf(isForged ? 'stranger' : 'own');
  return sign('RSA-SHA256', Buffer.from(body), privateKey).toString('base64');
}
