/** How long visitors wait when they come at a constant rate, whatever the answers do. */
import { answeredTokens, clickSteadily, latencies } from '../support/click-generator.ts';
import type { GatewayAlone } from './gateway-alone.ts';
import type { Figures } from './figures.ts';

const perSecond = 1_000;
const durationMs = 10_000;

export async function measureOpenLoop(gateway: GatewayAlone): Promise<Figures> {
  const clicks = await clickSteadily({ origin: gateway.url, perSecond, durationMs });
  const { p50, p99, max } = latencies(clicks);
  const errors = clicks.length - answeredTokens(clicks).length;
  return { clicks: clicks.length, errors, 'p50 ms': p50, 'p99 ms': p99, 'max ms': max };
}
