import { type DeadLetter, listDeadLetters, replayDeadLetter } from '@rastro/messaging';
import { type Command, InvalidArgumentError } from 'commander';
import { connection } from '../connection.ts';
import { printJson, printRows, say } from '../output.ts';

export function addDeadCommands(program: Command): void {
  const dead = program.command('dead').description('messages that nobody could handle');
  dead
    .command('list')
    .description('exits with 1 when there are any')
    .option('--json')
    .action(async ({ json = false }: { json?: boolean }) => {
      await using nats = await connection().nats();
      const letters = await listDeadLetters(nats);
      if (json) printJson(letters);
      else printRows(letters.map(toRow));
      if (letters.length > 0) process.exitCode = 1;
    });
  dead
    .command('replay [sequence]')
    .description('gives one dead letter back to the consumer that failed on it, or with --all each')
    .option('--all')
    .action(async (sequence: string | undefined, { all = false }: { all?: boolean }) => {
      if ((sequence === undefined) === !all) {
        throw new InvalidArgumentError('name one sequence of `rastro dead list`, or --all');
      }
      await using nats = await connection().nats();
      const letters = await listDeadLetters(nats);
      const chosen = all
        ? letters
        : letters.filter((letter) => String(letter.sequence) === sequence);
      for (const letter of chosen) await replayDeadLetter(nats, letter);
      say(`${chosen.length} replayed.`);
      if (chosen.length === 0) process.exitCode = 1;
    });
}

/** Without the body, which may hold personal data. */
function toRow({ sequence, time, consumer, originalSubject, deliveries, reason }: DeadLetter) {
  return { sequence, time, consumer, subject: originalSubject, deliveries, reason };
}
