import type postgres from 'postgres';

/** A pool or a transaction: reading does not care which. */
export type Queryable = postgres.ISql<{ bigint: number }>;
export type Sql = postgres.Sql<{ bigint: number }>;
/** Inside `sql.begin`: what must commit together. */
export type Transaction = postgres.TransactionSql<{ bigint: number }>;
