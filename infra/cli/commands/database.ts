import postgres from 'postgres';
import type { Command } from 'commander';
import { grantsOf, migrateAll, migrationSqlOfAll, rolePassword, roles } from '../../database.ts';
import { connection } from '../connection.ts';
import { misuse, say } from '../output.ts';

export function addDatabaseCommands(program: Command): void {
  program
    .command('migrate')
    .description('creates or updates all schemas, roles and rights; safe to run again')
    .option('--dry-run', 'only prints the SQL, without the passwords of the roles')
    .action(async ({ dryRun }: { dryRun?: boolean }) => {
      const { postgresUrl, secrets, config } = connection();
      if (dryRun) return say(asScript(await migrationSqlOfAll(postgresUrl())));
      const applied = await migrateAll({
        adminUrl: postgresUrl(),
        passwordOf: (schema) => rolePassword(schema, secrets.masterKey, config.environment),
      });
      return say(applied.length === 0 ? 'Everything is up to date.' : applied.join('\n'));
    });
  program
    .command('grant [role]')
    .description(`gives a service's role its rights again, or each one's (${roles.join(', ')})`)
    .option('--dry-run', 'only prints the SQL')
    .action(async (role: string | undefined, { dryRun }: { dryRun?: boolean }) => {
      const statements = grantsOf(role);
      if (statements.length === 0)
        misuse(`There is no role ${role}; there are: ${roles.join(', ')}`);
      if (dryRun) return say(asScript(statements));
      await grant(statements);
      return say(`${statements.length} rights granted.`);
    });
}

const asScript = (statements: readonly string[]): string =>
  statements.map((statement) => `${statement};`).join('\n');

const undefinedSchema = '3F000';
const undefinedRole = '42704';

async function grant(statements: readonly string[]): Promise<void> {
  const sql = postgres(connection().postgresUrl(), { max: 1, onnotice: () => {} });
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code !== undefinedSchema && code !== undefinedRole) throw error;
    throw new Error(`${message}. Run: pnpm rastro migrate`, { cause: error });
  } finally {
    await sql.end();
  }
}
