/** Whether two versions of a table hold the same rows, as of one moment. */
import type { Queryable } from '@rastro/runtime';
import { oldOf } from './next-tables.ts';

export interface Comparison {
  readonly table: string;
  /** Of the new version. */
  readonly rows: number;
  /** Sum of the hashes of all rows, so their order does not matter; of the new version. */
  readonly hash: string;
  readonly isIdentical: boolean;
  /** Rows that only one version has, or that the two have differently. */
  readonly differentRows: number;
  /** Primary keys of the first few of them, as JSON. */
  readonly differentKeys: readonly string[];
}

const keysShown = 5;

/** After the switch: the old version has the old name. */
export async function compare(sql: Queryable, table: string): Promise<Comparison> {
  const [old, next] = [await hashOf(sql, oldOf(table)), await hashOf(sql, table)];
  const isIdentical = old.rows === next.rows && old.hash === next.hash;
  const difference = isIdentical ? { total: 0, keys: [] } : await differenceOf(sql, table);
  return {
    table,
    ...next,
    isIdentical,
    differentRows: difference.total,
    differentKeys: difference.keys,
  };
}

async function hashOf(sql: Queryable, table: string): Promise<{ rows: number; hash: string }> {
  const [found] = await sql.unsafe<{ rows: number; hash: string }[]>(
    `select count(*) as rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text as hash
     from "${table}" t`,
  );
  if (!found) throw new Error('an aggregate without a row');
  return found;
}

async function differenceOf(
  sql: Queryable,
  table: string,
): Promise<{ total: number; keys: string[] }> {
  const columns = await sql<{ name: string }[]>`
    select quote_ident(attname) as name
    from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
    where indrelid = ${table}::regclass and indisprimary order by attnum`;
  const key = columns.map(({ name }) => name).join(', ');
  const hashed = (version: string): string =>
    `(select ${key}, hashtextextended(t::text, 0) as hash from "${version}" t)`;
  const rows = await sql.unsafe<{ key: string; total: number }[]>(
    `select json_build_array(${key})::text as key, count(*) over () as total
     from ${hashed(oldOf(table))} old full join ${hashed(table)} new using (${key})
     where old.hash is distinct from new.hash order by ${key} limit ${keysShown}`,
  );
  return { total: rows[0]?.total ?? 0, keys: rows.map(({ key: text }) => text) };
}
