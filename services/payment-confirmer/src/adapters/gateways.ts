/** Which account is spoken to by which adapter, with its credentials opened. */
import type { CatalogItem } from '@rastro/events';
import type { Catalog } from '@rastro/messaging';
import { openSecret, SealError } from '@rastro/runtime';
import type { Dispatcher } from 'undici';
import type { Gateway } from '../core/gateway.ts';
import { createAbacatepayGateway } from './abacatepay.ts';
import { createMercadoPagoGateway, placeholderEmail } from './mercadopago.ts';
import type { Metrics } from './metrics.ts';
import { createPushinpayGateway } from './pushinpay.ts';
import { createStandardWebhooksGateway } from './standard-webhooks.ts';
import { createWooviGateway } from './woovi.ts';

export type Account = CatalogItem<'account'>;

export type GatewayChoice =
  | {
      readonly ok: true;
      readonly gateway: Gateway;
      readonly account: Account;
      readonly workspaceId: string;
    }
  /** `unknown`: no such account. `unusable`: something that the operator has to mend. */
  | { readonly ok: false; readonly why: 'unknown' | 'unusable'; readonly message: string };

export type ChooseGateway = (accountId: string) => GatewayChoice;

export type GatewayAddresses = Readonly<
  Record<Exclude<Account['kind'], 'standard-webhooks'>, string>
>;

export interface GatewaysOptions {
  readonly catalog: Catalog;
  readonly masterKey: Buffer;
  readonly dispatcher: Dispatcher;
  /** Of the gateways that have one address for all accounts, without trailing slashes. */
  readonly apiUrls: GatewayAddresses;
  /** Where the seller's customers find him. */
  readonly publicOrigin: string;
  readonly metrics: Pick<Metrics, 'gatewaySeconds'>;
}

/** An account cannot be used as it stands in the catalog; `message` says what mends it. */
class AccountError extends Error {
  readonly code = 'ACCOUNT_UNUSABLE';
}

/** A gateway is made once for each version of an account: each is an object of its own. */
export function createGateways(options: GatewaysOptions): ChooseGateway {
  const { catalog, metrics } = options;
  const made = new WeakMap<Account, Gateway>();
  return (accountId) => {
    const owned = catalog.get('account', accountId);
    if (!owned) return { ok: false, why: 'unknown', message: `There is no account ${accountId}.` };
    const { item: account, workspaceId } = owned;
    try {
      const gateway = made.get(account) ?? timed(openGateway(account, options), metrics);
      made.set(account, gateway);
      return { ok: true, gateway, account, workspaceId };
    } catch (error) {
      if (!(error instanceof AccountError || error instanceof SealError)) throw error;
      return { ok: false, why: 'unusable', message: error.message };
    }
  };
}

function openGateway(account: Account, options: GatewaysOptions): Gateway {
  const { masterKey, dispatcher, apiUrls, publicOrigin } = options;
  const { id, kind, apiUrl, credentials } = account;
  const credential = (name: string): string => {
    const sealed = credentials[name];
    if (sealed === undefined) {
      throw new AccountError(`Account ${id} lacks the credential ${name}; add it to the catalog.`);
    }
    return openSecret(masterKey, `account/${id}/credentials/${name}`, sealed);
  };
  if (kind === 'standard-webhooks') {
    if (apiUrl === null) {
      throw new AccountError(`Account ${id} lacks apiUrl; add it to the catalog.`);
    }
    const apiKey = credential('apiKey');
    const webhookSecret = checkedSecret(id, credential('webhookSecret'));
    const own = { apiUrl: apiUrl.replace(/\/+$/, ''), apiKey, webhookSecret };
    return createStandardWebhooksGateway(own, dispatcher);
  }
  const access = { apiUrl: apiUrls[kind], accessToken: credential('accessToken') };
  if (kind === 'woovi') return createWooviGateway(access, dispatcher);
  const proven = { ...access, webhookSecret: credential('webhookSecret') };
  switch (kind) {
    case 'mercadopago': {
      const isGiven = credentials['payerEmail'] !== undefined;
      const payerEmail = isGiven ? credential('payerEmail') : placeholderEmail(publicOrigin);
      return createMercadoPagoGateway({ ...proven, payerEmail }, dispatcher);
    }
    case 'pushinpay':
      return createPushinpayGateway(proven, dispatcher);
    case 'abacatepay':
      longSecret(id, proven.webhookSecret);
      return createAbacatepayGateway(proven, dispatcher);
  }
}

const minSecretBytes = 24;

/** The specification asks for 24 to 64 bytes: fewer can be guessed. */
function checkedSecret(accountId: string, secret: string): string {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  if (base64 === undefined || base64.length % 4 !== 0) {
    throw new AccountError(
      `The webhookSecret of account ${accountId} is not whsec_ and base64; copy it again.`,
    );
  }
  const { length } = Buffer.from(base64, 'base64');
  if (length < minSecretBytes) {
    throw new AccountError(
      `The webhookSecret of account ${accountId} has ${length} bytes, ${minSecretBytes} are needed; make a longer one.`,
    );
  }
  return secret;
}

/** AbacatePay takes no shorter ones: it may be that another field was copied. */
function longSecret(accountId: string, secret: string): string {
  if (secret.length >= 32) return secret;
  throw new AccountError(
    `The webhookSecret of account ${accountId} has fewer than 32 characters; copy it again.`,
  );
}

function timed(gateway: Gateway, { gatewaySeconds }: Pick<Metrics, 'gatewaySeconds'>): Gateway {
  const { kind } = gateway;
  async function measure<T>(operation: string, ask: () => Promise<T>): Promise<T> {
    const end = gatewaySeconds.startTimer({ kind, operation });
    try {
      const answer = await ask();
      end({ outcome: 'ok' });
      return answer;
    } catch (error) {
      end({ outcome: 'failed' });
      throw error;
    }
  }
  return {
    ...gateway,
    createCharge: (order, timeoutMs) =>
      measure('create', () => gateway.createCharge(order, timeoutMs)),
    getCharge: (chargeId) => measure('get', () => gateway.getCharge(chargeId)),
    refund: (chargeId, cents) => measure('refund', () => gateway.refund(chargeId, cents)),
  };
}
