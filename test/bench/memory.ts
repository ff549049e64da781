/** What the gateway weighs while a million clicks go through it. */
import { closedLoop } from './closed-loop.ts';
import { residentMb } from '../support/processes.ts';
import type { GatewayAlone } from './gateway-alone.ts';
import { type Figures, median, say } from './figures.ts';

const rounds = 20;
const clicksARound = 50_000;
/** Until then heap and caches are still filling. */
const warmUpRounds = 2;

export async function measureMemory(gateway: GatewayAlone): Promise<Figures> {
  const weights: number[] = [];
  let errors = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const result = await closedLoop(gateway.url, { requests: clicksARound });
    errors += result.errors;
    const { rss } = residentMb(gateway.pid);
    say(`  ${(round * clicksARound).toLocaleString('en')} clicks: ${rss.toFixed(0)} MB`);
    if (round > warmUpRounds) weights.push(rss);
  }
  const middle = median(weights);
  const deviations = weights.map((weight) => Math.abs(weight / middle - 1));
  return {
    clicks: rounds * clicksARound,
    errors,
    'median MB': middle,
    'min MB': Math.min(...weights),
    'max MB': Math.max(...weights),
    'largest deviation %': Math.max(...deviations) * 100,
  };
}
