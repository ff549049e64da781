/** Rows for people, or JSON for programs; nothing else writes to stdout. */
import { CommanderError } from 'commander';

type Row = Readonly<Record<string, string | number | boolean | null>>;

/** Columns as wide as their widest value. */
export function printRows(rows: readonly Row[]): void {
  const [first] = rows;
  if (!first) return say('nothing');
  const names = Object.keys(first);
  const cells = rows.map((row) => names.map((name) => String(row[name] ?? '')));
  const widths = names.map((name, i) =>
    Math.max(name.length, ...cells.map((cell) => cell[i]?.length ?? 0)),
  );
  const line = (cell: readonly string[]): string =>
    cell
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  for (const cell of [names, ...cells]) say(line(cell));
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What happens meanwhile, out of the way of who reads the result. */
export function sayAside(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Ends the command with 2. */
export function misuse(message: string): never {
  process.stderr.write(`${message}\n`);
  throw new CommanderError(2, 'rastro.misuse', message);
}

export function printJson(value: unknown): void {
  say(JSON.stringify(value, null, 2));
}
