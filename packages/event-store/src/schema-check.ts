/** Says at the start of a service what its database lacks, instead of failing at the first click. */
import { readdir } from 'node:fs/promises';
import type { MigrationFolder } from './migrate.ts';
import type { Queryable } from './types.ts';

/** The database is not ready for a service; `message` names the command that mends it. */
export class SchemaMissingError extends Error {
  readonly code = 'SCHEMA_MISSING';
  readonly missing: readonly string[];
  /** Mends it. */
  readonly command: string;

  constructor(schema: string, missing: readonly string[], command: string) {
    super(`Schema "${schema}" lacks ${missing.join(', ')}. Run: ${command}`);
    this.name = 'SchemaMissingError';
    this.missing = missing;
    this.command = command;
  }
}

interface Lack {
  readonly what: string;
  /** Rights are granted again; everything else is made by a migration, which grants too. */
  readonly isRight: boolean;
}

/**
 * Looks for the schema, its tables, the migrations that this version of the service was written
 * for, and the rights to all tables named and to all sequences and functions there are.
 * @param folders whose migrations have to have run.
 * @throws {SchemaMissingError}
 */
export async function checkSchema(
  sql: Queryable,
  schema: string,
  tables: readonly string[],
  folders: readonly MigrationFolder[] = [],
): Promise<void> {
  const [found] = await sql<{ role: string; exists: boolean; isOpen: boolean | null }[]>`
    select current_user as role, id is not null as exists,
      has_schema_privilege(id::oid, 'usage') as is_open
    from to_regnamespace(quote_ident(${schema})) as id`;
  const refuse = (lacks: readonly Lack[]): never => {
    const isMendedByRights = lacks.every(({ isRight }) => isRight);
    throw new SchemaMissingError(
      schema,
      lacks.map(({ what }) => what),
      isMendedByRights ? `pnpm rastro grant ${found?.role}` : 'pnpm rastro migrate',
    );
  };
  if (!found?.exists) return refuse([{ what: 'everything', isRight: false }]);
  if (!found.isOpen) return refuse([{ what: `usage on schema ${schema}`, isRight: true }]);
  const lacks = [
    ...(await lackingTables(sql, schema, tables)),
    ...(await lackingRights(sql, schema)),
    ...(await lackingMigrations(sql, schema, folders)),
  ];
  if (lacks.length > 0) refuse(lacks);
}

async function lackingTables(
  sql: Queryable,
  schema: string,
  tables: readonly string[],
): Promise<Lack[]> {
  // One by one: of a list, has_table_privilege asks whether any is held.
  const rows = await sql<{ name: string; exists: boolean; rights: string[] | null }[]>`
    select name, table_id is not null as exists, (
      select array_agg(privilege)
      from unnest(array['select', 'insert', 'update', 'delete']) as privilege
      where not has_table_privilege(table_id, privilege)
    ) as rights
    from unnest(${tables as string[]}::text[]) as name,
      to_regclass(quote_ident(${schema}) || '.' || quote_ident(name)) as table_id`;
  return rows.flatMap(({ name, exists, rights }): Lack[] => {
    if (!exists) return [{ what: `table ${name}`, isRight: false }];
    return rights ? [{ what: `grant ${name} (${rights.join(', ')})`, isRight: true }] : [];
  });
}

async function lackingRights(sql: Queryable, schema: string): Promise<Lack[]> {
  // `case`: a condition beside it could be asked of a table first, which is an error.
  const rows = await sql<{ what: string }[]>`
    select 'usage on sequence ' || relname as what from pg_class
    where relnamespace = to_regnamespace(quote_ident(${schema}))
      and case relkind when 'S' then not has_sequence_privilege(oid, 'usage') else false end
    union all
    select 'execute on function ' || proname || '(' || oidvectortypes(proargtypes) || ')'
    from pg_proc
    where pronamespace = to_regnamespace(quote_ident(${schema}))
      and prorettype <> 'trigger'::regtype and not has_function_privilege(oid, 'execute')
    order by 1`;
  return rows.map(({ what }) => ({ what, isRight: true }));
}

const migrationFile = /^0*(?<version>\d+)\.do\.(?<name>.+)\.sql$/;

/** By number and name, in whichever of the schema's tables of migrations they stand. */
async function lackingMigrations(
  sql: Queryable,
  schema: string,
  folders: readonly MigrationFolder[],
): Promise<Lack[]> {
  if (folders.length === 0) return [];
  const notes = await sql<{ name: string; isReadable: boolean }[]>`
    select relname as name, has_table_privilege(oid, 'select') as is_readable from pg_class
    where relnamespace = to_regnamespace(quote_ident(${schema})) and relname ~ '_migrations$'
      and relkind = 'r'`;
  const closed = notes.filter(({ isReadable }) => !isReadable);
  if (closed.length > 0)
    return closed.map(({ name }) => ({ what: `grant ${name} (select)`, isRight: true }));
  const applied = new Set<string>();
  for (const { name } of notes) {
    const rows = await sql<{ migration: string }[]>`
      select version || ' ' || name as migration from ${sql(schema)}.${sql(name)}
      where name is not null`;
    for (const { migration } of rows) applied.add(migration);
  }
  const lacks: Lack[] = [];
  for (const { path } of folders) {
    for (const file of (await readdir(path)).sort()) {
      const { version, name } = migrationFile.exec(file)?.groups ?? {};
      if (version === undefined || applied.has(`${version} ${name}`)) continue;
      lacks.push({ what: `migration ${version.padStart(3, '0')} ${name}`, isRight: false });
    }
  }
  return lacks;
}
