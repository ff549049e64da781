import type { Command } from 'commander';
import { projections } from '@rastro/tracking-store/projections';
import { rebuild, type RebuildReport } from '@rastro/tracking-store/rebuild';
import { connection } from '../connection.ts';
import { misuse, printJson, say, sayAside } from '../output.ts';

const names = projections.map(({ name }) => name);

export function addRebuildCommand(program: Command): void {
  program
    .command('rebuild [projection]')
    .description(
      `builds what tracking-store keeps again from its log, while it runs (${names.join(', ')}; all without a name)`,
    )
    .option('--json')
    .action(async (name: string | undefined, { json = false }: { json?: boolean }) => {
      const chosen = projections.filter(
        (projection) => name === undefined || projection.name === name,
      );
      if (chosen.length === 0)
        misuse(`There is no projection ${name}; there are: ${names.join(', ')}`);
      const reports: RebuildReport[] = [];
      const adminUrl = connection().postgresUrl();
      for (const projection of chosen) {
        const onStep = (step: string): void => sayAside(`${projection.name}: ${step}`);
        reports.push(await rebuild({ adminUrl, schema: 'tracking', projection, onStep }));
      }
      if (json) printJson(reports);
      else for (const report of reports) say(wordsOf(report));
    });
}

function wordsOf({ projection, events, seconds, pausedMs, tables }: RebuildReport): string {
  const speed = Math.round(events / Math.max(seconds, 0.001));
  const lines = [
    `${projection}: ${events} events in ${seconds} s (${speed}/s), storing waited ${pausedMs} ms`,
    ...tables.map(({ table, rows, hash, isIdentical, differentRows, differentKeys }) =>
      isIdentical
        ? `  ${table}: ${rows} rows, identical (${hash})`
        : `  ${table}: ${rows} rows, ${differentRows} differ from before, e.g. ${differentKeys.join(' ')}`,
    ),
  ];
  return lines.join('\n');
}
