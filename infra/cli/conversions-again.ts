/** `rastro conversions retry` and `replay`: told first, then done. */
import { createInterface } from 'node:readline/promises';
import type { Ledger } from '@rastro/capi-dispatcher/ledger';
import type { Preview, Wish } from '@rastro/capi-dispatcher/ledger-judgement';
import { type Command, statesOf } from '@rastro/capi-dispatcher/replay';
import { filterOf, type FilterOptions, isEmpty } from './conversions-filter.ts';
import { countsOf, previewRow, warningsOf } from './conversions-words.ts';
import { withLedger } from './ledger-connection.ts';
import { misuse, printJson, printRows, say, sayAside } from './output.ts';

export interface AgainOptions extends FilterOptions {
  readonly all?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export async function sendAgain(command: Command, options: AgainOptions): Promise<void> {
  const { all = false, force = false, dryRun = false, limit = null } = options;
  const filter = filterOf(options);
  if (isEmpty(filter) && limit === null && !all) {
    misuse(`Say which, e.g. --state ${statesOf[command][0]} --since 1h, or --all.`);
  }
  const wish = { command, filter, limit, isForced: force };
  await withLedger(async (ledger) => {
    const preview = await ledger.preview(wish);
    const { again, probe, refused } = countsOf(preview);
    if (again + probe === 0 || refused > 0) process.exitCode = 1;
    if (dryRun) return printRequests(ledger, wish, preview, options);
    await change(ledger, wish, preview, options);
  });
}

async function change(
  ledger: Ledger,
  wish: Wish,
  preview: Preview,
  { yes = false, json = false }: AgainOptions,
): Promise<void> {
  const { again, probe } = countsOf(preview);
  if (!json) tell(wish, preview);
  // What Meta surely does not have can be let go without a second thought.
  const isAsked = wish.command === 'replay' || wish.isForced;
  const isAgreed = again + probe > 0 && (yes || !isAsked || (await agrees(again + probe)));
  const changed = isAgreed ? await ledger.sendAgain(wish, preview.asOf) : null;
  if (changed === null) process.exitCode = 1;
  if (json) return printJson({ preview: preview.groups, changed });
  if (changed === null) {
    return say(again + probe > 0 ? 'Nothing was changed; --yes does it.' : 'Nothing was changed.');
  }
  const missed = changed.missed > 0 ? ` ${changed.missed} changed meanwhile and were let be.` : '';
  const tried = changed.probed > 0 ? ` ${changed.probed} follow their parked pixel.` : '';
  say(`${changed.again} go again at once.${tried}${missed}`);
}

function tell({ command }: Wish, preview: Preview): void {
  printRows(preview.groups.map(previewRow));
  for (const warning of warningsOf(command, preview)) say(warning);
}

/** Somebody at a terminal is asked; a script has to say it beforehand. */
async function agrees(events: number): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`Send ${events} again? [y/N] `);
    return /^(y|yes|s|sim)$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

/** As they would go over the wire, but for the token; everything else out of their way. */
async function printRequests(
  ledger: Ledger,
  wish: Wish,
  preview: Preview,
  { json = false }: AgainOptions,
): Promise<void> {
  const made: object[] = [];
  let [requests, events] = [0, 0];
  for await (const { eventIds, ...request } of ledger.requests(wish, preview.asOf)) {
    requests += 1;
    events += eventIds.length;
    if (json) {
      made.push(request);
      continue;
    }
    const { method, url, headers, body } = request;
    say(`${method} ${url}`);
    for (const [name, value] of Object.entries(headers)) say(`${name}: ${value}`);
    say(`\n${body}\n`);
  }
  if (json) printJson(made);
  const { again, probe, refused } = countsOf(preview);
  for (const warning of warningsOf(wish.command, preview)) sayAside(warning);
  const skipped = again + probe - events;
  if (skipped > 0) {
    sayAside(`${skipped} are skipped: nothing Meta could match, or switched off in the catalog.`);
  }
  if (refused > 0) sayAside(`${refused} stay without --force.`);
  sayAside(`${events} events in ${requests} requests; nothing was sent or changed.`);
}
