import postgres from 'postgres';
import type { Command } from 'commander';
import { allGrants, migrateAll, rolePassword } from '../../database.ts';
import { connection } from '../connection.ts';
import { say } from '../output.ts';

export function addDatabaseCommands(program: Command): void {
  program
    .command('migrate')
    .description('creates or updates all schemas, roles and rights; safe to run again')
    .action(async () => {
      const { postgresUrl, secrets, config } = connection();
      const applied = await migrateAll({
        adminUrl: postgresUrl(),
        passwordOf: (schema) => rolePassword(schema, secrets.masterKey, config.environment),
      });
      say(applied.length === 0 ? 'Everything is up to date.' : applied.join('\n'));
    });
  program
    .command('grant')
    .description("gives each service's role its rights again")
    .option('--dry-run', 'only prints the SQL')
    .action(async ({ dryRun }: { dryRun?: boolean }) => {
      const statements = allGrants();
      if (dryRun) return say(statements.map((statement) => `${statement};`).join('\n'));
      const sql = postgres(connection().postgresUrl(), { max: 1, onnotice: () => {} });
      try {
        for (const statement of statements) await sql.unsafe(statement);
      } finally {
        await sql.end();
      }
      return say(`${statements.length} rights granted.`);
    });
}
