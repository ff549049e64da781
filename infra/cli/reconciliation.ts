/** What came of asking gateways about charges, as rows for people and sums for whoever adds up. */
import { formatMoney, type paymentsReconcile, type ReplyOf } from '@rastro/events';

type Reply = ReplyOf<typeof paymentsReconcile>;

export interface Reconciled {
  readonly workspaceId: string;
  readonly paymentId: string;
  readonly accountId: string;
  readonly amountCents: number;
  readonly currency: string;
  /** As Postgres had it before. */
  readonly status: Reply['statusHere'];
  /** Null where nobody answered. */
  readonly reply: Reply | null;
  readonly problem: string | null;
}

/** One charge that was asked about: the payment's own, or one that nobody was shown. */
type Entry = Pick<Reply, 'accountId' | 'isDifferent' | 'retryInMs' | 'problem'> & {
  /** Null where nobody answered. */
  readonly kept: { readonly before: number; readonly here: number } | null;
  readonly keptCentsAtGateway: number | null;
  readonly statusAtGateway: string | null;
};

/** The payment's own comes first. */
function entriesOf({ accountId, reply, problem }: Reconciled): Entry[] {
  if (reply === null) {
    const nothing = { statusAtGateway: null, keptCentsAtGateway: null, kept: null };
    return [{ accountId, isDifferent: false, retryInMs: null, problem, ...nothing }];
  }
  return [reply, ...reply.strays].map((charge) => ({
    ...charge,
    kept: { before: charge.keptCentsBefore, here: charge.keptCentsHere },
  }));
}

/** It differed, or a gateway could not be asked for another reason than that it just was. */
export const isToLookAt = (result: Reconciled): boolean =>
  entriesOf(result).some(
    ({ isDifferent, retryInMs, problem }) =>
      isDifferent || (problem !== null && retryInMs === null),
  );

/** Null where nothing stands in the way of what was asked for. */
export function retryInMsOf(result: Reconciled): number | null {
  const waits = entriesOf(result).map(({ retryInMs }) => retryInMs ?? 0);
  return Math.max(...waits) || null;
}

/** Charges with money that stays with the seller, and how much that is. */
interface Sum {
  readonly payments: number;
  readonly cents: number;
}

/**
 * One account's charges in one currency, those included that nobody was shown. Those about which
 * the gateway gave no answer that counts are in `unclear`, those that it was asked about just before
 * in `askedJustNow`, and both in none of the three sums, which so can be compared.
 */
export interface AccountBalance {
  readonly accountId: string;
  readonly currency: string;
  readonly charges: number;
  readonly unclear: number;
  readonly askedJustNow: number;
  readonly hereBefore: Sum;
  readonly atGateway: Sum;
  readonly hereNow: Sum;
}

export function balances(results: readonly Reconciled[]): AccountBalance[] {
  const entries = results.flatMap((result) =>
    entriesOf(result).map((entry) => ({ ...entry, currency: result.currency })),
  );
  const groups = Map.groupBy(entries, ({ accountId, currency }) => `${accountId} ${currency}`);
  return [...groups.keys()].sort().map((key) => {
    const [accountId = '', currency = ''] = key.split(' ');
    const group = groups.get(key) ?? [];
    const clear = group.filter(({ keptCentsAtGateway }) => keptCentsAtGateway !== null);
    const askedJustNow = group.filter(({ retryInMs }) => retryInMs !== null).length;
    return {
      accountId,
      currency,
      charges: group.length,
      unclear: group.length - clear.length - askedJustNow,
      askedJustNow,
      hereBefore: sumOf(clear.map(({ kept }) => kept?.before ?? 0)),
      atGateway: sumOf(clear.map(({ keptCentsAtGateway }) => keptCentsAtGateway ?? 0)),
      hereNow: sumOf(clear.map(({ kept }) => kept?.here ?? 0)),
    };
  });
}

const sumOf = (amounts: readonly number[]): Sum => ({
  payments: amounts.filter((cents) => cents > 0).length,
  cents: amounts.reduce((sum, cents) => sum + cents, 0),
});

/** The payment's own charge, and below it those that nobody was shown. */
export function paymentRows(result: Reconciled) {
  const { paymentId, currency, amountCents, status, reply } = result;
  return entriesOf(result).map(({ accountId, statusAtGateway, problem, kept }, index) => {
    const isOwn = index === 0;
    const here = reply?.statusHere ?? status;
    return {
      payment: paymentId,
      account: accountId,
      amount: formatMoney(amountCents, currency),
      'here before': isOwn ? (reply?.statusBefore ?? status) : 'not shown',
      'at gateway': statusAtGateway ?? '?',
      'here now': isOwn || (kept?.here ?? 0) > 0 ? here : 'not shown',
      problem,
    };
  });
}

export function accountRow(balance: AccountBalance) {
  const { accountId, currency, charges, unclear, askedJustNow } = balance;
  const { hereBefore, atGateway, hereNow } = balance;
  const words = ({ payments, cents }: Sum): string =>
    `${payments} · ${formatMoney(cents, currency)}`;
  return {
    account: accountId,
    charges,
    unclear,
    'asked just now': askedJustNow,
    'paid at gateway': words(atGateway),
    'paid here before': words(hereBefore),
    'paid here now': words(hereNow),
  };
}
