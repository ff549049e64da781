/** Sums of a counting projection, kept in memory: there are as many as the table has rows. */
import type { RastroEvent } from '@rastro/events';
import type { Queryable, Transaction } from '@rastro/runtime';
import { storableJson } from '../adapters/storable.ts';
import { nextOf } from './next-tables.ts';
import type { CountProjection, Row } from './projections.ts';

const rowsAtOnce = 1_000;

/** First day that the log still tells of in full, `YYYY-MM-DD`; null when no month was dropped. */
export async function firstKeptDay(sql: Queryable): Promise<string | null> {
  const [row] = await sql<{ day: string }[]>`
    select to_char(done_until at time zone 'UTC', 'YYYY-MM-DD') as day
    from retention_progress where job = 'months'`;
  return row?.day ?? null;
}

/** Rows of days that the log can no longer tell of. To be called when nobody can store. */
export async function copyForgottenDays(
  tx: Transaction,
  { tables: [table], day }: CountProjection,
  keptFrom: string,
): Promise<void> {
  await tx`
    insert into ${tx(nextOf(table))}
    select * from ${tx(table)} where ${tx(day)} < ${keptFrom}::text::date`;
}

export class CountSums {
  readonly #projection: CountProjection;
  readonly #keptFrom: string;
  readonly #rows = new Map<string, Record<string, unknown>>();

  /** @param keptFrom days before it are left out. */
  constructor(projection: CountProjection, keptFrom: string | null) {
    this.#projection = projection;
    this.#keptFrom = keptFrom ?? '';
  }

  add(event: RastroEvent): void {
    const { sums, rowOf, day } = this.#projection;
    const row = rowOf(event);
    if (!row || String(row[day]) < this.#keptFrom) return;
    const key = JSON.stringify(Object.entries(row).filter(([column]) => !sums.includes(column)));
    const before = this.#rows.get(key);
    if (!before) this.#rows.set(key, { ...row });
    else for (const column of sums) before[column] = Number(before[column]) + Number(row[column]);
  }

  /** Adds to what the new table holds by now; its primary key has to be there. */
  async write(sql: Queryable): Promise<void> {
    const rows = [...this.#rows.values()];
    for (let i = 0; i < rows.length; i += rowsAtOnce) {
      await this.#writePart(sql, rows.slice(i, i + rowsAtOnce));
    }
  }

  async #writePart(sql: Queryable, rows: readonly Row[]): Promise<void> {
    const [first] = rows;
    if (!first) return;
    const { tables, sums } = this.#projection;
    const table = `"${nextOf(tables[0])}"`;
    const columns = Object.keys(first).map((column) => `"${column}"`);
    const key = columns.filter((column) => !sums.includes(column.slice(1, -1)));
    const added = sums.map((column) => `"${column}" = known."${column}" + excluded."${column}"`);
    await sql.unsafe(
      `insert into ${table} as known (${columns.join(', ')})
       select ${columns.join(', ')} from json_populate_recordset(null::${table}, $1::text::json)
       on conflict (${key.join(', ')}) do update set ${added.join(', ')}`,
      [storableJson(rows)],
    );
  }
}
