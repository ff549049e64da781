/**
 * A new version of tables beside the old one: made alike, filled, and given the names in one
 * transaction. Prepared statements find their tables by name again, so nobody has to be told.
 */
import type { Queryable, Transaction } from '@rastro/runtime';

export const nextOf = (table: string): string => `${table}_next`;
export const oldOf = (table: string): string => `${table}_old`;

/** What hinders a switch; `message` says what to do about it. */
export class RebuildBlockedError extends Error {
  readonly code = 'REBUILD_BLOCKED';

  constructor(message: string) {
    super(message);
    this.name = 'RebuildBlockedError';
  }
}

/** What a rebuild that died has left. */
export async function dropLeftovers(sql: Queryable, tables: readonly string[]): Promise<void> {
  const names = tables.flatMap((table) => [`"${nextOf(table)}"`, `"${oldOf(table)}"`]);
  await sql.unsafe(`drop table if exists ${names.join(', ')}`);
}

/**
 * Empty tables like those in use, with the same owner and rights, and no index yet.
 * @throws {RebuildBlockedError} when something depends on a table and would stay with the old one.
 */
export async function createNext(sql: Queryable, tables: readonly string[]): Promise<void> {
  await refuseDependents(sql, tables);
  for (const table of tables) {
    const next = `"${nextOf(table)}"`;
    await sql.unsafe(`create table ${next} (like "${table}" including all excluding indexes)`);
    const statements = await sql<{ statement: string }[]>`
      select format('alter table %I owner to %I', ${nextOf(table)}::text, pg_get_userbyid(relowner))
        as statement
      from pg_class where oid = ${table}::regclass
      union all
      select format('grant %s on %I to %s', privilege_type, ${nextOf(table)}::text,
        case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end)
      from pg_class, aclexplode(relacl) where oid = ${table}::regclass`;
    for (const { statement } of statements) await sql.unsafe(statement);
  }
}

/** What names a table's number instead of its name, or is no part of `like`. */
async function refuseDependents(sql: Queryable, tables: readonly string[]): Promise<void> {
  const [first] = await sql<{ what: string; table: string }[]>`
    with target as (select unnest(${tables as string[]}::regclass[]) as id)
    select 'View ' || rule.ev_class::regclass as what, id::text as table
    from target join pg_depend on refobjid = id and classid = 'pg_rewrite'::regclass
      join pg_rewrite rule on rule.oid = objid and rule.ev_class <> id
    union all
    select 'Trigger ' || tgname, id::text
    from target join pg_trigger on tgrelid = id and not tgisinternal
    union all
    select 'Foreign key ' || conname, id::text
    from target join pg_constraint on contype = 'f' and id in (conrelid, confrelid)
    union all
    select 'Policy ' || polname, id::text from target join pg_policy on polrelid = id
    limit 1`;
  if (!first) return;
  throw new RebuildBlockedError(
    `${first.what} belongs to ${first.table} and would stay with the old version. ` +
      'Drop it, rebuild, and create it again.',
  );
}

interface Index {
  readonly name: string;
  /** As Postgres would write it. */
  readonly definition: string;
  /** `p` for a primary key, `u` for a unique constraint, null for a mere index. */
  readonly constraint: 'p' | 'u' | null;
}

async function indexesOf(sql: Queryable, table: string): Promise<Index[]> {
  return sql<Index[]>`
    select relname as name, pg_get_indexdef(indexrelid) as definition, contype as constraint
    from pg_index join pg_class on pg_class.oid = indexrelid
      left join pg_constraint on conindid = indexrelid and conrelid = indrelid
    where indrelid = ${table}::regclass order by relname`;
}

/** After the load: an index is made faster from all rows at once than row by row. */
export async function indexNext(sql: Queryable, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    for (const { name, definition, constraint } of await indexesOf(sql, table)) {
      const using = definition.slice(definition.indexOf(' USING ') + 1);
      const unique = definition.startsWith('CREATE UNIQUE') ? 'unique' : '';
      await sql.unsafe(`create ${unique} index "${nextOf(name)}" on "${nextOf(table)}" ${using}`);
      if (constraint === null) continue;
      const kind = constraint === 'p' ? 'primary key' : 'unique';
      await sql.unsafe(
        `alter table "${nextOf(table)}"
         add constraint "${nextOf(name)}" ${kind} using index "${nextOf(name)}"`,
      );
    }
  }
}

/** Without its statistics, Postgres would read a new table from end to end for one row. */
export async function analyzeNext(sql: Queryable, tables: readonly string[]): Promise<void> {
  for (const table of tables) await sql.unsafe(`analyze "${nextOf(table)}"`);
}

/** The new version gets the names, the old one keeps its rows as `<table>_old`. */
export async function switchNames(tx: Transaction, tables: readonly string[]): Promise<void> {
  const all = tables.flatMap((table) => [`"${table}"`, `"${nextOf(table)}"`]).join(', ');
  await tx.unsafe(`lock table ${all} in access exclusive mode`);
  for (const table of tables) {
    const indexes = await indexesOf(tx, table);
    await tx.unsafe(`alter table "${table}" rename to "${oldOf(table)}"`);
    await tx.unsafe(`alter table "${nextOf(table)}" rename to "${table}"`);
    for (const { name } of indexes) {
      await tx.unsafe(`alter index "${name}" rename to "${oldOf(name)}"`);
      await tx.unsafe(`alter index "${nextOf(name)}" rename to "${name}"`);
    }
  }
}
