/** What a benchmark prints: every run, then the median, so that one lucky run says nothing. */

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

export type Figures = Readonly<Record<string, number>>;

/** Repeats a measurement, says each run's figures as they come, and returns their medians. */
export async function medianOf(
  runs: number,
  measure: (run: number) => Promise<Figures>,
): Promise<Figures> {
  const measured: Figures[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const figures = await measure(run);
    measured.push(figures);
    say(`  run ${run}: ${written(figures)}`);
  }
  const names = Object.keys(measured[0] ?? {});
  const medians = names.map((name) => [
    name,
    median(measured.map((figures) => figures[name] ?? Number.NaN)),
  ]);
  return Object.fromEntries(medians) as Figures;
}

export function written(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${rounded(value)}`)
    .join(', ');
}

function rounded(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1_000) return Math.round(value).toString();
  return value.toPrecision(3);
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
