/** The demo with a second account behind the first; both gateways can be made to fail alone. */
import type { IncomingMessage } from 'node:http';
import type { CatalogItem, RastroEvent } from '@rastro/events';
import { newId, sealSecret } from '@rastro/runtime';
import {
  eventually,
  putCatalog,
  sampleCatalog,
  sampleSecrets,
  testMasterKey,
} from '@rastro/testing';
import { defaultFailover } from '../src/core/failover.ts';
import { type Proxy, startProxy } from './stand-ins.ts';
import { bought, chargesOf, secondSecrets, startWorld, type World } from './world.ts';

export interface TwoAccounts extends AsyncDisposable {
  readonly world: World;
  /** Stands before `pix-sandbox`, the account of bot `bot-two`. */
  readonly first: Proxy;
  /** Stands before `pix-second`, to which it turns. */
  readonly second: Proxy;
  /** Both gateways are well again. */
  readonly settle: () => void;
}

export const botId = 'bot-two';

/** So that a gateway that hangs does not hold up the tests. */
export const hurried = { ...defaultFailover, budgetMs: 2_000, minAttemptMs: 500 };

/** @param onSecond before an answer of the second account's gateway goes back. */
export async function startTwoAccounts(
  onSecond?: (request: IncomingMessage) => Promise<void>,
): Promise<TwoAccounts> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await startWorld());
  const first = stack.use(await startProxy(world));
  const second = stack.use(await startProxy(world, onSecond));
  await putCatalog(world.nats, 'demo', [
    { ...account('pix-sandbox', first.url), version: 2 },
    account('pix-second', second.url),
    account('pix-nowhere', 'http://127.0.0.1:9'),
    account('pix-unreadable', first.url, Buffer.alloc(32, 1)),
    bot(botId, ['pix-sandbox', 'pix-second']),
    bot('bot-nowhere', ['pix-nowhere', 'pix-second']),
    bot('bot-unreadable', ['pix-unreadable', 'pix-second']),
    // Accounts of somebody else, and that never were.
    bot('bot-strange', ['pix-other', 'pix-never', 'pix-second']),
  ]);
  const owned = stack.move();
  return {
    world,
    first,
    second,
    settle: () => {
      first.setMode('pass');
      second.setMode('pass');
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function account(id: string, apiUrl: string, key = testMasterKey) {
  const secrets = id === 'pix-sandbox' ? sampleSecrets : secondSecrets;
  const seal = (name: 'apiKey' | 'webhookSecret') =>
    sealSecret(key, `account/${id}/credentials/${name}`, secrets[name]);
  const credentials = { apiKey: seal('apiKey'), webhookSecret: seal('webhookSecret') };
  const kind = 'standard-webhooks' as const;
  const data = { id, kind, apiUrl, credentials, checkoutNotice: id };
  return { kind: 'account' as const, id, data };
}

function bot(id: string, accounts: readonly string[]) {
  const [sample] = sampleCatalog().filter(({ kind }) => kind === 'bot');
  const [accountId = '', ...fallbackAccounts] = accounts;
  const data = { ...(sample?.data as CatalogItem<'bot'>), id, account: accountId };
  return { kind: 'bot' as const, id, data: { ...data, fallbackAccounts } };
}

/**
 * The first account's answer is lost, the second's is shown. A busy machine may miss the second's
 * hurried time as well: then it is asked again, for the same charge.
 */
export async function strayed({ world, first, settle }: TwoAccounts) {
  const request = { botId, checkoutId: newId() };
  first.setMode('swallow');
  const shown = await eventually(() => bought(world, request), { timeoutMs: 25_000 });
  settle();
  const charges = await eventually(async () => {
    const made = await chargesOf(world, shown.paymentId);
    if (made.length !== 2) throw new Error(`there are ${made.length} charges`);
    return made;
  });
  const own = charges.find((charge) => charge.pix_code === shown.pixCode);
  const stray = charges.find((charge) => charge.pix_code !== shown.pixCode);
  if (!own || !stray) throw new Error('the code that is shown is of none of them');
  return { ...shown, own, stray };
}

/** The first event of this type that JetStream has of a payment. */
export function eventOf(world: World, paymentId: string, type: string): RastroEvent | undefined {
  return world.seen.find((event) => {
    const data = event.data as { paymentId?: string };
    return event.type === type && data.paymentId === paymentId;
  });
}

export const metricsOf = async (url: string): Promise<string> =>
  (await fetch(`${url}/metrics`)).text();
