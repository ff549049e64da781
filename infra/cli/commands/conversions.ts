/** `rastro conversions`: what Meta was told, what it answered, and what is told again. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { keyOf, statesToLookAt } from '@rastro/capi-dispatcher/ledger-filter';
import type { Command } from 'commander';
import { exportLines } from '../conversions-export.ts';
import { addFilterOptions, filterOf, type FilterOptions } from '../conversions-filter.ts';
import { sendAgain } from '../conversions-again.ts';
import { countRow, explainLines, listRow } from '../conversions-words.ts';
import { withLedger } from '../ledger-connection.ts';
import { misuse, printJson, printRows, say, sayAside, sayLines } from '../output.ts';
import { addConversionsQuality } from './conversions-quality.ts';

export function addConversionsCommands(program: Command): void {
  const conversions = program
    .command('conversions')
    .description('what Meta was told of clicks and purchases, and what is told again');
  addFilterOptions(
    conversions
      .command('list')
      .description(
        'newest first, 100 unless --limit says otherwise; exits with 1 when it lists something that needs a person: rejected, parked, expired or dead',
      ),
  )
    .option('--summary', 'counts by pixel, event and state, of all')
    .option('--json')
    .action(list);
  conversions
    .command('show <id>')
    .description(
      'everything about an event and every call to Meta, redacted: by its event_id or conversion id, or all events of a tracking token or payment id; exits with 1 when there is none',
    )
    .option('--json')
    .action(show);
  addAgainCommands(conversions);
  addFilterOptions(
    conversions.command('export').description('oldest first, a JSON object a line; to stdout'),
  )
    .option('--csv', 'with a header, lists as JSON')
    .option('--with-bodies', 'also what was sent, which says who people are')
    .action(exportAll);
  addConversionsQuality(conversions);
}

function addAgainCommands(conversions: Command): void {
  const alike =
    'exits with 0 when all that was meant goes again, with 1 when nothing does or some need --force';
  const retry = conversions
    .command('retry')
    .description(
      `lets go at once what Meta surely does not have: rejected (made anew from what is known by now), due, unconfirmed and parked; ${alike}`,
    );
  const replay = conversions
    .command('replay')
    .description(
      `sends again what was accepted, with the same event_id, event_time and body, or what was dead, expired, or skipped for something that the catalog has mended since; tells first what would happen, and does it after a yes or with --yes; ${alike}`,
    );
  for (const command of [retry, replay]) {
    addFilterOptions(command)
      .option('--all', 'without any filter')
      .option('--force', 'also what Meta would count twice (48 h) or refuse (7 days), each alone')
      .option(
        '--dry-run',
        'prints the exact requests, which say who people are, and changes nothing',
      )
      .option('--yes', 'does not ask')
      .option('--json');
  }
  retry.action((options) => sendAgain('retry', options));
  replay.action((options) => sendAgain('replay', options));
}

type ListOptions = FilterOptions & { readonly summary?: boolean; readonly json?: boolean };

const shownUnlessTold = 100;

async function list(options: ListOptions): Promise<void> {
  const { summary = false, json = false, limit = shownUnlessTold } = options;
  const filter = filterOf(options);
  await withLedger(async (ledger) => {
    const rows = summary ? await ledger.count(filter) : await ledger.list(filter, limit);
    if (rows.some(({ state }) => statesToLookAt.includes(state))) process.exitCode = 1;
    if (json) return printJson(rows);
    printRows(rows.map((row) => ('events' in row ? countRow(row) : listRow(row))));
    if (!summary && rows.length === limit) sayAside(`The newest ${limit}; --limit shows more.`);
  });
}

async function show(id: string, { json = false }: { json?: boolean }): Promise<void> {
  const key = keyOf(id);
  if (key === null) {
    return misuse(
      `"${id}" is no event_id (evt_… or purchase_…), conversion id, tracking token or payment id`,
    );
  }
  await withLedger(async (ledger) => {
    const found = await ledger.find(key);
    if (found.length === 0) process.exitCode = 1;
    if (json) return printJson(found);
    if (found.length === 0) return say(`The ledger has nothing under ${id}.`);
    found.forEach((row, index) => sayLines([...(index > 0 ? [''] : []), ...explainLines(row)]));
  });
}

type ExportOptions = FilterOptions & { readonly csv?: boolean; readonly withBodies?: boolean };

async function exportAll(options: ExportOptions): Promise<void> {
  const { csv: isCsv = false, withBodies: hasBodies = false, limit = null } = options;
  const filter = filterOf(options);
  await withLedger(async (ledger) => {
    const lines = exportLines(ledger.export(filter, { limit, hasBodies }), { isCsv, hasBodies });
    await pipeline(Readable.from(lines), process.stdout, { end: false }).catch(unlessClosed);
  });
}

/** Who reads only the first lines has what they wanted. */
function unlessClosed(error: unknown): void {
  if ((error as { code?: string }).code !== 'EPIPE') throw error;
}
