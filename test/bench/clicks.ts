/**
 * The figures of a click's way: `pnpm bench:clicks [SECTION...] [--runs N]`.
 * Everything, the load generator too, shares this machine; ratios are of one run, medians of several.
 */
import { medianOf, say, written } from './figures.ts';
import { runSections, type Section } from './sections.ts';
import { startGatewayAlone } from './gateway-alone.ts';
import { measureMemory } from './memory.ts';
import { measureOpenLoop } from './open-loop.ts';
import { measurePipeline } from './pipeline.ts';
import { measureRatio, startBarePage } from './ratio.ts';

await runSections(
  new Map<string, Section>([
    [
      'ratio',
      async (runs) => {
        say('A tracked click against a bare page (closed loop, 64 visitors at a time)');
        await using gateway = await startGatewayAlone();
        await using bare = await startBarePage();
        say(`  median: ${written(await medianOf(runs, () => measureRatio(gateway, bare)))}`);
      },
    ],
    [
      'open-loop',
      async (runs) => {
        say('1,000 visitors a second, come what may');
        await using gateway = await startGatewayAlone();
        // Once, as an ad has run for a while: what is measured is not the compiler.
        await measureOpenLoop(gateway);
        say(`  median: ${written(await medianOf(runs, () => measureOpenLoop(gateway)))}`);
      },
    ],
    [
      'pipeline',
      async (runs) => {
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
  ]),
);
