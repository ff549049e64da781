/** Whatever a test leaves to chance, drawn so that a printed seed draws the same again. */
import fc from 'fast-check';

/** Numbers from 0 to below 1, the same for the same seed; after `count` of them from the start. */
export function drawer(seed: number, count: number): () => number {
  const numbers = fc.sample(fc.noBias(fc.nat(2 ** 30 - 1)), { seed, numRuns: count });
  let next = 0;
  return () => (numbers[next++ % count] ?? 0) / 2 ** 30;
}
