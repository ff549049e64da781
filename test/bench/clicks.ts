/**
 * The figures of a click's way: `pnpm bench:clicks [SECTION...] [--runs N]`.
 * Everything, the load generator too, shares this machine; ratios are of one run, medians of several.
 */
import { parseArgs } from 'node:util';
import { medianOf, say, written } from './figures.ts';
import { startGatewayAlone } from './gateway-alone.ts';
import { measureMemory } from './memory.ts';
import { measureOpenLoop } from './open-loop.ts';
import { measurePipeline } from './pipeline.ts';
import { measureRatio, startBarePage } from './ratio.ts';

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '5' } },
  allowPositionals: true,
});
const runs = Number(values.runs);

/** By name, in the order in which they run; each starts what it measures. */
const sections = new Map<string, () => Promise<void>>([
  [
    'ratio',
    async () => {
      say('A tracked click against a bare page (closed loop, 64 visitors at a time)');
      await using gateway = await startGatewayAlone();
      await using bare = await startBarePage();
      say(`  median: ${written(await medianOf(runs, () => measureRatio(gateway, bare)))}`);
    },
  ],
  [
    'open-loop',
    async () => {
      say('1,000 visitors a second, come what may');
      await using gateway = await startGatewayAlone();
      // Once, as an ad has run for a while: what is measured is not the compiler.
      await measureOpenLoop(gateway);
      say(`  median: ${written(await medianOf(runs, () => measureOpenLoop(gateway)))}`);
    },
  ],
  [
    'pipeline',
    async () => {
      say('From the click to its committed row, 2,000 a second for a minute');
      say(`  median: ${written(await medianOf(runs, measurePipeline))}`);
    },
  ],
  [
    'memory',
    async () => {
      say('What the gateway weighs over a million clicks');
      await using gateway = await startGatewayAlone();
      say(`  ${written(await measureMemory(gateway))}`);
    },
  ],
]);

const wanted = positionals.length > 0 ? positionals : [...sections.keys()];
for (const name of wanted) {
  const section = sections.get(name);
  if (section) await section();
  else {
    say(`There is no section ${name}; there are: ${[...sections.keys()].join(', ')}`);
    process.exitCode = 2;
  }
}
