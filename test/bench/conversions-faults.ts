/**
 * The seeded fault run at full size: what Meta's log and the ledger say after a storm.
 * `node test/bench/conversions-faults.ts [--seeds 20] [--seed N]`: seeds N, N + 1, …; one line each.
 */
import { parseArgs } from 'node:util';
import { weatherStorm } from '../support/conversion-faults.ts';
import { type Figures, say, written } from './figures.ts';

const full = {
  pageViews: 5_000,
  purchases: 1_000,
  poisonEvery: 200,
  durationMs: 15_000,
  kills: { 'capi-dispatcher': 3, nats: 2, postgres: 2 },
};

/** @throws naming the broken promises */
export async function measureFaults(seed: number): Promise<Figures> {
  const { problems, figures } = await weatherStorm(seed, full);
  if (problems.length > 0) {
    const shown = problems.slice(0, 20).join('\n');
    throw new Error(`RASTRO_SEED=${seed}: ${problems.length} broken promises:\n${shown}`);
  }
  return figures;
}

/** Every seed has its turn; @returns how many kept every promise. */
export async function measureSeeds(first: number, count: number): Promise<number> {
  let kept = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      say(`  RASTRO_SEED=${seed}: ${written(await measureFaults(seed))}`);
      kept += 1;
    } catch (error) {
      say(`  ${String(error)}`);
    }
  }
  return kept;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { seeds: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
  });
  const count = Number(values.seeds);
  const kept = await measureSeeds(Number(values.seed), count);
  say(`  ${kept} of ${count} seeds kept every promise`);
  if (kept < count) process.exitCode = 1;
}
