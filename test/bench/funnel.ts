/**
 * The figures of bot-funnel: `pnpm bench:funnel [SECTION...] [--runs N]`.
 * Everything, the load generator too, shares this machine; figures are medians of several runs.
 */
import { medianOf, say, written } from './figures.ts';
import { runSections, type Section } from './sections.ts';
import { measureBots } from './funnel-bots.ts';
import { measureWebhooks } from './funnel-webhooks.ts';

await runSections(
  new Map<string, Section>([
    [
      'webhooks',
      async (runs) => {
        say('500 updates a second by webhook, each a new customer’s START');
        say(`  median: ${written(await medianOf(runs, measureWebhooks))}`);
      },
    ],
    [
      'bots',
      async (runs) => {
        for (const mode of ['webhook', 'polling'] as const) {
          say(`200 bots in one process, by ${mode}`);
          say(`  median: ${written(await medianOf(runs, () => measureBots(mode)))}`);
        }
      },
    ],
  ]),
);
