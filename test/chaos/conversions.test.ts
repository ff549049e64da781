/**
 * Goal: whatever Meta answers and whoever is killed, each event is told to Meta once, and again
 * only after an unknown outcome, then byte for byte the same; what Meta refuses stands alone.
 * Method: one seeded storm of small size between real processes, as `pnpm bench:conversions` plays
 * it in full; the Graph's own log against the ledger. RASTRO_SEED=<n> draws the same storm again.
 */
import t from 'tap';
import { weatherStorm } from '../support/conversion-faults.ts';

const seed = Number(process.env['RASTRO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`RASTRO_SEED=${seed}`);

await t.test('a storm of 600 PageViews and 200 Purchases', { timeout: 150_000 }, async (t) => {
  const { problems, figures } = await weatherStorm(seed, {
    pageViews: 600,
    purchases: 200,
    poisonEvery: 100,
    durationMs: 6_000,
    kills: { 'capi-dispatcher': 2, nats: 1, postgres: 1 },
  });
  t.comment(JSON.stringify(figures));
  t.same(problems.slice(0, 10), [], 'every promise was kept');
  t.ok((figures['events with an unknown outcome'] ?? 0) > 0, 'there was something to withstand');
});
