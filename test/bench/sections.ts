/** A benchmark's command line: sections by name, all of them where none is named, and `--runs N`. */
import { parseArgs } from 'node:util';
import { say } from './figures.ts';

/** Measures as often as told and says what it saw. */
export type Section = (runs: number) => Promise<void>;

/** Runs in the order of the map; each section starts what it measures. */
export async function runSections(sections: ReadonlyMap<string, Section>): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { runs: { type: 'string', default: '5' } },
    allowPositionals: true,
  });
  const wanted = positionals.length > 0 ? positionals : [...sections.keys()];
  for (const name of wanted) {
    const section = sections.get(name);
    if (section) await section(Number(values.runs));
    else {
      say(`There is no section ${name}; there are: ${[...sections.keys()].join(', ')}`);
      process.exitCode = 2;
    }
  }
}
