import type { Command } from 'commander';
import { runHouse } from '../../run-house.ts';

export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description('starts everything, until Ctrl-C')
    .option('--processes', 'each service in a process of its own, started again when it dies')
    .action(async ({ processes }: { processes?: boolean }) =>
      runHouse(processes ? 'processes' : 'one-process', process.env),
    );
}
