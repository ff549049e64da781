/**
 * The figures of payment-confirmer: `pnpm bench:payments [SECTION...] [--runs N]`.
 * Everything, the load generator too, shares this machine; figures are medians of several runs.
 */
import { medianOf, say, written } from './figures.ts';
import { measureWebhooks } from './payments-webhooks.ts';
import { runSections, type Section } from './sections.ts';

await runSections(
  new Map<string, Section>([
    [
      'webhooks',
      async (runs) => {
        say('300 webhooks a second, each of a charge that is paid at the gateway');
        say(`  median: ${written(await medianOf(runs, measureWebhooks))}`);
      },
    ],
  ]),
);
