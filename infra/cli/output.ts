/** Rows for people, or JSON for programs; nothing else writes to stdout. */
import { CommanderError } from 'commander';

type Row = Readonly<Record<string, string | number | boolean | null>>;

/** Columns as wide as their widest value. */
export function printRows(rows: readonly Row[]): void {
  const [first] = rows;
  if (!first) return say('nothing');
  const names = Object.keys(first);
  const cells = rows.map((row) => names.map((name) => inOneLine(String(row[name] ?? ''))));
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
  process.stdout.write(`${printable(text)}\n`);
}

/** What others wrote stays on its line: it cannot pass for one of ours. */
export function sayLines(lines: readonly string[]): void {
  for (const line of lines) say(inOneLine(line));
}

/** What happens meanwhile, out of the way of who reads the result. */
export function sayAside(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** Ends the command with 2. */
export function misuse(message: string): never {
  process.stderr.write(`${message}\n`);
  throw new CommanderError(2, 'rastro.misuse', message);
}

export function printJson(value: unknown): void {
  const escaped = (unit: string): string =>
    `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  say(JSON.stringify(value, null, 2).replaceAll(unprintable, escaped));
}

/** Moves the cursor, colours, or turns the direction of writing; line breaks and tabs do not count. */
const unprintable = /(?![\n\t])\p{Cc}|[\u202A-\u202E\u2066-\u2069]/gu;

/** Meta's words, and those of whoever stands between, are no commands to a terminal. */
const printable = (text: string): string => text.replaceAll(unprintable, '');

const inOneLine = (text: string): string => text.replaceAll(/\s*[\n\r]\s*/g, ' ');
