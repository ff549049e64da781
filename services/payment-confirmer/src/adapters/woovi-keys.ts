/**
 * The public keys with which Woovi's signatures are checked, as it asks integrators to hold them
 * (https://developers.woovi.com/docs/webhook/seguranca/webhook-public-keys): fetched and kept for
 * an hour, any key of the list counts, and an old list is better than none.
 */
import { decoder } from '@rastro/events';
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import Type from 'typebox';
import { GatewayError, readAnswer } from './gateway-http.ts';

const readKeys = decoder(
  Type.Object({ public_keys: Type.Array(Type.Object({ key: Type.String() }), { maxItems: 16 }) }),
);

/** `Cache-Control` of the list. */
const maxAgeMs = 3_600_000;
/** A forger can make us ask no more often than this. */
const minIntervalMs = 60_000;
/** After a question without an answer; nobody is believed meanwhile. */
const retryMs = 2_000;

/**
 * Whether the bytes carry Woovi's signature: base64 of RSA-SHA256.
 * @throws {GatewayError} when no known key fits and no list can be had: nobody can tell.
 */
export type IsSigned = (body: Uint8Array, signature: string) => Promise<boolean>;

/** @param askForKeys resolves with the answer of `GET /api/v1/webhook/public-keys`. */
export function createSignatureCheck(askForKeys: () => Promise<unknown>): IsSigned {
  let keys: readonly KeyObject[] = [];
  let answeredAtMs = Number.NEGATIVE_INFINITY;
  let failure: { readonly atMs: number; readonly error: GatewayError } | null = null;
  let underWay: Promise<void> | null = null;

  async function fetchKeys(): Promise<void> {
    try {
      keys = keysIn(await askForKeys());
      answeredAtMs = Date.now();
      failure = null;
    } catch (error) {
      if (error instanceof GatewayError) failure = { atMs: Date.now(), error };
      throw error;
    }
  }
  /** All who ask at once share one question. */
  function refresh(): Promise<void> {
    underWay ??= fetchKeys().finally(() => {
      underWay = null;
    });
    return underWay;
  }
  const lastFailure = (): GatewayError | null =>
    failure !== null && Date.now() - failure.atMs < retryMs ? failure.error : null;

  return async (body, signature) => {
    const bytes = Buffer.from(signature, 'base64');
    const fits = () => keys.some((key) => verify('RSA-SHA256', body, key, bytes));
    if (fits()) {
      const isOld = Date.now() - answeredAtMs > maxAgeMs;
      // Drops a key that was withdrawn; who waits for it must not, and a failure changes nothing.
      if (isOld && lastFailure() === null) void refresh().catch(() => undefined);
      return true;
    }
    if (underWay === null) {
      if (Date.now() - answeredAtMs < minIntervalMs) return false;
      const error = lastFailure();
      if (error !== null) throw error;
    }
    await refresh();
    return fits();
  };
}

/** @throws {GatewayError} when none is usable. */
function keysIn(json: unknown): readonly KeyObject[] {
  const found = readAnswer(readKeys, json).public_keys.flatMap(({ key }) => keyOf(key) ?? []);
  if (found.length === 0) throw new GatewayError('the gateway published no key that can be used');
  return found;
}

/** Null for what is no RSA key: one that is broken must not take the others along. */
function keyOf(pem: string): KeyObject | null {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'rsa' ? key : null;
  } catch {
    return null;
  }
}
