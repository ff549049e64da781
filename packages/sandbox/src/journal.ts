/**
 * The sandbox's memory: bounded tables of JSON rows, kept across restarts when a file is given.
 *
 * The file is NDJSON, one change a line: `{"t":table,"k":key,"v":row}`, without `v` for a deletion.
 * The last line about a key wins, so a replay needs no order of tables and can be repeated.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

type Write = (table: string, key: string, row: unknown) => void;

/** Rows by key in order of first insertion; beyond `maxRows` the oldest is forgotten. */
export class Table<T> {
  readonly #name: string;
  readonly #maxRows: number;
  readonly #rows: Map<string, T>;
  readonly #write: Write;
  #onEvict: ((key: string, row: T) => void) | null = null;

  constructor(name: string, maxRows: number, rows: Map<string, T>, write: Write) {
    this.#name = name;
    this.#maxRows = maxRows;
    this.#rows = rows;
    this.#write = write;
    this.#evict();
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Called for each row that leaves for want of room, so that an index can follow. */
  onEvict(listener: (key: string, row: T) => void): void {
    this.#onEvict = listener;
  }

  get(key: string): T | undefined {
    return this.#rows.get(key);
  }

  put(key: string, row: T): void {
    this.#rows.set(key, row);
    this.#write(this.#name, key, row);
    this.#evict();
  }

  delete(key: string): void {
    if (this.#rows.delete(key)) this.#write(this.#name, key, undefined);
  }

  clear(): void {
    for (const key of this.#rows.keys()) this.delete(key);
  }

  values(): T[] {
    return [...this.#rows.values()];
  }

  entries(): [string, T][] {
    return [...this.#rows.entries()];
  }

  #evict(): void {
    while (this.#rows.size > this.#maxRows) {
      const oldest = this.#rows.entries().next();
      if (oldest.done) return;
      const [key, row] = oldest.value;
      this.delete(key);
      this.#onEvict?.(key, row);
    }
  }
}

export interface Journal {
  table<T>(name: string, maxRows: number): Table<T>;
  close(): void;
}

const compactAfterLines = 50_000;

type Rows = Map<string, Map<string, unknown>>;

/** Opens (and compacts) the journal; without a file the tables live in memory alone. */
export function openJournal(file: string | undefined): Journal {
  const tables: Rows = file !== undefined && existsSync(file) ? replay(file) : new Map();
  let fd = file === undefined ? null : compact(file, tables, null);
  let lines = 0;
  const write: Write = (table, key, row) => {
    if (fd === null || file === undefined) return;
    writeSync(fd, `${JSON.stringify({ t: table, k: key, v: row })}\n`);
    lines += 1;
    if (lines < compactAfterLines) return;
    fd = compact(file, tables, fd);
    lines = 0;
  };
  return {
    table<T>(name: string, maxRows: number): Table<T> {
      const rows = (tables.get(name) ?? new Map()) as Map<string, T>;
      tables.set(name, rows);
      return new Table<T>(name, maxRows, rows, write);
    },
    close() {
      if (fd !== null) closeSync(fd);
      fd = null;
    },
  };
}

function replay(file: string): Rows {
  const tables: Rows = new Map();
  const lines = readFileSync(file, 'utf8').split('\n');
  // A file that ends well has an empty string after its last newline; anything else there is torn.
  lines.pop();
  lines.forEach((line, index) => {
    const { t, k, v } = parseLine(line, file, index + 1);
    const rows = tables.get(t) ?? new Map<string, unknown>();
    tables.set(t, rows);
    if (v === undefined) rows.delete(k);
    else rows.set(k, v);
  });
  return tables;
}

function parseLine(line: string, file: string, lineNumber: number) {
  try {
    return JSON.parse(line) as { t: string; k: string; v?: unknown };
  } catch {
    throw new Error(
      `The sandbox's journal ${file} is damaged at line ${lineNumber}. ` +
        'Delete the file to start with an empty sandbox.',
    );
  }
}

/** Writes the live rows to a new file and puts it in place of the old one in one step. */
function compact(file: string, tables: Rows, oldFd: number | null): number {
  const next = `${file}.next`;
  // The journal holds the webhooks' secrets, so nobody else may read it.
  const fd = openSync(next, 'w', 0o600);
  for (const [t, rows] of tables) {
    for (const [k, v] of rows) writeSync(fd, `${JSON.stringify({ t, k, v })}\n`);
  }
  renameSync(next, file);
  if (oldFd !== null) closeSync(oldFd);
  return fd;
}
