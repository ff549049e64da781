/**
 * The figures of bot-funnel: `pnpm bench:funnel [SECTION...] [--runs N]`.
 * Everything, the load generator too, shares this machine; figures are medians of several runs.
 */
import { parseArgs } from 'node:util';
import { medianOf, say, written } from './figures.ts';
import { measureBots } from './funnel-bots.ts';
import { measureWebhooks } from './funnel-webhooks.ts';

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '5' } },
  allowPositionals: true,
});
const runs = Number(values.runs);

const sections = new Map<string, () => Promise<void>>([
  [
    'webhooks',
    async () => {
      say('500 updates a second by webhook, each a new customer’s START');
      say(`  median: ${written(await medianOf(runs, measureWebhooks))}`);
    },
  ],
  [
    'bots',
    async () => {
      for (const mode of ['webhook', 'polling'] as const) {
        say(`200 bots in one process, by ${mode}`);
        say(`  median: ${written(await medianOf(runs, () => measureBots(mode)))}`);
      }
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
