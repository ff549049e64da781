/**
 * The figures of capi-dispatcher: `pnpm bench:conversions [SECTION...] [--runs N]`.
 * Everything, the load generator too, shares this machine; ratios are of one run, medians of several.
 */
import { measureSeeds } from './conversions-faults.ts';
import { measureMoney } from './conversions-money.ts';
import { measureThroughput } from './conversions-throughput.ts';
import { medianOf, say, written } from './figures.ts';
import { runSections, type Section } from './sections.ts';

await runSections(
  new Map<string, Section>([
    [
      'throughput',
      async (runs) => {
        say('PageViews from JetStream to accepted');
        say(`  median: ${written(await medianOf(runs, measureThroughput))}`);
      },
    ],
    [
      'faults',
      async () => {
        const kept = await measureSeeds(1, 20);
        if (kept < 20) process.exitCode = 1;
      },
    ],
    [
      'money',
      async (runs) => {
        say('50 payments a second while 100,000 PageViews are queued');
        say(`  median: ${written(await medianOf(runs, measureMoney))}`);
      },
    ],
  ]),
);
