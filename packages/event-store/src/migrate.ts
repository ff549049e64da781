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
  const sql = connect(adminUrl);
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

const connect = (url: string): postgres.Sql =>
  postgres(url, {
    max: 1,
    onnotice: () => {},
    connection: { application_name: 'rastro migrate' },
  });

const tableOf = (folder: MigrationFolder): string => `${folder.name}_migrations`;

function postgratorOf(sql: postgres.Sql, schema: string, folder: MigrationFolder): Postgrator {
  return new Postgrator({
    driver: 'pg',
    migrationPattern: join(folder.path, '*.sql'),
    database: 'rastro',
    schemaTable: `${schema}.${tableOf(folder)}`,
    execQuery: async (query) => ({ rows: [...(await sql.unsafe(query))] as unknown[] }),
    // One simple-protocol query: Postgres runs all of its statements in one transaction.
    execSqlScript: async (script) => {
      await sql.unsafe(script).simple();
    },
  });
}

async function runFolder(
  sql: postgres.Sql,
  { schema }: MigrateOptions,
  folder: MigrationFolder,
): Promise<string[]> {
  const applied = await postgratorOf(sql, schema, folder).migrate();
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

/** SELECT, INSERT, UPDATE, DELETE, the sequences and functions of one schema, old and new. */
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
    `grant execute on all functions in schema "${schema}" to "${role}"`,
    `alter default privileges in schema "${schema}" grant ${tables} to "${role}"`,
    `alter default privileges in schema "${schema}" grant usage, select on sequences to "${role}"`,
    `alter default privileges in schema "${schema}" grant execute on functions to "${role}"`,
  ];
}

/**
 * What `migrate` would do, as SQL, for those who want to read or run it themselves; changes
 * nothing. The one thing left out is the role's password.
 * @throws {MigrationError}
 */
export async function migrationSql(
  options: Omit<MigrateOptions, 'rolePassword'>,
): Promise<string[]> {
  const { adminUrl, schema, role, folders } = options;
  const sql = connect(adminUrl);
  try {
    const [known] = await sql<{ schema: boolean; role: boolean }[]>`
      select to_regnamespace(quote_ident(${schema})) is not null as schema,
        exists (select from pg_roles where rolname = ${role}) as role`;
    const pending: string[] = [];
    for (const folder of folders) pending.push(...(await pendingSql(sql, schema, folder)));
    return [
      ...(known?.schema ? [] : [`create schema "${schema}"`]),
      `set search_path to "${schema}"`,
      ...pending,
      ...(known?.role ? [] : [`create role "${role}" login`]),
      ...grantStatements(options),
    ];
  } catch (error) {
    throw new MigrationError(schema, error);
  } finally {
    await sql.end();
  }
}

/** With the notes that postgrator takes, so that it does not run the same again. */
async function pendingSql(
  sql: postgres.Sql,
  schema: string,
  folder: MigrationFolder,
): Promise<string[]> {
  const table = `"${schema}"."${tableOf(folder)}"`;
  const postgrator = postgratorOf(sql, schema, folder);
  const version = await postgrator.getDatabaseVersion();
  await postgrator.validateMigrations(version);
  const runnable = postgrator.getRunnableMigrations(version, await postgrator.getMaxVersion());
  const [found] = await sql`select to_regclass(${table}) as notes`;
  const isNew = !found?.['notes'];
  return [
    ...(isNew
      ? [
          `create table ${table} (version bigint primary key, name text, md5 text, run_at timestamptz)`,
          `insert into ${table} (version) values (0)`,
        ]
      : []),
    ...runnable.flatMap(({ version: number, name, md5, getSql }) => [
      `-- ${schema}: ${number} ${name}\n${getSql().trimEnd().replace(/;$/, '')}`,
      `insert into ${table} values (${number}, '${name}', '${md5}', now())`,
    ]),
  ];
}
