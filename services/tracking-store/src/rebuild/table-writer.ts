/** Rows into one table by COPY, held back in Node no longer than it takes to fill a piece. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Sql } from '@rastro/runtime';
import { copyLine } from './copy-line.ts';
import type { Row } from './projections.ts';

const pieceCharacters = 256 * 1024;

export class TableWriter {
  readonly #sql: Sql;
  readonly #table: string;
  #columns: readonly string[] = [];
  #lines = '';
  #copy: { readonly stream: Writable; readonly finished: Promise<void> } | undefined;
  #rows = 0;

  constructor(sql: Sql, table: string) {
    this.#sql = sql;
    this.#table = table;
  }

  add(row: Row): void {
    if (this.#columns.length === 0) this.#columns = Object.keys(row);
    this.#lines += copyLine(this.#columns.map((column) => row[column]));
    this.#rows += 1;
  }

  /** To be awaited between pieces of input: a slow Postgres slows down who reads. */
  async flush(atLeast = pieceCharacters): Promise<void> {
    if (this.#lines.length < atLeast) return;
    const lines = this.#lines;
    this.#lines = '';
    this.#copy ??= await this.#open();
    const { stream, finished: failed } = this.#copy;
    // A stream that failed never drains.
    if (!stream.write(lines)) await Promise.race([once(stream, 'drain'), failed]);
  }

  /** @returns how many rows were written. */
  async end(): Promise<number> {
    await this.flush(1);
    this.#copy?.stream.end();
    await this.#copy?.finished;
    return this.#rows;
  }

  /** Names come from our own code. */
  async #open() {
    const columns = this.#columns.map((column) => `"${column}"`).join(', ');
    const stream = await this.#sql
      .unsafe(`copy "${this.#table}" (${columns}) from stdin`)
      .writable();
    const done = finished(stream);
    // Whoever writes next is told; until then nobody waits for it.
    done.catch(() => {});
    return { stream, finished: done };
  }
}
