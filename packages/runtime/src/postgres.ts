import postgres from 'postgres';

/** 64-bit integers come back as numbers: positions and cents stay far below 2^53. */
const types = { bigint: { to: 20, from: [20], serialize: String, parse: Number } };

export type Sql = postgres.Sql<{ bigint: number }>;
/** Inside `sql.begin`. */
export type Transaction = postgres.TransactionSql<{ bigint: number }>;
/** Either of both: a query that does not care whether it runs in a transaction. */
export type Queryable = Sql | Transaction;

export interface PostgresOptions {
  readonly url: string;
  /** Found first by unqualified names. */
  readonly schema: string;
  /** Shown in `pg_stat_activity`. */
  readonly service: string;
  readonly maxConnections?: number;
}

/**
 * A pool that connects on first use and reconnects by itself. Columns are snake_case in SQL and
 * camelCase here; JSON values are left as they are.
 */
export function connectPostgres(options: PostgresOptions): Sql {
  const { url, schema, service, maxConnections = 4 } = options;
  return postgres(url, {
    max: maxConnections,
    idle_timeout: 10,
    connect_timeout: 5,
    backoff: secondsUntilReconnect,
    types,
    transform: { column: { to: postgres.fromCamel, from: postgres.toCamel } },
    connection: { application_name: service, search_path: schema },
    onnotice: () => {},
  });
}

/**
 * The client counts the failures of all connections together and waits up to 20 s by its own rule,
 * after an outage of one second too; whoever was given such a connection waits with it.
 */
const secondsUntilReconnect = (): number => 0.1 + Math.random() * 0.4;

/** For `/readyz`. */
export async function checkPostgres(sql: Sql): Promise<void> {
  await sql`select 1`;
}
