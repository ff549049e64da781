import { republish } from '@rastro/event-store';
import { ensureStreams, publishEvents } from '@rastro/messaging';
import { connectPostgres } from '@rastro/runtime';
import type { Command } from 'commander';
import { eventSourcedSchemas } from '../../database.ts';
import { connection } from '../connection.ts';
import { say } from '../output.ts';

export function addRepublishCommand(program: Command): void {
  program
    .command('republish')
    .description('fills JetStream again from Postgres, for when its store was lost')
    .action(async () => {
      const { nats: connect, postgresUrl } = connection();
      await using nats = await connect();
      await ensureStreams(nats);
      for (const schema of eventSourcedSchemas()) {
        const sql = connectPostgres({ url: postgresUrl(), schema, service: 'rastro republish' });
        try {
          const total = await republish(sql, (events) => publishEvents(nats, events));
          say(`${schema}: ${total} events`);
        } finally {
          await sql.end();
        }
      }
    });
}
