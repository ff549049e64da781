/** Brings one service's schema up to date, and lets its role do no more than it must. */
import { join } from 'node:path';
import postgres from 'postgres';
import Postgrator from 'postgrator';

export interface MigrateOptions {
  /** An address whose user may create schemas and roles. */
  readonly adminUrl: string;
  readonly schema: string;
  /** Login role of the service: reads and writes rows of its own schema, nothing else. */
  readonly role: string;
  readonly rolePassword: string;
  /** Folders of `NNN.do.<name>.sql`, in the order in which they build on each other. */
  readonly folders: readonly MigrationFolder[];
}

export interface MigrationFolder {
  /** Keeps the numbering of several folders apart. */
  readonly name: string;
  readonly path: string;
}

/** The event store's own tables, for services that have a truth of their own. */
export const eventStoreMigrations: MigrationFolder = {
  name: 'event_store',
  path: join(import.meta.dirname, '../migrations'),
};

/** A migration that failed or was edited after it had run. */
export class MigrationError extends Error {
  readonly code = 'MIGRATION_FAILED';

  constructor(schema: string, cause: unknown) {
    super(`Schema ${schema} could not be migrated: ${(cause as Error).message}`, { cause });
    this.name = 'MigrationError';
  }
}

/**
 * Creates schema, tables, role and grants; does nothing where all is there. Safe to run by
 * several at once: an advisory lock makes them take turns.
 * @returns names of the migrations that ran.
 * @throws {MigrationError}
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const { adminUrl, schema, folders } = options;
  const sql = postgres(adminUrl, {
    max: 1,
    onnotice: () => {},
    connection: { application_name: 'rastro migrate' },
  });
  try {
    await sql`select pg_advisory_lock(hashtextextended('rastro_migrate', 0))`;
    await sql`create schema if not exists ${sql(schema)}`;
    await sql`set search_path to ${sql(schema)}`;
    const applied: string[] = [];
    for (const folder of folders) applied.push(...(await runFolder(sql, options, folder)));
    await ensureRole(sql, options);
    await grantRole(sql, options);
    return applied;
  } catch (error) {
    throw new MigrationError(schema, error);
  } finally {
    await sql.end();
  }
}

async function runFolder(
  sql: postgres.Sql,
  { schema }: MigrateOptions,
  folder: MigrationFolder,
): Promise<string[]> {
  const postgrator = new Postgrator({
    driver: 'pg',
    migrationPattern: join(folder.path, '*.sql'),
    database: 'rastro',
    schemaTable: `${schema}.${folder.name}_migrations`,
    execQuery: async (query) => ({ rows: [...(await sql.unsafe(query))] as unknown[] }),
    // One simple-protocol query: Postgres runs all of its statements in one transaction.
    execSqlScript: async (script) => {
      await sql.unsafe(script).simple();
    },
  });
  const applied = await postgrator.migrate();
  return applied.map((migration) => `${schema}: ${migration.version} ${migration.name}`);
}

async function ensureRole(
  sql: postgres.Sql,
  { role, rolePassword }: MigrateOptions,
): Promise<void> {
  const exists = await sql`select 1 from pg_roles where rolname = ${role}`;
  if (exists.length === 0) await sql`create role ${sql(role)} login`;
  // ALTER ROLE takes no parameters; the password is base64url, so quoting it is safe.
  if (!/^[A-Za-z0-9_-]+$/.test(rolePassword)) throw new Error('a role password must be base64url');
  await sql.unsafe(`alter role "${role}" with login password '${rolePassword}'`);
}

/** SELECT, INSERT, UPDATE, DELETE and the sequences of one schema, for tables old and new. */
async function grantRole(
  sql: postgres.Sql,
  { schema, role }: Pick<MigrateOptions, 'schema' | 'role'>,
): Promise<void> {
  for (const statement of grantStatements({ schema, role })) await sql.unsafe(statement);
}

/** The same as text, for `rastro grant --dry-run`. */
export function grantStatements({
  schema,
  role,
}: Pick<MigrateOptions, 'schema' | 'role'>): string[] {
  const tables = 'select, insert, update, delete on tables';
  return [
    `grant usage on schema "${schema}" to "${role}"`,
    `grant select, insert, update, delete on all tables in schema "${schema}" to "${role}"`,
    `grant usage, select on all sequences in schema "${schema}" to "${role}"`,
    `alter default privileges in schema "${schema}" grant ${tables} to "${role}"`,
    `alter default privileges in schema "${schema}" grant usage, select on sequences to "${role}"`,
  ];
}

/** The database is not ready for a service; `message` names the command that mends it. */
export class SchemaMissingError extends Error {
  readonly code = 'SCHEMA_MISSING';

  constructor(schema: string, missing: string[]) {
    super(
      `Schema "${schema}" lacks ${missing.join(', ')}. Run: pnpm rastro migrate (tables) or pnpm rastro grant (rights).`,
    );
    this.name = 'SchemaMissingError';
  }
}

/**
 * For the start of a service: better to say now what is missing than at the first click.
 * @throws {SchemaMissingError}
 */
export async function checkSchema(
  sql: postgres.ISql<{ bigint: number }>,
  schema: string,
  tables: readonly string[],
): Promise<void> {
  const rows = await sql<{ name: string; state: string }[]>`
    select name, case
      when table_id is null then 'table'
      -- One by one: of a list, has_table_privilege asks whether any is held.
      when (select bool_and(has_table_privilege(table_id, privilege))
            from unnest(array['select', 'insert', 'update', 'delete']) as privilege) then 'ok'
      else 'grant' end as state
    from unnest(${tables as string[]}::text[]) as name,
      to_regclass(quote_ident(${schema}) || '.' || quote_ident(name)) as table_id`;
  const missing = rows.filter((row) => row.state !== 'ok').map((row) => `${row.state} ${row.name}`);
  if (missing.length > 0) throw new SchemaMissingError(schema, missing);
}
