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

/** Payments with money that stays with the seller, and how much that is. */
interface Sum {
  readonly payments: number;
  readonly cents: number;
}

/**
 * One account's payments in one currency. Those about which the gateway gave no answer that counts
 * are in `unclear` and in none of the three sums, which so can be compared.
 */
export interface AccountBalance {
  readonly accountId: string;
  readonly currency: string;
  readonly charges: number;
  readonly unclear: number;
  readonly hereBefore: Sum;
  readonly atGateway: Sum;
  readonly hereNow: Sum;
}

export function balances(results: readonly Reconciled[]): AccountBalance[] {
  const keyOf = (result: Reconciled): string =>
    `${result.reply?.accountId ?? result.accountId} ${result.currency}`;
  const groups = Map.groupBy(results, keyOf);
  return [...groups.keys()].sort().map((key) => {
    const [accountId = '', currency = ''] = key.split(' ');
    const group = groups.get(key) ?? [];
    const clear = group
      .map(({ reply }) => reply)
      .filter((reply) => reply !== null)
      .filter(({ keptCentsAtGateway }) => keptCentsAtGateway !== null);
    return {
      accountId,
      currency,
      charges: group.length,
      unclear: group.length - clear.length,
      hereBefore: sumOf(clear.map(({ keptCentsBefore }) => keptCentsBefore)),
      atGateway: sumOf(clear.map(({ keptCentsAtGateway }) => keptCentsAtGateway ?? 0)),
      hereNow: sumOf(clear.map(({ keptCentsHere }) => keptCentsHere)),
    };
  });
}

const sumOf = (amounts: readonly number[]): Sum => ({
  payments: amounts.filter((cents) => cents > 0).length,
  cents: amounts.reduce((sum, cents) => sum + cents, 0),
});

export function paymentRow({ paymentId, accountId, currency, status, ...rest }: Reconciled) {
  const { reply, problem, amountCents } = rest;
  return {
    payment: paymentId,
    account: reply?.accountId ?? accountId,
    amount: formatMoney(amountCents, currency),
    'here before': reply?.statusBefore ?? status,
    'at gateway': reply?.statusAtGateway ?? '?',
    'here now': reply?.statusHere ?? status,
    problem,
  };
}

export function accountRow(balance: AccountBalance) {
  const { accountId, currency, charges, unclear, hereBefore, atGateway, hereNow } = balance;
  const words = ({ payments, cents }: Sum): string =>
    `${payments} · ${formatMoney(cents, currency)}`;
  return {
    account: accountId,
    charges,
    unclear,
    'paid at gateway': words(atGateway),
    'paid here before': words(hereBefore),
    'paid here now': words(hereNow),
  };
}
