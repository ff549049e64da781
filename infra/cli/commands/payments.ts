/** `rastro payments`: what gateways say was paid, beside what is paid here. */
import { setTimeout as delay } from 'node:timers/promises';
import { paymentsReconcile, paymentStatuses } from '@rastro/events';
import { ask, type Nats } from '@rastro/messaging';
import { connectPostgres, type Sql } from '@rastro/runtime';
import { type Command, Option } from 'commander';
import { connection } from '../connection.ts';
import { ago, dayMs, minuteMs, moment } from '../moment.ts';
import { misuse, printJson, printRows, say, sayAside } from '../output.ts';
import {
  accountRow,
  balances,
  isToLookAt,
  paymentRows,
  type Reconciled,
  retryInMsOf,
} from '../reconciliation.ts';

type Status = (typeof paymentStatuses)[number];

interface Options {
  readonly since: Date;
  readonly until?: Date;
  readonly account?: string;
  readonly workspace?: string;
  readonly status?: readonly Status[];
  readonly all?: boolean;
  readonly json?: boolean;
  readonly wait: boolean;
}

export function addPaymentsCommands(program: Command): void {
  const payments = program.command('payments').description('money, here and at the gateways');
  payments
    .command('reconcile')
    .description(
      'asks the gateways about every charge, records what was missed, and prints what differed; exits with 1 when something did, or a gateway could not be asked',
    )
    .addOption(
      new Option('--since <when>', 'charges made from then on: 12h, 7d, or a time')
        .argParser(moment)
        .default(ago(7 * dayMs), '7d'),
    )
    .option('--until <when>', 'charges made before then', moment)
    .option('--account <id>', 'only of this account')
    .option('--workspace <id>', 'only of this workspace')
    .addOption(new Option('--status <status...>', 'as it is here').choices(paymentStatuses))
    .option('--all', 'prints those, too, that did not differ')
    .option('--no-wait', 'does not ask again, a minute later, what was asked about just before')
    .option('--json', 'amounts in cents')
    .action(reconcile);
}

async function reconcile(options: Options): Promise<void> {
  const { since, until, all = false, json = false } = options;
  if (until !== undefined && until <= since) misuse('--until is not after --since');
  const { postgresUrl, nats: connect } = connection();
  const url = postgresUrl();
  const sql = connectPostgres({ url, schema: 'payments', service: 'rastro payments' });
  try {
    const charges = await listCharges(sql, options);
    await using nats = await connect();
    const first = await askAll(nats, charges);
    const { results, givenUp } = options.wait ? await askAgain(nats, first) : first;
    const found = results.filter(isToLookAt);
    if (found.length > 0 || givenUp !== null) process.exitCode = 1;
    const shown = all ? results : found;
    const accounts = balances(results);
    if (json) return printJson({ payments: shown, accounts });
    if (shown.length > 0) {
      printRows(shown.flatMap(paymentRows));
      say('');
    }
    printRows(accounts.map(accountRow));
  } finally {
    await sql.end();
  }
}

/** A charge as Postgres has it, oldest first. */
type Charge = Omit<Reconciled, 'reply' | 'problem'>;

function listCharges(sql: Sql, options: Options): Promise<Charge[]> {
  const {
    since,
    until = null,
    account = null,
    workspace = null,
    status = paymentStatuses,
  } = options;
  return sql<Charge[]>`
    select workspace_id, payment_id, account_id, amount_cents, currency, status
    from charges
    where state = 'open' and created_at >= ${since}
      and (${until}::timestamptz is null or created_at < ${until})
      and (${workspace}::text is null or workspace_id = ${workspace})
      and (${account}::text is null or account_id = ${account} or exists (
        select 1 from charge_attempts a
        where a.payment_id = charges.payment_id and a.account_id = ${account}
          and a.gateway_charge_id is not null))
      and status in ${sql(status)}
    order by created_at, payment_id`;
}

/** Together at most 20 questions a second: gateways block who asks like a flood. */
const concurrency = 4;
const pauseMs = 200;
/** A gateway has 8 s to answer, and a stray charge is asked about at another. */
const answerWithinMs = 30_000;
/** In a row; then nobody is there to ask, and the rest need not be tried. */
const maxUnanswered = 8;
const progressEveryMs = 2_000;

/** Nobody is known to want more than a minute between two questions. */
const maxWaitMs = 2 * minuteMs;

interface Asked {
  /** In the order of the charges; those that were not tried are left out. */
  readonly results: readonly Reconciled[];
  /** Why the rest was not tried. */
  readonly givenUp: string | null;
}

async function askAll(nats: Nats, charges: readonly Charge[]): Promise<Asked> {
  const results: Reconciled[] = [];
  const waiting = charges.values();
  let unanswered = 0;
  let givenUp = null as string | null;
  const progress = (): void => sayAside(`${results.length} of ${charges.length} asked about`);
  const timer = setInterval(progress, progressEveryMs);
  async function work(): Promise<void> {
    for (const charge of waiting) {
      const pause = delay(pauseMs);
      const result = await askAbout(nats, charge);
      results.push(result);
      unanswered = result.reply === null ? unanswered + 1 : 0;
      if (unanswered >= maxUnanswered) givenUp ??= result.problem;
      if (givenUp !== null) return;
      await pause;
    }
  }
  try {
    await Promise.all(Array.from({ length: concurrency }, work));
  } finally {
    clearInterval(timer);
    progress();
  }
  if (givenUp !== null) sayAside(`Given up: ${givenUp}`);
  return { results: inOrderOf(charges, results), givenUp };
}

function inOrderOf(charges: readonly Charge[], results: readonly Reconciled[]): Reconciled[] {
  const found = new Map(results.map((result) => [result.paymentId, result]));
  return charges.flatMap(({ paymentId }) => found.get(paymentId) ?? []);
}

/** Once more, and once only, about those that somebody else had asked about just before. */
async function askAgain(nats: Nats, first: Asked): Promise<Asked> {
  if (first.givenUp !== null) return first;
  // What differed is told as it is: its second answer would say that it does not any more.
  const early = first.results.filter((result) => !isToLookAt(result) && retryInMsOf(result));
  if (early.length === 0) return first;
  const longestMs = early.reduce((ms, result) => Math.max(ms, retryInMsOf(result) ?? 0), 0);
  const waitMs = Math.min(longestMs, maxWaitMs);
  const seconds = Math.ceil(waitMs / 1_000);
  sayAside(`${early.length} were asked about just before; once more in ${seconds} s`);
  await delay(waitMs);
  const { results, givenUp } = await askAll(nats, early);
  return { results: inOrderOf(first.results, [...first.results, ...results]), givenUp };
}

async function askAbout(nats: Nats, charge: Charge): Promise<Reconciled> {
  const { workspaceId, paymentId } = charge;
  const question = { workspaceId, paymentId };
  const answer = await ask(nats.connection, paymentsReconcile, question, answerWithinMs);
  if (!answer.ok) return { ...charge, reply: null, problem: answer.error.message };
  return { ...charge, reply: answer.value, problem: answer.value.problem };
}
