/**
 * How fast `rastro rebuild sessions` goes through a log: pnpm bench:rebuild [EVENTS]
 * Each click has four events, one of thirty a sale's eight more. Prints each of three runs and
 * their median; a run is the whole command, from the first statement to the old version dropped.
 */
import { join } from 'node:path';
import { repository } from '@rastro/infra/services';
import { migratedDatabase, startTestServers } from '@rastro/testing';
import { connectPostgres } from '@rastro/runtime';
import { projections } from '@rastro/tracking-store/projections';
import { rebuild, type RebuildReport } from '@rastro/tracking-store/rebuild';
import { seedLog } from '../support/seeded-log.ts';

const wanted = Number(process.argv[2] ?? 200_000);
const projection = projections.find(({ name }) => name === 'sessions');
if (!projection) throw new Error('nothing to rebuild');

await using servers = await startTestServers({ postgres: true });
const folders = [{ name: 'service', path: join(repository, 'services/tracking-store/migrations') }];
await using _database = await migratedDatabase(servers, { schema: 'tracking', folders });
const adminUrl = servers.postgres.url;
const sql = connectPostgres({ url: adminUrl, schema: 'tracking', service: 'bench' });
const events = await seedLog(sql, wanted);
await sql.end();
console.log(`${events} events in the log`);

const run = (): Promise<RebuildReport> => rebuild({ adminUrl, schema: 'tracking', projection });
await run();
const speeds: number[] = [];
for (let i = 0; i < 3; i += 1) {
  const report = await run();
  const perSecond = Math.round(report.events / report.seconds);
  speeds.push(perSecond);
  console.log(
    `${report.seconds} s, ${perSecond} events/s, paused ${report.pausedMs} ms, ` +
      (report.isIdentical ? 'identical' : 'different'),
  );
}
console.log(`median: ${speeds.toSorted((a, b) => a - b)[1]} events/s`);
