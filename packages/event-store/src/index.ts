export {
  type Append,
  append,
  appendAll,
  ConcurrencyError,
  readStream,
  withConflictRetry,
} from './append.ts';
export { firstDeliveries, isFirstDelivery } from './inbox.ts';
export {
  eventStoreMigrations,
  grantStatements,
  migrate,
  type MigrateOptions,
  MigrationError,
  type MigrationFolder,
  migrationSql,
} from './migrate.ts';
export { type Publish, republish, startOutboxRelay } from './outbox.ts';
export { checkSchema, SchemaMissingError } from './schema-check.ts';
export { type Queryable, type Sql, type Transaction } from './types.ts';
