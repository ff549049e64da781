/** The demo with an account at one more gateway, and a bot that sells with it. */
import type { CatalogItem } from '@rastro/events';
import { newId, sealSecret } from '@rastro/runtime';
import {
  eventually,
  putCatalog,
  sampleCatalog,
  type SampleEntry,
  sampleSecrets,
  testMasterKey,
} from '@rastro/testing';
import { otherSecrets, secondSecrets, startWorld, type World } from './world.ts';

export interface AccountOptions {
  readonly kind: CatalogItem<'account'>['kind'];
  readonly accessToken: string;
  readonly webhookSecret: string;
}

export interface OneAccount extends AsyncDisposable {
  readonly world: World;
  readonly accountId: string;
  readonly botId: string;
  /** Posts a webhook by hand, to the account's address; resolves with the status. */
  readonly post: (body: string, headers: Record<string, string>, query?: string) => Promise<number>;
  /** Forgets when the gateway was asked last, as if the minute were over. */
  readonly letMinutePass: (paymentId: string) => Promise<void>;
  /** Has the reconciler ask now; resolves once it has its answer. */
  readonly reconcile: (paymentId: string) => Promise<void>;
}

export async function startOneAccount(options: AccountOptions): Promise<OneAccount> {
  const { kind, accessToken, webhookSecret } = options;
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await startWorld());
  const accountId = `pix-${kind}`;
  const botId = `bot-${kind}`;
  const { publicOrigin } = world.config;
  const webhookUrl = `${publicOrigin}/webhooks/${accountId}`;
  const { apiKey, webhookSecret: sampleSecret } = sampleSecrets;
  const others = [{ apiKey, webhookSecret: sampleSecret }, otherSecrets, secondSecrets];
  const own = { kind, apiKey: accessToken, webhookSecret, webhookUrl, name: accountId };
  world.sandbox.setWorld({ bots: [], pixels: [], pixAccounts: [...others, own] });
  await putCatalog(world.nats, 'demo', entriesOf(options, { accountId, botId }));
  const { sql } = world;
  const answers = async (paymentId: string): Promise<number> => {
    const [row] = await sql<{ answeredCount: number }[]>`
      select answered_count from charges where payment_id = ${paymentId}`;
    return row?.answeredCount ?? 0;
  };
  const owned = stack.move();
  return {
    world,
    accountId,
    botId,
    post: async (body, headers, query = '') => {
      const answer = await fetch(`${webhookUrl}${query}`, { method: 'POST', headers, body });
      await answer.body?.cancel();
      return answer.status;
    },
    letMinutePass: async (paymentId) => {
      await sql`update charges set asked_at = null where payment_id = ${paymentId}`;
      await sql`update charge_attempts set questioned_at = null where payment_id = ${paymentId}`;
      await sql`update webhooks set next_attempt_at = now() where processed_at is null`;
    },
    reconcile: async (paymentId) => {
      const before = await answers(paymentId);
      await sql`
        update charges set asked_at = null, next_check_at = now() where payment_id = ${paymentId}`;
      await eventually(
        async () => {
          if ((await answers(paymentId)) === before) throw new Error('not asked yet');
        },
        { timeoutMs: 25_000 },
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function entriesOf(
  { kind, accessToken, webhookSecret }: AccountOptions,
  { accountId, botId }: { accountId: string; botId: string },
): SampleEntry[] {
  const accountOf = (id: string, secret: string): SampleEntry => {
    const seal = (name: string, value: string) =>
      sealSecret(testMasterKey, `account/${id}/credentials/${name}`, value);
    const credentials = {
      accessToken: seal('accessToken', accessToken),
      webhookSecret: seal('webhookSecret', secret),
    };
    const data = { id, kind, apiUrl: null, credentials, checkoutNotice: null };
    return { kind: 'account', id, data };
  };
  const [sampleBot] = sampleCatalog().filter((entry) => entry.kind === 'bot');
  const bot = { ...(sampleBot?.data as CatalogItem<'bot'>), id: botId, account: accountId };
  const cheap = { id: 'cheap', name: 'Cheap', priceCents: 49, currency: 'BRL', accessUrl: null };
  const dollars = { ...cheap, id: 'dollars', priceCents: 1990, currency: 'USD' };
  return [
    accountOf(accountId, webhookSecret),
    accountOf(`${accountId}-short`, 'too short'),
    { kind: 'bot', id: botId, data: bot },
    { kind: 'product', id: 'cheap', data: cheap },
    { kind: 'product', id: 'dollars', data: dollars },
  ];
}

/** What became of the last webhook of the account. */
export async function lastOutcome({ world, accountId }: OneAccount): Promise<string> {
  return eventually(
    async () => {
      const [row] = await world.sql<{ outcome: string | null }[]>`
        select outcome from webhooks where account_id = ${accountId} order by id desc limit 1`;
      if (!row?.outcome) throw new Error('still to do');
      return row.outcome;
    },
    { timeoutMs: 25_000 },
  );
}

export const strangeReference = newId();
