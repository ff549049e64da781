/** Rows for people, or JSON for programs; nothing else writes to stdout. */

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

export function printJson(value: unknown): void {
  say(JSON.stringify(value, null, 2));
}
